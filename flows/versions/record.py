"""Records of published versions: `data/versions/vN.json`, one a version, in git.

A version is an annotated tag on the commit that holds `dvc.lock`, `params.yaml`, `data/splits` and its record. Tags have GTO's form,
`dataset@vN.0.0`, and `model@vN.M.0` for the models trained on that version, so that `dvc artifacts get` and `gto show` know them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import yaml

from flows import git
from flows.figures import Figures
from flows.installed import VERSIONS
from tasks.core import manifest
from tasks.core.errors import UserError, one_of

DATASET, MODEL = "dataset", "model"  # artifacts in `dvc.yaml`
TAG = re.compile(rf"(?P<artifact>{DATASET}|{MODEL})@v(?P<version>[1-9]\d*)\.(?P<training>0|[1-9]\d*)\.0")
NAMED = re.compile(r"v(?P<version>[1-9]\d*)\.json")
SHORT = re.compile(rf"(?:{DATASET}@)?v?(?P<version>[1-9]\d*)(?:\.0\.0)?")  # how a person may name a dataset's version
FILE = "v{}.json"
ERASED = "erased"  # in a record that an erasure marked since: the bytes of the version are gone
RESTORE = "restore it with `git checkout -- {}`"
PAGES = "reports"  # folder beside the records: the reports of the newest version


class Raw(TypedDict):
    """The raw logs as `dvc.lock` names them."""

    md5: str
    files: int
    bytes: int


class Release(TypedDict):
    """The release as `dvc.lock` names it, and the digest of its manifest."""

    md5: str
    manifest: str


class Record(TypedDict):
    """What a version took and gave; no clock time, no name, no text of logs."""

    version: int
    tag: str
    previous: str | None  # tag of the version before
    metrics: dict[str, Any]  # the release's metrics.json, flat
    ledgers: dict[str, dict[str, Any]]  # stage: its ledger.json
    figures: NotRequired[Figures]  # what the next build is held against; none in records of other makers
    parameters: dict[str, str]  # section: digest
    code: str | None  # commit that the code was at; none where the version is the first commit of all
    salt: str | None  # its fingerprint
    raw: Raw | None
    release: Release
    environment: dict[str, str | None]  # what changes bytes: version or digest, or null where it is missing


def tag(version: int) -> str:
    """The tag of a dataset's version."""
    return f"{DATASET}@v{version}.0.0"


def model_tag(version: int, training: int = 0) -> str:
    """The tag of the model trained on that version; `training` counts further trainings on the same version."""
    return f"{MODEL}@v{version}.{training}.0"


def artifact(name: str) -> Path:
    """Where an artifact of `dvc.yaml` lies."""
    found = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8")).get("artifacts") or {}
    if name not in found:
        raise UserError("dvc.yaml: artifacts", one_of(found) if found else "nothing", f"`{name}`", f"add `{name}: {{path: FOLDER}}`")
    return Path(found[name]["path"])


def folder() -> Path:
    """The folder of the records."""
    return artifact(DATASET).parent / VERSIONS


def pages() -> Path:
    """The folder of the reports of the newest version, which DVC keeps."""
    return folder() / PAGES


def path(version: int) -> Path:
    """The file of a version's record."""
    return folder() / FILE.format(version)


def write(record: Record) -> Path:
    """Write a record to its file: the same bytes for the same record."""
    at = path(record["version"])
    at.parent.mkdir(parents=True, exist_ok=True)
    beside = at.with_name(f".{at.name}.new")
    beside.write_bytes(manifest.dumps(record))
    beside.replace(at)
    return at


def records() -> list[Record]:
    """The records that lie here, oldest first: the versions that the current commit comes from."""
    found = [_parsed(at.read_text(encoding="utf-8"), str(at), _numbered(at)) for at in folder().glob(FILE.format("*"))]
    return sorted(found, key=lambda record: record["version"])


def newest() -> Record | None:
    """The newest record that lies here; none before the first version."""
    return next(reversed(records()), None)


def committed() -> Record | None:
    """The newest record that the current commit has; none before the first version."""
    here = (git.attempt("ls-tree", "--name-only", "HEAD", f"{folder()}/") or "").split("\n")
    numbers = [int(found["version"]) for name in here if (found := NAMED.fullmatch(Path(name).name))]
    text = git.show("HEAD", path(max(numbers))) if numbers else None
    return _parsed(text, f"HEAD:{path(max(numbers))}", max(numbers)) if text else None


def read(name: str) -> Record:
    """The record of a version, named by its tag or number, also of one that the current commit does not come from."""
    version = number(name)
    at = path(version)
    published = git.show(tag(version), at)
    if not at.is_file() and published is None:
        here = [record["tag"] for record in records()]
        raise UserError(f"version {name}", "no such version", one_of(here) if here else "a published one", "see `git tag`, or `git fetch`")
    known = None if published is None else _parsed(published, f"{tag(version)}:{at}", version)
    if not at.is_file():
        assert known is not None, "one of both is there"
        return known
    found = _parsed(at.read_text(encoding="utf-8"), str(at), version)
    if known is not None and {**found, ERASED: None} != {**known, ERASED: None}:
        remedy = f"restore it with `git checkout {tag(version)} -- {at}`"
        raise UserError(str(at), "another record than its tag has", "what was published", remedy)
    return found


def number(name: str) -> int:
    """The number of a version that a person names: `3`, `v3` or its whole tag."""
    found = SHORT.fullmatch(name)
    if found is None:
        raise UserError(f"version {name!r}", "no number", f"a number, or a tag such as {tag(3)}", "correct the name")
    return int(found["version"])


def _numbered(at: Path) -> int:
    """The version that a record's file is named after; 0 where it is named after none."""
    found = NAMED.fullmatch(at.name)
    return int(found["version"]) if found else 0


def _parsed(text: str, where: str, version: int) -> Record:
    """The record of a version; a UserError where the text is not one of it."""
    remedy = RESTORE.format(where.rpartition(":")[2])
    try:
        record: Record = json.loads(text)
    except ValueError as error:
        raise UserError(where, "text that is not JSON", "the record of a version", remedy) from error
    wrong = record if not isinstance(record, dict) else {name: record.get(name) for name in ("version", "tag")}
    if wrong != {"version": version, "tag": tag(version)} or "md5" not in (record.get("release") or ()):
        raise UserError(where, f"no record of version {version}", "the record as it was published", remedy)
    return record
