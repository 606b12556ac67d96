"""DVC's own notes of who works on which files, `.dvc/tmp/rwlock`: read for those who wait, and mended where a killed command left them.

DVC writes them in place, so a kill in that moment leaves half a file, which every later command refuses; and it knows a command by its
number alone, so one that died long ago seems alive when another process has its number now. Both end here, under DVC's own guard.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from flows.running import process, whole_lock

NOTES, GUARD, REPOSITORY = (Path(".dvc/tmp") / name for name in ("rwlock", "rwlock.lock", "lock"))


class Blocker(NamedTuple):
    """A DVC command that works on files."""

    pid: int
    command: str

    @property
    def alive(self) -> bool:
        """Whether the command still runs: its number is taken, and by a process with these arguments."""
        given = self.command.split()[1:]  # its first word is another in the process's own list where `python -m` started it
        try:
            said = Path(f"/proc/{self.pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ").split()
        except OSError:
            return bool(process.started(self.pid))
        return bool(process.started(self.pid)) and (not given or said[-len(given) :] == given)

    def __str__(self) -> str:
        program, _, rest = self.command.partition(" ")
        name = "dvc" if program.endswith("dvc/__main__.py") else os.path.basename(program)  # noqa: PTH119 (not a path of ours)
        return f"{name} {rest}".strip() + f" (process {self.pid})"


def writers() -> dict[Path, Blocker]:
    """Files that a DVC command at work writes, as seen from here, each with the command."""
    try:
        notes = json.loads(NOTES.read_bytes())
        found = {Path(path): Blocker(int(said["pid"]), str(said["cmd"])) for path, said in notes.get("write", {}).items()}
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        return {}
    here = Path.cwd().resolve()
    return {path.relative_to(here): who for path, who in found.items() if path.is_relative_to(here) and who.alive}


def blockers() -> list[Blocker]:
    """DVC commands at work here."""
    return sorted({*writers().values(), *_readers()})


def _readers() -> Iterator[Blocker]:
    try:
        lists = list(json.loads(NOTES.read_bytes()).get("read", {}).values())
        found = {Blocker(int(said["pid"]), str(said["cmd"])) for readers in lists for said in readers}
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        return
    yield from (who for who in found if who.alive and who.pid != os.getpid())


def mend() -> list[str]:
    """Take out of the notes what killed commands left there, and mend their `dvc.lock`; what was done, in a line each.

    For who holds the workspace's lock. Nothing is done while a DVC command is at work.
    """
    said: list[str] = []
    for file, guard, work in ((whole_lock.COPY, REPOSITORY, whole_lock.restore), (NOTES, GUARD, _mended)):
        if file.exists():
            with _held(guard) as ours:
                said += work() if ours else []
    return said


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """A lock of DVC's, if it can be had now: who writes the file that it guards holds it."""
    from dvc.lock import Lock, LockError

    guard = Lock(str(path))
    try:
        guard.lock()
    except LockError:
        yield False
        return
    try:
        yield True
    finally:
        guard.unlock()


def _mended() -> list[str]:
    try:
        notes = json.loads(NOTES.read_bytes())
        kept = {kind: _living(notes.get(kind, {})) for kind in ("write", "read")}
    except (ValueError, AttributeError, TypeError, KeyError):
        NOTES.unlink()
        return [f"{NOTES}: half a file, left by a DVC command that was killed; deleted"]
    if kept == {kind: notes.get(kind, {}) for kind in kept}:
        return []
    beside = NOTES.with_name(f".{NOTES.name}.new")
    beside.write_text(json.dumps(kept), encoding="utf-8")
    beside.replace(NOTES)
    return []


def _living(notes: dict[str, Any]) -> dict[str, Any]:
    """The notes of one kind without those of commands that are gone."""
    kept: dict[str, Any] = {}
    for path, said in notes.items():
        infos = said if isinstance(said, list) else [said]
        alive = [info for info in infos if Blocker(int(info["pid"]), str(info["cmd"])).alive]
        if alive:
            kept[path] = alive if isinstance(said, list) else alive[0]
    return kept
