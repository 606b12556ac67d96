"""JSON that is not quite JSON: one text, mended where that does no harm, or the records that stand one after another in it.

In: the bytes of a text that strict JSON refuses. Out: its value, or what is wrong with it; never a guess at what a broken record says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from tasks.common.raw_files import encodings
from tasks.common.raw_files.files import Fault, Record, Unreadable

MOST_BROKEN = 1000  # broken records in a row after which the rest of a document is given up
COMMAS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|,(?=\s*[}\]])', re.DOTALL)
BETWEEN = re.compile(r"[\s,\[\]\x1e\ufeff]*")  # what may stand between two records of a document
FIRST_KEY = re.compile(r'\{\s*("(?:[^"\\]|\\.){0,100}")\s*:')


def parse(raw: bytes) -> tuple[Any, Fault | None]:
    """A JSON text's value, or None and what is wrong with it."""
    try:
        return orjson.loads(raw), None
    except orjson.JSONDecodeError:
        return mended(raw)[:2]


def mended(raw: bytes) -> tuple[Any, Fault | None, str | None]:
    """What strict JSON refuses but people write: value, fault, and a word for bytes that were odd."""
    try:
        text, odd = encodings.text_of_bytes(raw)
    except Unreadable as error:
        return None, error.fault, None
    value, fault = _loaded(text)
    if fault and fault.reason == "not_json":
        other, still = _loaded(_without_commas(text))
        if still is None:
            return other, None, odd
    return value, fault, odd


def _loaded(text: str) -> tuple[Any, Fault | None]:
    """NaN and infinities become null, lone surrogates U+FFFD."""
    try:
        return _clean(json.loads(text, parse_constant=lambda _: None)), None
    except json.JSONDecodeError as error:
        return None, Fault("not_json", f"{error.msg} at character {error.pos} of {len(text)}")
    except RecursionError:
        return None, Fault("too_deep", "nested deeper than any log")
    except ValueError:
        return None, Fault("not_json", "a number of thousands of digits")


def _without_commas(text: str) -> str:
    """The text without commas before closing brackets, and behind its end."""
    return COMMAS.sub(lambda found: found[0] if found[0] != "," else " ", text.rstrip().removesuffix(","))


def _clean(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def scan(text: str, number: int, line: int) -> Iterator[Record]:
    """The records that stand one after another in a text; of one that is broken, the reason."""
    decoder, text = json.JSONDecoder(parse_constant=lambda _: None), text.rstrip()
    at, counted, broken = 0, 0, 0
    while (at := _skip(text, at)) < len(text):
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = decoder.raw_decode(text, at)
            fault, broken = None, 0
        except RecursionError:
            value, fault, end, broken = None, Fault("too_deep", "nested deeper than any log"), _next_record(text, at), broken + 1
        except ValueError as error:
            end, broken = _next_record(text, at), broken + 1
            value, fault = _loaded(_without_commas(text[at:end]))
            if fault:
                fault = Fault(
                    "not_json", f"{getattr(error, 'msg', 'no number')} at character {getattr(error, 'pos', at) - at} of the record"
                )
        if broken == MOST_BROKEN:
            end, fault = len(text), Fault("not_json", f"{MOST_BROKEN} broken records in a row: the rest is not read")
        yield Record(number, line, None if fault else _clean(value), fault)
        number, at = number + 1, end


def _skip(text: str, at: int) -> int:
    found = BETWEEN.match(text, at)
    return found.end() if found else at


def _next_record(text: str, at: int) -> int:
    """Where the record after a broken one begins: at the next line that begins like its own, or where its first key comes again."""
    start = text.rfind("\n", 0, at) + 1
    before = text[start:at]
    if not before.strip(" \t["):
        indent = "[ \t]{0,2}" if "[" in before else re.escape(before)
        found = re.compile(rf"^{indent}[\x1e]?(?=\{{)", re.MULTILINE).search(text, at + 1)
        if found:
            return found.end()
        if "\n" in text[at : at + 100_000]:
            return len(text)
    key = FIRST_KEY.match(text, at)
    again = re.compile(rf"\{{\s*{re.escape(key[1])}\s*:").search(text, at + 1) if key else None
    return again.start() if again else len(text)
