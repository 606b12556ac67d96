"""A raw file taken apart into the bytes of its records, so that it can be written without some of them, the others byte for byte."""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

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
        return {number for number, record in enumerate(self.records) if names(json.loads(record), raw_id)}


def names(value: object, raw_id: str) -> bool:
    """Whether a value, or one inside it, is this id."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (isinstance(value, str | int) and str(value) == raw_id) or any(names(one, raw_id) for one in inside)


def take_apart(path: Path) -> Parts | None:
    """The file's records; None where it is neither strict JSON lines nor one list, packed with gzip or not."""
    data, packed = path.read_bytes(), False
    try:
        if data[:2] == GZIP:
            data, packed = gzip.decompress(data), True
        listed = data.lstrip()[:1] == b"["
        records = _elements(data.decode("utf-8")) if listed else _lines(data)
    except (OSError, EOFError, ValueError):
        return None
    return Parts(records, listed, packed)


def _lines(data: bytes) -> list[bytes]:
    """One object a line, blank lines with the one before; ValueError where there is anything else, since records count otherwise then."""
    records: list[bytes] = []
    if b"\x00" in data[:HEAD]:
        raise ValueError("no text")
    for line in data.split(b"\n"):
        if line.strip():
            if not isinstance(json.loads(line), dict):
                raise ValueError("no object")
            records.append(line + b"\n")
    return records


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
