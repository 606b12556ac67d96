"""The records of one unpacked file, batch by batch, in time linear in its bytes.

In: a stream of bytes. Out: `Record`s with their place. A file holds one JSON document (the records are the elements of a top array, or the
one object), or JSON lines, or objects one after another over several lines; this is told from the bytes, never from the name.

Of a file that breaks somewhere at most the broken record is lost. Mended, and told where it is no trifle: byte order marks, other
encodings, lone surrogates and NaN as Python's own `json` writes them (U+FFFD, null), commas before closing brackets, text that a log
collector puts before the JSON of each line, several objects on a line. U+2028 stands inside lines: they end at a newline byte only.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from tasks.common.raw_files import encodings
from tasks.common.raw_files.archives import Peeked
from tasks.common.raw_files.files import BLOCK, Fault, Record, Stream, Unreadable
from tasks.common.raw_files.json_repair import mended, scan

LOOK_AHEAD = 20  # lines looked at to tell JSON lines from one document
ELEMENTS = 10_000  # of a document in a batch
LONGEST_PREFIX = 400  # bytes that a log collector puts before the JSON
OBJECT = re.compile(rb"\{\s*\"")
WORD = re.compile(rb"\w\w\w")
MARK = b"\xef\xbb\xbf"
BRACKETS = frozenset({b"", b"[", b"]", b",", b"],", b"[]"})
AROUND = b" \t\r\n\x1e\x00"  # the last but one stands before each record of a JSON text sequence; zeros fill what was never written
MAGIC = (  # files that people put among their logs: told by name, so that they know what to do
    (b"PAR1", "a Parquet file: write it as JSON lines"),
    (b"ARROW1", "an Arrow file: write it as JSON lines"),
    (b"Obj\x01", "an Avro file: write it as JSON lines"),
    (b"ORC", "an ORC file: write it as JSON lines"),
    (b"SQLite format 3", "an SQLite database: export its tables as JSON lines"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
)
Tell = Callable[[str, str, int, int | None], None]  # reason, what, number of the record, line


def _untold(reason: str, what: str, number: int, line: int | None) -> None:
    """For those who do not want to know."""


def batches(stream: Stream, first: int = 0, tell: Tell = _untold) -> Iterator[list[Record]]:
    """The records of one unpacked file in batches, numbered from `first`; raises `Unreadable` when it holds no JSON or breaks off."""
    source = _Source(stream)
    recoded, encoding = encodings.recoded(Peeked(source))
    if encoding:
        tell("encoding", encoding.upper(), first, None)
    yield from _Reading(recoded, first, tell).batches(source)
    if source.failure:
        raise source.failure


class _Source:
    """A stream that ends where it breaks, and remembers why."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.failure: Unreadable | None = None

    def read(self, size: int, /) -> bytes:
        """As `Stream` says."""
        try:
            return self._stream.read(size) if self.failure is None else b""
        except Unreadable as error:
            self.failure = error
        except OSError as error:
            self.failure = Unreadable("cannot_be_read", f"reading ends early ({error.strerror})")
        return b""


