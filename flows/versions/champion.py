"""The model that the next one must beat: what `data/models/final` held before a training is an input of the stages that compare.

It is written just before a new model is made, and only where the last one was promoted. So nothing is stale after a run or a version, and
who goes back to a version finds the champion that it was compared with. No byte is copied by hand: `model.dvc` and `start.dvc` name what
DVC's cache holds since the last run, and `dvc pull` and `dvc push` carry it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from flows import dvc, git
from flows.storage import recorded
from flows.versions import describe, record
from tasks.common import champion as names
from tasks.core import manifest, pipeline, whole_file

Lock = dict[str, Any]


def crown(say: dvc.Say, *, force: bool) -> str:
    """Let the model that was handed over last be the one to beat, if another is about to be made; what was done, or nothing."""
    folder, lock = recorded.champion_folder(), describe.locked()
    if folder is None or not {names.COMPARE, names.PROMOTE} <= set(lock):
        return ""
    training = dvc.training_stages()
    makers = training[: training.index(names.COMPARE)]
    if not force and not dvc.stale(makers):
        return ""
    told = json.loads(path.read_bytes()) if (path := pipeline.stage(names.COMPARE).output / names.COMPARISON).is_file() else None
    if told is None or told["outcome"] == names.SAME or not _promoted(lock) or _changed():
        return ""
    return _record(folder, lock, told["challenger"], say)


def _promoted(lock: Lock) -> bool:
    """Whether the last run handed over its new model."""
    stage = pipeline.stage(names.PROMOTE)
    return bool(
        _entry(lock, names.PROMOTE, "outs", stage.output)["md5"] == _entry(lock, names.PROMOTE, "deps", stage.input("candidate"))["md5"]
    )


def _changed() -> bool:
    """Whether the comparison that lies here is another than that of the last run."""
    output = str(pipeline.stage(names.COMPARE).output)
    return any(reason in (f"{output} modified", f"{output} deleted") for reason in dvc.stale([names.COMPARE]).get(names.COMPARE, []))


def _record(folder: Path, lock: Lock, facts: dict[str, str], say: dvc.Say) -> str:
    """Write the record and the files that name the bytes, the record last; then put the bytes in place."""
    compare, promote = pipeline.stage(names.COMPARE), pipeline.stage(names.PROMOTE)
    model = _entry(lock, promote.name, "outs", promote.output)
    start = _entry(lock, compare.name, "deps", compare.input("start"))
    known = describe.read(folder / names.RECORD)
    if known.get("digest") == facts["digest"] and [one.md5 for one in recorded.champion()] == [model["md5"], start["md5"]]:
        return ""
    name = tag_of(model["md5"]) or f"the model of release {facts['release'][:8]}"
    (folder / names.RECORD).unlink(missing_ok=True)
    for place, entry in ((names.MODEL, model), (names.START, start)):
        out = {key: value for key, value in entry.items() if key != "path"} | {"path": place}
        whole_file.write(folder / f"{place}{recorded.DVC}", yaml.safe_dump({"outs": [out]}, sort_keys=False))
    release = _entry(lock, compare.name, "deps", compare.input("release"))["md5"]
    whole_file.write(folder / names.RECORD, manifest.dumps({**facts, "name": name, names.TRAINED_ON: release}))
    lay(say)
    return f"the model to beat is {name}"


def restore(commit: str, say: dvc.Say) -> None:
    """Let the champion be the one that a commit has, if that knows of any."""
    folder = recorded.champion_folder()
    if folder and git.attempt("cat-file", "-e", f"{commit}:./{folder}") is not None:
        git.run("restore", f"--source={commit}", "--staged", "--worktree", "--", str(folder))
        lay(say)


def lay(say: dvc.Say) -> None:
    """Put the champion's bytes in place, from the cache or a remote; where neither has them the comparison says so."""
    found = recorded.champion()
    files = [f"{entry.path}{recorded.DVC}" for entry in found]
    for name in (names.MODEL, names.START):
        if (folder := recorded.champion_folder()) and folder / name not in {entry.path for entry in found}:
            shutil.rmtree(folder / name, ignore_errors=True)
    try:
        if files and dvc.remotes()[1]:
            dvc.command("fetch", *files)
        if files:
            dvc.command("checkout", "--force", *files)
    except dvc.DvcError as error:
        say(f"warning: the bytes of the last model are not here: {error}")


def tag_of(md5: str) -> str | None:
    """The newest tag of a model with these bytes."""
    tags = {tag: record.TAG.fullmatch(tag) for tag in git.tags(f"{record.MODEL}@v*")}
    numbers = {tag: (int(found["version"]), int(found["training"])) for tag, found in tags.items() if found}
    place = record.artifact(record.MODEL)
    return next((tag for tag in sorted(numbers, key=lambda tag: numbers[tag], reverse=True) if _made(tag, place) == md5), None)


def _made(tag: str, place: Path) -> str | None:
    outs = (out for stage in describe.locked(tag).values() for out in stage.get("outs", ()))
    return next((str(out["md5"]) for out in outs if Path(out["path"]) == place), None)


def kept(md5: str) -> str | None:
    """The tag of the champion, where these bytes are the champion's and were published."""
    model = next((entry for entry in recorded.champion() if entry.path.name == names.MODEL), None)
    return tag_of(md5) if model and model.md5 == md5 else None


def remove() -> Iterator[str]:
    """Take the champion away: the next model is then the first."""
    folder = recorded.champion_folder()
    if folder is None:
        return
    for entry in recorded.champion():
        shutil.rmtree(entry.path, ignore_errors=True)
        entry.path.with_name(f"{entry.path.name}{recorded.DVC}").unlink()
        yield f"{entry.path}: removed"
    (folder / names.RECORD).unlink(missing_ok=True)


def _entry(lock: Lock, stage: str, kind: str, path: Path) -> dict[str, Any]:
    """What a lock says of an input or output of a stage."""
    found: dict[str, Any] = next(entry for entry in lock[stage][kind] if Path(entry["path"]) == path)
    return found
