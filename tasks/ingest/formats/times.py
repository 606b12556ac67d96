"""Timestamps in every common spelling, as microseconds since 1970.

In: a value of a log. Out: the timestamp, or None. An unknown or ambiguous spelling (03/04/2026) is not guessed: its shape (99/99/9999) is
kept for `unread_shapes`.
"""

from __future__ import annotations

import functools
import math
import re
from datetime import UTC, datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# Earlier or later times are clock errors and become null.
EARLIEST = (datetime(1990, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND
LATEST = (datetime(2100, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND
# Seconds, milli-, micro- or nanoseconds, recognised by size: from, factor to microseconds.
LAST_NUMBER = 1e20
UNITS = ((1e17, 1e-3), (1e14, 1.0), (1e11, 1e3), (0.0, 1e6))
NO_TIME = frozenset({"", "nat", "nan", "null", "none", "undefined", "n/a", "never", "0", "-"})
MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
ZONES = {
    "z": 0,
    "utc": 0,
    "gmt": 0,
    "ut": 0,
    "est": -5,
    "edt": -4,
    "cdt": -5,
    "mst": -7,
    "mdt": -6,
    "pst": -8,
    "pdt": -7,
    "cet": 1,
    "cest": 2,
}
NUMBER = re.compile(r"\d{9,}(\.\d+)?|\d+(\.\d+)?e\+?\d+", re.IGNORECASE)
DOTNET = re.compile(r"/Date\((\d+)(?:[+-]\d{4})?\)/")
COMPACT = re.compile(r"((?:19|20)\d{2})(\d{2})(\d{2})[T_ -]?(\d{2})(\d{2})(\d{2})")
WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d+))?)?\s*(?P<half>[ap]\.?m\.?)?"
ZONE = (
    r"(?P<zone>z|[a-z]{2,4}(?![a-z+-])|(?:utc|gmt)?\s?[+-]\d{1,2}(?::?\d{2})?)?(?:\s+(?:utc|gmt|[a-z]{3,4}))?(?:\s*\([^)]*\)|\[[^\]]*\])?"
)
REST = rf"(?:,?\s*(?:t|at|:|,)?\s*{CLOCK}\s*{ZONE})?"
SHAPES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{WEEKDAY}(?P<year>\d{{4}})(?P<sign>[-/.])(?P<month>\d{{1,2}})(?P=sign)(?P<day>\d{{1,2}}){REST}",
        rf"{WEEKDAY}(?P<day>\d{{1,2}})(?P<sign>[ /-])(?P<name>[a-z]{{3,9}})\.?,?(?P=sign)(?P<year>\d{{4}}){REST}",
        rf"{WEEKDAY}(?P<name>[a-z]{{3,9}})\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}}){REST}",
        rf"{WEEKDAY}(?P<name>[a-z]{{3,9}})\.?\s+(?P<day>\d{{1,2}})\s+{CLOCK}\s+(?:{ZONE}\s+)?(?P<year>\d{{4}})",
        rf"{WEEKDAY}(?P<one>\d{{1,2}})(?P<sign>[-/.])(?P<two>\d{{1,2}})(?P=sign)(?P<year>\d{{4}}){REST}",
    )
]
_unread: dict[str, None] = {}


def unread_shapes() -> list[str]:
    """Shapes of times that could not be read since the last call, each once: digits as 9, letters as a."""
    shapes = list(_unread)
    _unread.clear()
    return shapes


def moment(value: object) -> int | None:
    """A timestamp: numbers by size, ISO 8601, RFC 2822, JavaScript's and others (UTC unless stated otherwise); Mongo's `$date`."""
    if isinstance(value, dict):
        return _wrapped(value)
    if isinstance(value, str):
        microseconds = _of_text(value)
        if microseconds is None and value.strip().lower() not in NO_TIME:
            _unread[_shape(value)] = None
        return microseconds
    microseconds = _of_number(value)
    if microseconds is None and isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        _unread["a number that is no time of a chat"] = None
    elif isinstance(value, list) and value:
        _unread["a list"] = None
    return microseconds


