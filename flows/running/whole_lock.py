"""A `dvc.lock` that was only half written when DVC was killed becomes again what it was before the stage.

DVC writes it in place. Half of it would be refused by every later command, or pass for the record of fewer stages, which then all run
anew. So a copy lies beside DVC's notes while a stage of ours runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tasks.core import whole_file
from tasks.core.params import parse

FILE, COPY = Path("dvc.lock"), Path(".dvc/tmp/dvc.lock.before")
LAST = Path(".dvc/tmp/dvc.lock.whole")  # as any command of ours last saw it, for what a plain `dvc repro` leaves when it is killed
EVERY, FOLDER = {"path", "hash", "md5", "size"}, {"nfiles"}  # what DVC says of each file, and of each folder


@contextmanager
def kept() -> Iterator[None]:
    """Keep a copy while the block lasts; where this process is killed in it, `restore` finds the copy."""
    COPY.parent.mkdir(parents=True, exist_ok=True)
    whole_file.write(COPY, FILE.read_bytes() if FILE.exists() else b"")
    yield
    COPY.unlink(missing_ok=True)


def restore() -> list[str]:
    """Put the copy in the place of half a file, if there is one; what was done, in a line. To be called under DVC's own lock."""
    copy = COPY if COPY.exists() else LAST
    now, last = (path.read_bytes() if path.exists() else b"" for path in (FILE, copy))
    before = last.decode() if copy == COPY else ""  # a person may have gone back to a file with fewer stages than the last one had
    torn = FILE.exists() and now != last and not is_whole(now.decode(errors="replace"), before or "{}")
    if torn and last:
        whole_file.write(FILE, last)
    elif torn and copy == COPY:
        FILE.unlink()
    elif FILE.exists() and not torn and now != last:
        whole_file.write(LAST, now)
    COPY.unlink(missing_ok=True)
    return (
        [f"{FILE}: half written by a DVC command that was killed; it is again as it was before"] if torn and (last or copy == COPY) else []
    )


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
