"""A `dvc.lock` that was only half written when DVC was killed becomes again what it was before the stage.

DVC writes it in place. Half of it would be refused by every later command, or pass for the record of fewer stages, which then all run
anew. So a copy lies beside DVC's notes while a stage of ours runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tasks.core.params import parse

FILE, COPY = Path("dvc.lock"), Path(".dvc/tmp/dvc.lock.before")
EVERY, FOLDER = {"path", "hash", "md5", "size"}, {"nfiles"}  # what DVC says of each file, and of each folder


@contextmanager
def kept() -> Iterator[None]:
    """Keep a copy while the block lasts; where this process is killed in it, `restore` finds the copy."""
    COPY.parent.mkdir(parents=True, exist_ok=True)
    beside = COPY.with_name(f"{COPY.name}.new")
    if FILE.exists():
        shutil.copyfile(FILE, beside)
    else:
        beside.write_bytes(b"")
    beside.replace(COPY)
    yield
    COPY.unlink(missing_ok=True)


def restore() -> list[str]:
    """Put the copy in the place of half a file, if there is one; what was done, in a line. To be called under DVC's own lock."""
    if not COPY.exists():
        return []
    before = COPY.read_text(encoding="utf-8")
    torn = FILE.exists() and not is_whole(FILE.read_text(encoding="utf-8", errors="replace"), before)
    if torn and before:
        COPY.replace(FILE)
    elif torn:
        FILE.unlink()
    COPY.unlink(missing_ok=True)
    return [f"{FILE}: half written by a DVC command that was killed; it is again as it was before that stage"] if torn else []


def is_whole(text: str, before: str) -> bool:
    """Whether a lock file's text is all of it: what it was, or with every stage that it had and each entry complete."""
    if text == before:
        return True
    try:
        document, old = parse(text), parse(before) or {}
        stages: Mapping[str, Any] = document["stages"]
        entries = [entry for stage in stages.values() for kind in ("deps", "outs") for entry in stage.get(kind, ())]
        complete = all(EVERY | (FOLDER if entry["md5"].endswith(".dir") else set()) <= entry.keys() for entry in entries)
        return (
            text.endswith("\n")
            and complete
            and all("outs" in stage for stage in stages.values())
            and old.get("stages", {}).keys() <= stages.keys()
        )
    except (yaml.YAMLError, TypeError, KeyError, AttributeError):
        return False
