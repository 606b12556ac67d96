"""One lock a workspace: whoever changes it holds `.pairwright/run.lock` for as long, and whoever comes second waits.

    with lock.hold("pairwright publish"):
        ...

The lock is the kernel's (flock): it ends with the process that holds it, however that ends. In the file stands who holds it, for those
who wait. A process that holds it may take it again, as `pairwright run` and the flow in it do. Commands that only look need no lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TextIO

from flows.running import limits, process
from tasks.core import visible
from tasks.core.errors import UserError

FILE = Path(".pairwright") / "run.lock"
LOOK = 0.5  # seconds between two looks at a lock that another holds
TRIES, PAUSE = 5, 0.02  # `holder` has the lock for a moment, too
_held: set[Path] = set()  # by this process


class Holder(NamedTuple):
    """Who holds the lock."""

    host: str
    pid: int
    what: str
    since: str

    def __str__(self) -> str:
        return f"{self.what} (process {self.pid} on {self.host}, since {self.since})"


def complain(line: str) -> None:
    """One line on stderr, at once."""
    sys.stderr.write(visible.line(line) + "\n")
    sys.stderr.flush()


@contextmanager
def hold(what: str, *, say: Callable[[str], object] = complain, wait: bool = True) -> Iterator[None]:
    """Hold this folder's lock. Where another process does, `say` once for whom this one waits, until `runs.max_wait_minutes` are over.

    Args:
        what: The command or flow, for those who wait for it.
        say: What to do with the line about the wait; on stderr if nothing is given.
        wait: False fails at once where another process holds the lock.
    """
    path = FILE.absolute()
    if path in _held:
        yield
        return
    patience = limits.load().max_wait_minutes if wait else 0
    with _opened(path) as file:
        _take(file, patience, say)
        _held.add(path)
        try:
            _write(file, what)
            yield
        finally:
            _held.discard(path)
            file.truncate(0)


def holder() -> Holder | None:
    """Who holds this folder's lock; None where nobody does."""
    try:
        with FILE.open(encoding="utf-8") as file:
            return None if _locked(file, fcntl.LOCK_SH) else _read()
    except (FileNotFoundError, PermissionError):
        return None


def _opened(path: Path) -> TextIO:
    """The lock's file, made where there is none, and not emptied: who holds it stands there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8")
    except OSError as error:
        expected = "a folder in which this user may write"
        raise UserError(str(path), error.strerror or str(error), expected, "run as the workspace's owner, or change its mode") from error


def _take(file: TextIO, patience: float, say: Callable[[str], object]) -> None:
    """Lock the file; a UserError when it is still another's after `patience` minutes."""
    deadline, told = time.monotonic() + patience * 60, ""
    while not _locked_soon(file):
        found = str(_read() or "another process")
        if time.monotonic() >= deadline:
            after = f" after {patience:g} minutes (runs.max_wait_minutes)" if patience else ""
            raise UserError(str(FILE), f"{found} at work here{after}", "nobody else", "wait for it, or end it, and run again")
        if found != told:
            say(f"waiting for {found}")
            told = found
        time.sleep(LOOK)


def _locked_soon(file: TextIO) -> bool:
    """Try to lock some times in a row, since those who only look are done in no time; whether it is ours now."""
    for _ in range(TRIES):
        if _locked(file, fcntl.LOCK_EX):
            return True
        time.sleep(PAUSE)
    return False


def _locked(file: TextIO, kind: int) -> bool:
    """Try to lock; whether it is ours now."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(file: TextIO, what: str) -> None:
    """Say who holds the lock, in one write."""
    me = process.me()
    file.truncate(0)
    file.seek(0)
    file.write(json.dumps(Holder(me.host, me.pid, what, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")._asdict()) + "\n")
    file.flush()


def _read() -> Holder | None:
    """Who says to hold the lock; None where nobody does, or is just about to."""
    try:
        said = json.loads(FILE.read_text(encoding="utf-8"))
        return Holder(str(said["host"]), int(said["pid"]), str(said["what"]), str(said["since"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
