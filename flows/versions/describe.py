"""The record of what lies here, its difference to the version before, and the text of both for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from flows import figures, git
from flows.dvc import FIGURES, dataset_stages
from flows.versions import environment, record
from flows.versions.record import Record
from tasks.common import salt
from tasks.core import manifest, pipeline
from tasks.core.errors import UserError
from tasks.core.shell import PARAMS

CHANGELOG = "CHANGELOG.md"
TITLE = "# Versions of the dataset\n\nMade from the records beside it, newest first.\n"
COUNTED = ("pairs", "unpaired", "prompts")  # metrics that the subject of a commit names; pairs are summed over their splits


def here(version: int, previous: Record | None) -> Record:
    """The record of the release as it lies here, as that version."""
    release = record.artifact(record.DATASET)
    listed = release / manifest.NAME
    return {
        "version": version,
        "tag": record.tag(version),
        "previous": previous["tag"] if previous else None,
        "metrics": read(release / FIGURES),
        "ledgers": figures.ledgers(),
        "figures": figures.here(release),
        "parameters": parameters(),
        "code": git.head(),
        "salt": salt.last_fingerprint(),
        "raw": _raw(),
        "release": {"md5": md5_of(release, locked()), "manifest": manifest.file_digest(listed) if listed.is_file() else ""},
        "environment": environment.current(),
    }


def read(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where it is not there."""
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def parameters() -> dict[str, str]:
    """Digest of the parameters of each stage of the dataset."""
    sections = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    return {name: manifest.digest(manifest.dumps(sections[name])) for name in dataset_stages() if name in sections}


def locked(commit: str | None = None) -> dict[str, Any]:
    """The stages of `dvc.lock`, as it lies here or in a commit."""
    path = Path("dvc.lock")
    text = git.show(commit, path) if commit else path.read_text(encoding="utf-8") if path.is_file() else None
    return (yaml.safe_load(text) or {}).get("stages", {}) if text else {}


def md5_of(path: Path, stages: dict[str, Any]) -> str:
    """DVC's hash of an output, by its lock; a UserError where it has none."""
    for stage in stages.values():
        for out in stage.get("outs", ()):
            if Path(out["path"]) == path:
                return str(out["md5"])
    raise UserError("dvc.lock", f"nothing about {path}", "DVC's record of it", "run `pairwright run`")


def _raw() -> record.Raw | None:
    """The raw logs, as the lock of the first stage names them."""
    first = pipeline.stage(dataset_stages()[0])
    for dep in locked().get(first.name, {}).get("deps", ()):
        if first.data and Path(dep["path"]) == first.data[0]:
            return {"md5": dep["md5"], "files": dep.get("nfiles", 1), "bytes": dep["size"]}
    return None


def same(one: Record, other: Record) -> bool:
    """Whether two records are of one dataset: the same release by the same parameters."""
    return one["release"] == other["release"] and one["parameters"] == other["parameters"]


def lost(now: Record, before: Record) -> list[str]:
    """What changes bytes, was there for the version before, and is missing here."""
    return [name for name, was in before["environment"].items() if was is not None and now["environment"].get(name, was) is None]


def message(now: Record, before: Record | None) -> str:
    """The message of a version's commit and tag: its counts and what changed."""
    counts = ", ".join(f"{_total(now, name):,} {name}{_gain(now, before, name)}" for name in COUNTED if _total(now, name) is not None)
    return f"Publish {now['tag']}{': ' + counts if counts else ''}\n\n" + "".join(f"{line}\n" for line in _lines(now, before))


def _total(found: Record | None, name: str) -> int | None:
    values = [value for key, value in found["metrics"].items() if key == name or key.startswith(f"{name}_")] if found else []
    return int(sum(values)) if values else None


def _gain(now: Record, before: Record | None, name: str) -> str:
    new, old = _total(now, name), _total(before, name)
    return f" ({new - old:+,})" if new is not None and old is not None else ""


def changelog(records: list[Record]) -> str:
    """The changelog of these versions, given oldest first."""
    entries = []
    for at, one in enumerate(records):
        before = records[at - 1] if at else None
        entries.append(f"\n## {one['tag']}\n\n" + "".join(f"- {line}\n" for line in _lines(one, before)))
    return TITLE + "".join(reversed(entries))


def _lines(now: Record, before: Record | None) -> Iterator[str]:
    """Figures with their difference to the version before; then which parameters, and what of the environment, changed."""
    old = before["metrics"] if before else {}
    for name, value in sorted(now["metrics"].items()):
        yield f"{name}: {value}{_difference(value, old.get(name))}"
    if raw := now["raw"]:
        was = before["raw"] if before else None
        yield f"raw logs: {raw['bytes']:,} bytes in {raw['files']:,} files{_difference(raw['bytes'], was['bytes'] if was else None)}"
    if before:
        yield from _changes("parameters", now["parameters"], before["parameters"])
        yield from _changes("environment", now["environment"], before["environment"])
        if now["salt"] != before["salt"]:
            yield "salt: another one, so every id of a person is another"


def _difference(value: object, old: object) -> str:
    if not isinstance(value, int | float) or not isinstance(old, int | float) or value == old:
        return ""
    return f" ({round(value - old, 6):+,})"


def _changes(what: str, now: dict[str, Any], before: dict[str, Any]) -> Iterator[str]:
    changed = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
    if changed and what == "parameters":
        yield f"parameters: changed in {', '.join(changed)}"
    elif changed:
        yield f"{what}: " + ", ".join(f"{name} {before.get(name) or 'missing'} → {now.get(name) or 'missing'}" for name in changed)
