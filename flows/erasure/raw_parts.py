"""A raw file taken apart into the bytes of its records, so that it can be written without some of them, the others byte for byte."""

from __future__ import annotations

import gzip
import io
import itertools
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tasks.common.raw_files.files import Unreadable
from tasks.common.raw_files.records import batches

GZIP = b"\x1f\x8b"
BETWEEN = " \t\r\n,"
HEAD = 4096  # bytes in which a zero tells that it is no text


@dataclass(frozen=True)
class Parts:
    """The records of a file in order: lines with their ends, or elements of one list."""

    records: list[bytes]
    listed: bool
    packed: bool

    def without(self, gone: Collection[int]) -> bytes:
        """The file without these records, as it lies on disk."""
        kept = [record for number, record in enumerate(self.records) if number not in gone]
        plain = b"[" + b",\n".join(kept) + b"]\n" if self.listed else b"".join(kept)
        return gzip.compress(plain, mtime=0) if self.packed else plain

    def naming(self, raw_id: str) -> set[int]:
        """The records one of whose values is this id."""
        return {number for number, record in enumerate(self.records) if _named(record, raw_id)}


def _named(record: bytes, raw_id: str) -> bool:
    """Whether a value of a record is this id; of a record that is broken off, whether it stands there."""
    try:
        return names(json.loads(record), raw_id)
    except ValueError:
        return json.dumps(raw_id).encode() in record


def names(value: object, raw_id: str) -> bool:
    """Whether a value, or one inside it, is this id."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (isinstance(value, str | int) and str(value) == raw_id) or any(names(one, raw_id) for one in inside)


def take_apart(path: Path) -> Parts | None:
    """The file's records; None where it is neither lines of JSON nor one list, packed with gzip or not."""
    data, packed = path.read_bytes(), False
    try:
        if data[:2] == GZIP:
            data, packed = gzip.decompress(data), True
        listed = data.lstrip()[:1] == b"["
        records = _elements(data.decode("utf-8")) if listed else _lines(data)
    except (OSError, EOFError, ValueError, Unreadable):
        return None
    return Parts(records, listed, packed)


def _lines(data: bytes) -> list[bytes]:
    """A line a record, as `ingest` counts them, broken ones too; ValueError where a line holds several, or is not as it lies on disk.

    Lines that are no record go with the one before; those at the beginning with the first.
    """
    if b"\x00" in data[:HEAD]:
        raise ValueError("no text")
    odd = list[str]()
    records = [record for batch in batches(io.BytesIO(data), tell=lambda reason, *_: odd.append(reason)) for record in batch]
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1].removesuffix(b"\n")
    starts = [(record.line or 0) - 1 for record in records]
    if "encoding" in odd or len(set(starts)) < len(starts) or -1 in starts:
        raise ValueError("no line a record")
    return [b"".join(lines[start:end]) for start, end in itertools.pairwise([0, *starts[1:], len(lines)])]


def _elements(text: str) -> list[bytes]:
    """The elements of a list as they stand; ValueError where it is none."""
    decoder, records = json.JSONDecoder(), list[bytes]()
    at = _next(text, text.index("[") + 1)
    while text[at : at + 1] not in ("]", ""):
        end = decoder.raw_decode(text, at)[1]
        records.append(text[at:end].encode())
        at = _next(text, end)
    if text[at:].strip() != "]":
        raise ValueError("no list")
    return records


def _next(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in BETWEEN:
        at += 1
    return at
