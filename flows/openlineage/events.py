"""Events of a run and of its stages, in the form of OpenLineage's specification 2-0-2.

A stage's inputs and outputs are datasets named by their path in the project; their version is DVC's digest, their rows those of the ledger.
No text of a log, no path outside the project and no password of a git remote is among them.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from flows import git
from flows.report import ledger_rows
from tasks.core import manifest, pipeline, visible
from tasks.core.params import parse
from tasks.core.pipeline import Stage
from tasks.core.shell import PARAMS

Event = dict[str, Any]
Kind = Literal["START", "COMPLETE", "FAIL"]
SPEC = "https://openlineage.io/spec"
RUN_EVENT = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
OWN_FACET = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunFacet"
FACETS = {  # facet: version of its schema, and the schema's name
    "parent": ("1-2-0", "ParentRunFacet"),
    "errorMessage": ("1-0-1", "ErrorMessageRunFacet"),
    "sourceCodeLocation": ("1-1-0", "SourceCodeLocationJobFacet"),
    "jobType": ("2-0-4", "JobTypeJobFacet"),
    "version": ("1-0-1", "DatasetVersionDatasetFacet"),
    "outputStatistics": ("1-0-2", "OutputStatisticsOutputDatasetFacet"),
}
PACKAGE = "pairwright"
LOCK = Path("dvc.lock")
FLOW, STAGE = "FLOW", "STAGE"
SECRET = re.compile(r"(?<=://)[^/@]*@")  # a name and a password in front of a host
SHORT = re.compile(r"(?:[^@/]+@)?([^:/]+):(?!//)(.+)")  # how git names a remote over SSH


@dataclass(frozen=True)
class Run:
    """The run of a flow."""

    id: UUID
    job: str
    namespace: str


def of_run(run: Run, kind: Kind, error: str = "") -> Event:
    """An event about the run as a whole."""
    return _event(run, kind, run.id, run.job, FLOW, _error(error))


def of_stage(run: Run, name: str, kind: Kind, error: str = "") -> Event:
    """An event about one stage of the run; what it read and made has its versions once it is done."""
    stage = pipeline.stage(name)
    done = kind == "COMPLETE"
    parent = _facet("parent", run={"runId": str(run.id)}, job={"namespace": run.namespace, "name": run.job})
    own = {"_producer": _producer(), "_schemaURL": OWN_FACET, "digest": _parameters(name)}
    facets = {"parent": parent, "pairwright_parameters": own, **_error(error)}
    event = _event(run, kind, uuid5(NAMESPACE_URL, f"{run.id}/{name}"), f"{run.job}.{name}", STAGE, facets)
    return event | {"inputs": list(_inputs(run, stage, done)), "outputs": list(_outputs(run, stage, done))}


def _event(run: Run, kind: Kind, number: UUID, job: str, job_type: str, facets: dict[str, Any]) -> Event:
    what = _facet("jobType", processingType="BATCH", integration=PACKAGE.upper(), jobType=job_type)
    return {
        "eventType": kind,
        "eventTime": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        "producer": _producer(),
        "schemaURL": RUN_EVENT,
        "run": {"runId": str(number), "facets": facets},
        "job": {"namespace": run.namespace, "name": job, "facets": {"jobType": what, **_code()}},
    }


def _producer() -> str:
    try:
        return f"urn:{PACKAGE}:{version(PACKAGE)}"
    except PackageNotFoundError:  # run from a folder of sources
        return f"urn:{PACKAGE}"


def _facet(name: str, **values: object) -> dict[str, Any]:
    number, schema = FACETS[name]
    return {"_producer": _producer(), "_schemaURL": f"{SPEC}/facets/{number}/{schema}.json#/$defs/{schema}", **values}


def _error(message: str) -> dict[str, Any]:
    return {"errorMessage": _facet("errorMessage", message=message, programmingLanguage="PYTHON")} if message else {}


def _code() -> dict[str, Any]:
    """The commit that the code is at; nothing before the first commit."""
    head = git.head()
    if head is None:
        return {}
    remote = url_of(git.attempt("remote", "get-url", "origin") or "")
    found = {"type": "git", "url": remote or f"urn:git:{head}", "path": "dvc.yaml", "version": head}
    return {"sourceCodeLocation": _facet("sourceCodeLocation", **found, **({"repoUrl": remote} if remote else {}))}


def url_of(remote: str) -> str:
    """A git remote as a URL without name and password; nothing for one on this machine's disk."""
    if found := SHORT.fullmatch(remote):
        return f"ssh://{found[1]}/{found[2]}"
    return SECRET.sub("", remote) if "://" in remote and not remote.startswith("file:") else ""


def _parameters(stage: str) -> str:
    """Digest of the stage's parameters, as the manifest of a release has it."""
    sections = parse(PARAMS.read_text(encoding="utf-8"))
    return manifest.digest(manifest.dumps(sections.get(stage)))


def _inputs(run: Run, stage: Stage, done: bool) -> Iterator[dict[str, Any]]:
    lock = _lock() if done else {}
    for path in stage.data:
        yield {"namespace": run.namespace, "name": path.as_posix(), "facets": _version(lock, path)}


def _outputs(run: Run, stage: Stage, done: bool) -> Iterator[dict[str, Any]]:
    """The stage's folder, and each table in it with its rows."""
    lock = _lock() if done else {}
    entry = _entry(lock, stage.output) or {}
    size = {"size": entry["size"], "fileCount": entry.get("nfiles", 1)} if entry else {}
    yield _output(run, lock, stage.output, size)
    for row in ledger_rows(stage) if done else []:
        folder = stage.output / row["table"]
        if folder.is_dir():
            yield _output(run, lock, folder, {"rowCount": row["kept"]})


def _output(run: Run, lock: dict[str, Any], path: Path, counts: dict[str, int]) -> dict[str, Any]:
    told = {"outputFacets": {"outputStatistics": _facet("outputStatistics", **counts)}} if counts else {}
    return {"namespace": run.namespace, "name": path.as_posix(), "facets": _version(lock, path), **told}


def _lock() -> dict[str, Any]:
    """The stages as DVC last ran them."""
    found: dict[str, Any] = parse(LOCK.read_text(encoding="utf-8"))["stages"]
    return found


def _version(lock: dict[str, Any], path: Path) -> dict[str, Any]:
    """DVC's digest of the folder or file, or of the output that it lies in."""
    found = next((entry for place in (path, *path.parents) if (entry := _entry(lock, place))), None)
    return {"version": _facet("version", datasetVersion=found["md5"])} if found else {}


def _entry(lock: dict[str, Any], path: Path) -> dict[str, Any] | None:
    """What the lock says of an output; of what no stage makes, what it says of the input."""
    every = [entry for kind in ("outs", "deps") for stage in lock.values() for entry in stage.get(kind, ())]
    return next((entry for entry in every if entry["path"] == path.as_posix()), None)


def line(event: Event) -> str:
    """An event as a line of a file."""
    return visible.line(json.dumps(event, ensure_ascii=False)) + "\n"