def _wrapped(value: dict[str, object]) -> int | None:
    """Mongo's `$date`, and seconds with nanoseconds as in Firestore and protobuf."""
    if "$date" in value:
        inner = value["$date"]
        return moment(inner.get("$numberLong") if isinstance(inner, dict) else inner)
    seconds = value.get("seconds", value.get("_seconds"))
    parts = value.get("nanos", value.get("nanoseconds", value.get("_nanoseconds", 0)))
    whole = moment(seconds)
    return whole + parts // 1000 if whole is not None and isinstance(parts, int) and 0 <= parts < 10**9 else whole


def _of_number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < LAST_NUMBER:  # NaN is in no range
        return None
    factor = next(factor for least, factor in UNITS if value >= least)
    return _possible(round(value * factor))


def _of_text(text: str) -> int | None:
    try:
        return _since_epoch(datetime.fromisoformat(text))
    except ValueError:
        return _of_other_text(text.strip()[:100])


@functools.lru_cache(maxsize=4096)
def _of_other_text(text: str) -> int | None:
    if NUMBER.fullmatch(text):
        number = _of_number(float(text))
        if number is not None:
            return number
    if milliseconds := DOTNET.fullmatch(text):
        return _of_number(int(milliseconds[1]))
    try:
        if compact := COMPACT.match(text):
            return _since_epoch(datetime.strptime("".join(compact.groups()), "%Y%m%d%H%M%S").replace(tzinfo=UTC))
        return next((_of_parts(parts.groupdict()) for shape in SHAPES if (parts := shape.fullmatch(text))), None)
    except (ValueError, OverflowError):  # a 31st of February, an hour 25
        return None


def _of_parts(parts: dict[str, str | None]) -> int | None:
    """The timestamp from a pattern's match; None where the day is ambiguous."""
    year, days = int(parts["year"] or 0), _day_and_month(parts)
    zone = _zone(parts.get("zone"))
    if days is None or zone is None:
        return None
    hour = int(parts.get("hour") or 0)
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half[0].lower() == "p")
    micros = int(((parts.get("part") or "") + "000000")[:6])
    day, month = days
    return _since_epoch(datetime(year, month, day, hour, int(parts.get("minute") or 0), int(parts.get("second") or 0), micros, zone))


def _day_and_month(parts: dict[str, str | None]) -> tuple[int, int] | None:
    if name := parts.get("name"):
        month = next((at for at, known in enumerate(MONTHS, 1) if known.startswith(name.lower()) or name.lower() == "sept"), None)
        return None if month is None else (int(parts["day"] or 0), 9 if name.lower() == "sept" else month)
    if parts.get("month"):
        return int(parts["day"] or 0), int(parts["month"] or 0)
    one, two = int(parts["one"] or 0), int(parts["two"] or 0)
    if one == two or two > 12:
        return two, one
    return (one, two) if one > 12 else None


def _zone(name: str | None) -> timezone | None:
    """The time zone; UTC where none is stated, None where the name is ambiguous."""
    word = (name or "utc").strip().lower()
    if word in ZONES:
        return timezone(timedelta(hours=ZONES[word]))
    offset = re.fullmatch(r"(?:utc|gmt)?\s?([+-])(\d{1,2}):?(\d{2})?", word)
    if offset is None:
        return None
    span = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
    return timezone(-span if offset[1] == "-" else span)


def _since_epoch(parsed: datetime) -> int | None:
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return _possible((parsed - EPOCH) // MICROSECOND)


def _possible(micros: int) -> int | None:
    return micros if EARLIEST <= micros < LATEST else None


def _shape(text: str) -> str:
    """The shape of the text, without its content."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d", "9", text.strip()))[:40]
