"""Every state of `dvc.lock` that git remembers: which outputs were recorded, and what they were made from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import git
from flows.storage import recorded
from tasks.common import champion as names
from tasks.core import pipeline
from tasks.core.params import parse

LOCK = Path("dvc.lock")
Out = tuple[str, str]  # path, and DVC's digest


@dataclass(frozen=True)
class Entry:
    """A stage as a lock has it."""

    stage: str
    deps: frozenset[Out]
    outs: tuple[Out, ...]


@dataclass(frozen=True)
class History:
    """The stages of the lock that lies here, and of all that git remembers."""

    current: tuple[Entry, ...]
    all: tuple[Entry, ...]

    def outs(self) -> set[Out]:
        """Every recorded output."""
        return {out for entry in self.all for out in entry.outs}

    def made_from(self, seeds: set[Out]) -> set[Out]:
        """These outputs, and all that a stage made that read one of them as a whole."""
        found, fresh = set(seeds), set(seeds)
        while fresh:
            fresh = {out for entry in self.all if entry.deps & found for out in entry.outs} - found
            found |= fresh
        return found


def read() -> History:
    """The locks of the workspace and of all commits, tags and branches."""
    here = LOCK.read_text(encoding="utf-8") if LOCK.is_file() else ""
    entries = [_entries(text) for text in dict.fromkeys([here, *_committed()])]
    last = [*_champion()]
    return History((*entries[0], *last), tuple(dict.fromkeys(entry for lock in (*entries, last) for entry in lock)))


def _champion() -> Iterator[Entry]:
    """The model that the next one must beat, where it lies and where it lay: it may be from a run that no commit records."""
    found, folder = {entry.path.name: entry for entry in recorded.champion()}, recorded.champion_folder()
    if folder is None or set(found) != {names.MODEL, names.START}:
        return
    path = folder / names.RECORD
    release = json.loads(path.read_bytes()).get(names.TRAINED_ON) if path.is_file() else None
    compare = pipeline.stage(names.COMPARE)
    places = ((names.MODEL, pipeline.stage(names.PROMOTE).output), (names.START, compare.input("start")))
    outs = tuple((str(path), found[name].md5) for name, old in places for path in (found[name].path, old))
    yield Entry(names.CHAMPION, frozenset([(str(compare.input("release")), str(release))]), outs)


def _committed() -> Iterator[str]:
    for commit in (git.attempt("log", "--all", "--format=%H", "--", str(LOCK)) or "").split():
        yield git.show(commit, LOCK) or ""


def outs_at(commit: str) -> set[Out]:
    """The outputs that the lock of one commit records."""
    return {out for entry in _entries(git.show(commit, LOCK) or "") for out in entry.outs}


def _entries(text: str) -> list[Entry]:
    recorded: dict[str, Any] = (parse(text) or {}).get("stages", {}) if text else {}
    return [Entry(name, frozenset(_pairs(one.get("deps"))), _pairs(one.get("outs"))) for name, one in recorded.items()]


def _pairs(entries: list[Mapping[str, str]] | None) -> tuple[Out, ...]:
    return tuple((entry["path"], entry["md5"]) for entry in entries or () if "md5" in entry)
