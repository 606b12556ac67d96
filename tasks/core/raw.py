"""Raw logs as they lie on disk: which files there are, what is inside them, record by record. Nothing here is ever written to.

In: a folder, or one file in it. Out: `RawFile`s (name, digest, size), and the records of each with their place.

A file may be packed (gzip, bzip2, xz, zip) and holds either one JSON document (the records are the elements of a top array, or the
one object) or JSON lines. Both are told from the bytes, never from the name, so that a renamed file reads the same.

Traps met in real logs: U+2028 inside a line (so lines end at a newline byte and nowhere else), byte order marks, lone surrogates
and NaN as Python's own `json` writes them (mended: U+FFFD, null), a first line cut off by log rotation, a file cut off in the middle.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import itertools
import json
import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

BLOCK = 2 << 20  # bytes read at a time: a batch of records is what one block holds
LOOK_AHEAD = 20  # lines looked at to tell JSON lines from one document
BOM = b"\xef\xbb\xbf"
BROKEN_PACKING = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, NotImplementedError)


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
    """A file below the raw folder; `digest` is the first 16 hex digits of the sha256 of its bytes on disk."""

    path: Path
    name: str
    digest: str
    size: int


def raw_files(folder: Path) -> list[RawFile]:
    """Every file below the folder, in the order of digests, then names; hidden files and folders are no logs."""
    found = [RawFile(path, path.relative_to(folder).as_posix(), _digest(path), path.stat().st_size) for path in _walk(folder)]
    return sorted(found, key=lambda file: (file.digest, file.name))


def _walk(folder: Path) -> Iterator[Path]:
    """Files below the folder, also behind links to folders, but each real folder once (links may form circles)."""
    seen: set[Path] = set()
    for above, folders, files in os.walk(folder, followlinks=True):
        real = Path(above).resolve()
        folders[:] = sorted(name for name in folders if not name.startswith(".") and real not in seen)
        if real not in seen:
            yield from (path for name in sorted(files) if not name.startswith(".") and (path := Path(above, name)).is_file())
        seen.add(real)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def members(path: Path) -> Iterator[tuple[str, Stream]]:
    """What is inside a file, unpacked: itself under the name "", or each member of a zip archive under its own name."""
    with path.open("rb") as stream:
        magic = stream.read(6)
        stream.seek(0)
        if magic[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(stream) as archive:
                for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
                    if not entry.is_dir():
                        with archive.open(entry) as member:
                            yield entry.filename, member
        elif magic[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=stream) as unpacked:
                yield "", unpacked
        elif magic[:3] == b"BZh":
            with bz2.BZ2File(stream) as unpacked:
                yield "", unpacked
        elif magic == b"\xfd7zXZ\x00":
            with lzma.LZMAFile(stream) as unpacked:
                yield "", unpacked
        else:
            yield "", stream


def batches(stream: Stream, first: int = 0) -> Iterator[list[Record]]:
    """The records of one unpacked file in batches, numbered from `first`; raises `Unreadable` when it holds no JSON."""
    head = _read(stream, BLOCK).removeprefix(BOM)
    while b"\n" not in head and (more := _read(stream, BLOCK)):  # the first line must be whole to be judged
        head += more
    start = head.lstrip()[:1]
    if not start:
        raise Unreadable("not_a_log", "nothing but blanks")
    if start == b"[" or not _has_lines(head):
        if start not in (b"[", b"{"):
            raise Unreadable("not_a_log", "no JSON")
        data = head + _rest(stream)
        value, fault = parse(data)
        if fault is None:
            yield _elements(value, first)
            return
        if not _has_lines(data):
            raise Unreadable(*fault)
        head, stream = data, io.BytesIO()
    yield from _lines(head, stream, first)


def _read(stream: Stream, size: int) -> bytes:
    try:
        return stream.read(size)
    except BROKEN_PACKING as error:
        raise Unreadable("broken_archive", f"the packed data ends or breaks early ({type(error).__name__})") from error


def _rest(stream: Stream) -> bytes:
    return b"".join(iter(lambda: _read(stream, BLOCK), b""))


def _has_lines(data: bytes) -> bool:
    """True when one of the first lines is a JSON object of its own."""
    lines = data.split(b"\n", LOOK_AHEAD)
    return any(line.lstrip()[:1] == b"{" and isinstance(parse(line)[0], dict) for line in lines[:LOOK_AHEAD])


def _elements(value: object, first: int) -> list[Record]:
    return [Record(first + at, None, item, None) for at, item in enumerate(value if isinstance(value, list) else [value])]


def _lines(head: bytes, stream: Stream, first: int) -> Iterator[list[Record]]:
    """JSON lines, a block at a time; blank lines are no records but count as lines."""
    number, line, rest = first, 0, b""
    for block in itertools.chain([head], iter(lambda: _read(stream, BLOCK), b"")):
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        batch = _batch(lines, number, line)
        number, line = number + len(batch), line + len(lines)
        yield batch
    yield _batch([rest], number, line)


def _batch(lines: list[bytes], number: int, line: int) -> list[Record]:
    records = []
    loads = orjson.loads
    for at, raw in enumerate(lines, line + 1):
        if not raw or raw.isspace():
            continue
        try:
            records.append(Record(number, at, loads(raw), None))
        except orjson.JSONDecodeError:
            value, fault = _mended(raw)
            records.append(Record(number, at, value, fault))
        number += 1
    return records


def parse(raw: bytes) -> tuple[Any, Fault | None]:
    """A JSON text's value, or None and what is wrong with it."""
    try:
        return orjson.loads(raw), None
    except orjson.JSONDecodeError:
        return _mended(raw)


def _mended(raw: bytes) -> tuple[Any, Fault | None]:
    """What strict JSON refuses but Python writes: NaN and infinities become null, lone surrogates U+FFFD."""
    try:
        return _clean(json.loads(raw.decode("utf-8"), parse_constant=lambda _: None)), None
    except UnicodeDecodeError as error:
        return None, Fault("not_utf8", f"byte {error.start} of the record")
    except json.JSONDecodeError as error:
        return None, Fault("not_json", f"{error.msg} at character {error.pos} of {len(raw)}")
    except RecursionError:
        return None, Fault("too_deep", "nested deeper than any log")
    except ValueError:
        return None, Fault("not_json", "a number of thousands of digits")


def _clean(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value
