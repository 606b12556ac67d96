"""Raw logs as they lie on disk: which files there are. Nothing here is ever written to.

In: a folder. Out: `RawFile`s (name, digest, size), and what lies there and is no readable file. What is inside a file is the business
of `tasks.common.raw_files.archives` (archives) and `tasks.common.raw_files.records` (records).

Traps met: links that dangle, lead out of the folder, or form circles; pipes, on which reading would wait for ever; files that cannot be
read; names that are no UTF-8; files that grow while they are read (then what was there at first counts).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

BLOCK = 2 << 20  # bytes read at a time: a batch of records is what one block holds


class Stream(Protocol):
    """Something to read bytes from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


class Fault(NamedTuple):
    """Why something cannot be read; never holds text of the record."""

    reason: str
    detail: str


class Record(NamedTuple):
    """One record: its place in the file from 0, its line from 1 (None in a document), and its value or what is wrong with it."""

    number: int
    line: int | None
    value: Any
    fault: Fault | None


class Unreadable(Exception):  # noqa: N818  (reads as what it says of the record)
    """A record or a file that cannot be read, with its reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.fault = Fault(reason, detail)


@dataclass(frozen=True)
class RawFile:
    """A file below the raw folder; `digest` is the first 16 hex digits of the sha256 of its first `size` bytes on disk."""

    path: Path
    name: str
    digest: str
    size: int
    changed_at: int = 0  # nanoseconds, when it was looked at

    def has_changed(self) -> bool:
        """True when the file is not as it was when it was looked at."""
        try:
            now = self.path.stat()
        except OSError:
            return True
        return (now.st_size, now.st_mtime_ns) != (self.size, self.changed_at)


class Oddity(NamedTuple):
    """Something below the raw folder that users must know of; `read` says whether what it leads to is read all the same."""

    name: str
    fault: Fault
    read: bool


def raw_files(folder: Path) -> list[RawFile]:
    """Every file below the folder, in the order of digests, then names; hidden files and folders are no logs."""
    return look(folder)[0]


def look(folder: Path) -> tuple[list[RawFile], list[Oddity]]:
    """The files as above, and what is odd, by name."""
    files, odd = list[RawFile](), list[Oddity]()
    for path in _walk(folder, odd):
        name = _printable(path.relative_to(folder))
        try:
            files.append(_file(path, name, folder, odd))
        except Unreadable as error:
            odd.append(Oddity(name, error.fault, read=False))
    return sorted(files, key=lambda file: (file.digest, file.name)), sorted(odd)


def look_at(paths: Iterable[Path]) -> tuple[list[RawFile], list[Oddity]]:
    """The same of these files alone, each known by its name without its folders."""
    files, odd = list[RawFile](), list[Oddity]()
    for path in paths:
        name = _printable(Path(path.name))
        try:
            files.append(_file(path, name, path.parent, odd))
        except Unreadable as error:
            odd.append(Oddity(name, error.fault, read=False))
    return sorted(files, key=lambda file: (file.digest, file.name)), sorted(odd)


def _walk(folder: Path, odd: list[Oddity]) -> Iterator[Path]:
    """What lies below the folder and is none, also behind links to folders, but each real folder once (links may form circles)."""
    seen: set[Path] = set()

    def missed(error: OSError) -> None:
        name = _printable(Path(error.filename).relative_to(folder)) if error.filename else "."
        odd.append(Oddity(name, Fault("cannot_be_read", f"a folder: {error.strerror}"), read=False))

    for above, folders, files in os.walk(folder, followlinks=True, onerror=missed):
        real = Path(above).resolve()
        folders[:] = sorted(name for name in folders if not name.startswith(".") and real not in seen)
        if real in seen:
            continue
        seen.add(real)
        yield from (Path(above, name) for name in sorted(files) if not name.startswith("."))
        odd.extend(_outward(Path(above, name), folder) for name in folders if _leads_out(Path(above, name), folder))


def _file(path: Path, name: str, folder: Path, odd: list[Oddity]) -> RawFile:
    """One file; raises `Unreadable` for what is none, without opening it."""
    try:
        state = path.stat()
    except OSError as error:
        reason = "dangling_link" if path.is_symlink() else "cannot_be_read"
        raise Unreadable(reason, f"leads to nothing that is there ({error.strerror})") from error
    if not stat.S_ISREG(state.st_mode):
        raise Unreadable("not_a_file", "a pipe, socket or device: not opened")
    try:
        digest, size, changed_at = _digest(path)
    except OSError as error:
        raise Unreadable("cannot_be_read", f"{error.strerror}") from error
    if _leads_out(path, folder):
        odd.append(_outward(path, folder))
    if not name.isprintable() or name != str(path.relative_to(folder)):
        odd.append(Oddity(name, Fault("odd_name", "the name is no UTF-8 or cannot be printed; read all the same"), read=True))
    return RawFile(path, name, digest, size, changed_at)


def _digest(path: Path) -> tuple[str, int, int]:
    """Digest, size and time of change; of a file that grows meanwhile, of what was there at first."""
    with path.open("rb") as stream:
        state, digest = os.fstat(stream.fileno()), hashlib.sha256()
        limited = Limited(stream, state.st_size)
        while block := limited.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()[:16], state.st_size, state.st_mtime_ns


class Limited:
    """The first bytes of a stream."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, size: int, /) -> bytes:
        """As `Stream` says."""
        block = self._stream.read(min(size, self._left))
        self._left -= len(block)
        return block


def _leads_out(path: Path, folder: Path) -> bool:
    return path.is_symlink() and not path.resolve().is_relative_to(folder.resolve())


def _outward(path: Path, folder: Path) -> Oddity:
    return Oddity(
        _printable(path.relative_to(folder)), Fault("outward_link", "a link that leads out of the folder; read all the same"), read=True
    )


def _printable(path: Path) -> str:
    """The path as text that can be written: bytes that are no UTF-8 are spelled out."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def name_digest(name: str) -> str:
    """An id for what has no bytes to be known by."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