class _Reading:
    """One file on its way: the stream as UTF-8, and how far it is read."""

    def __init__(self, stream: Stream, first: int, tell: Tell) -> None:
        self._stream, self._number, self._line, self._tell = stream, first, 0, tell

    def batches(self, source: _Source) -> Iterator[list[Record]]:
        """All records; raises `Unreadable` where there are none."""
        head = self._head()
        start = head.lstrip(AROUND)[:1]
        if not start:
            raise source.failure or Unreadable("not_a_log", "nothing but blanks")
        if _is_lines(head):
            yield from self._lines(head)
        elif start in (b"[", b"{"):
            yield from self._document(head + b"".join(iter(self._block, b"")))
        else:
            raise source.failure or Unreadable("not_a_log", _looks_like(head))

    def _block(self) -> bytes:
        """The next bytes, as many as make a batch; none at the end."""
        parts, size = list[bytes](), 0
        while size < BLOCK and (part := self._stream.read(BLOCK - size)):
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _head(self) -> bytes:
        """The beginning, with the first line whole: it must be judged."""
        parts = [self._block()]
        while parts[-1] and b"\n" not in parts[-1]:
            parts.append(self._block())
        return b"".join(parts)

    def _lines(self, head: bytes) -> Iterator[list[Record]]:
        """JSON lines, a block at a time; blank lines are no records but count as lines."""
        rest: list[bytes] = []
        for block in itertools.chain([head], iter(self._block, b"")):
            whole, newline, cut = block.rpartition(b"\n")
            if newline:
                yield self._batch(b"".join((*rest, whole)).split(b"\n"))
                rest = []
            rest.append(cut)
        yield self._batch([b"".join(rest)])

    def _batch(self, lines: list[bytes]) -> list[Record]:
        records: list[Record] = []
        loads, number = orjson.loads, self._number
        for at, raw in enumerate(lines, self._line + 1):
            try:
                records.append(Record(number, at, loads(raw), None))
                number += 1
            except orjson.JSONDecodeError:
                found = self._odd_line(raw.strip(AROUND), number, at)
                records.extend(found)
                number += len(found)
        self._number, self._line = number, self._line + len(lines)
        return records

    def _odd_line(self, raw: bytes, number: int, line: int) -> list[Record]:
        """The records of a line that is not strict JSON; none of a blank one, of a bracket, or of a text without JSON."""
        raw = raw.removeprefix(MARK).strip(AROUND)  # files that somebody joined have a mark at each beginning
        if raw in BRACKETS:
            return []
        value, fault = self._value(raw, number, line)
        if fault is None:
            return [Record(number, line, value, None)]
        if found := _whole(raw, number, line) or self._behind_prefix(raw, number, line):
            return found
        if fault.reason == "not_json":
            several = list(scan(encodings.text_of_bytes(raw)[0], number, line))
            if any(record.fault is None for record in several):
                return several
            if raw[:1] not in (b"{", b"[") and b'":' not in raw and b'": ' not in raw:
                self._tell("text_line", "", number, line)
                return []
        return [Record(number, line, None, fault)]

    def _behind_prefix(self, raw: bytes, number: int, line: int) -> list[Record]:
        """The object behind what a log collector wrote before it; none where there is none."""
        for start in _objects(raw):
            inner, fault = self._value(raw[start:], number, line)
            if fault is None and isinstance(inner, dict):
                self._tell("log_prefix", "", number, line)
                return [Record(number, line, inner, None)]
        return []

    def _value(self, raw: bytes, number: int, line: int | None) -> tuple[Any, Fault | None]:
        """A record's value, mended where that does no harm; or what is wrong with it."""
        value, fault, odd = mended(raw)
        if fault is None and odd:
            self._tell(odd, "", number, line)
        return value, fault

    def _document(self, data: bytes) -> Iterator[list[Record]]:
        """One document; or, where it is none, the records that stand in it one after another, as far as they are whole."""
        value, fault = self._value(data, self._number, None)
        if fault is None:
            yield from _elements(value, self._number)
            return
        if fault.reason != "not_json":
            raise Unreadable(*fault)
        records = list(scan(encodings.text_of_bytes(data)[0], self._number, 1))
        if all(record.fault for record in records):
            raise Unreadable(*fault)
        yield records


def _whole(raw: bytes, number: int, line: int) -> list[Record]:
    """The records of a line that is whole objects one after another, and nothing else (ends of lines may be a mere CR); or none."""
    try:
        found = list(scan(encodings.text_of_bytes(raw)[0], number, line)) if raw[:1] == b"{" else []
    except Unreadable:
        return []
    return found if all(record.fault is None and isinstance(record.value, dict) for record in found) else []


def _is_lines(head: bytes) -> bool:
    """True when one of the first lines, from its first byte on, is a JSON object of its own, perhaps behind what a log collector wrote."""
    for line in head.split(b"\n", LOOK_AHEAD)[:LOOK_AHEAD]:
        starts = [0] if line[:1] in (b"{", b"\x1e") or line[:2] == b'"{' else _objects(line) if line[:1].strip() else []
        if any(_is_record(mended(line.strip(AROUND)[start:])[0]) for start in starts):
            return True
    return False


def _is_record(value: object) -> bool:
    """Whether a line's value is an object, or a text that holds one."""
    return isinstance(value, dict) or (isinstance(value, str) and value.lstrip()[:1] == "{")


def _objects(line: bytes) -> list[int]:
    """Where JSON may begin behind a word or two, such as a time and a level."""
    starts = [found.start() for found in itertools.islice(OBJECT.finditer(line, 1, LONGEST_PREFIX), 3)]
    return [start for start in starts if WORD.search(line, 0, start)]


def _looks_like(head: bytes) -> str:
    """What a file without JSON may be."""
    for magic, name in MAGIC:
        if head.startswith(magic):
            return name
    start = head.lstrip()[:200].lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "a web page"
    first, _, more = head.partition(b"\n")
    for sign, name in ((b",", "CSV"), (b"\t", "TSV"), (b";", "CSV")):
        if first.count(sign) > 1 and more.count(sign) >= first.count(sign):
            return f"no JSON, perhaps a {name} table: write it as JSON lines, a row a line"
    return "no JSON"


def _elements(value: object, first: int) -> Iterator[list[Record]]:
    items = value if isinstance(value, list) else [value]
    for start in range(0, len(items), ELEMENTS):
        yield [Record(first + at, None, item, None) for at, item in enumerate(items[start : start + ELEMENTS], start)]
