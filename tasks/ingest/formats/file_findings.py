"""What is found in one raw file, or in one member of an archive: counts, faults, and what users must be told of it.

A member collects while its records are read. Faults and notes become rows of `quarantine`; what recurs in many records (a role that
nobody knows, a vote that is not read) is one row and one part of the file's warning line, with a count and its first place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tasks.common.raw_files.files import Fault, RawFile, Record
from tasks.common.redaction import redact
from tasks.common.redaction.paths import path
from tasks.ingest.formats.nearest_format import keys_of, named, nearest

WHOLE = -1  # in the place of a record: the whole file
# Records that were read, and are left out because of what they say: no fault of the reading.
LEFT_OUT = frozenset(
    {
        "shared_copy",
        "internal_chat",
        "failed_review",
        "identical_pair",
        "empty_answer",
        "prompts_differ",
        "no_answer",
        "unfinished",
        "not_a_vote",
    }
)
MOST_RECORDS = 1000  # unread ones whose keys are looked at
MOST_TOLD = 5  # of one kind, in a warning


class Told(NamedTuple):
    """A row of quarantine: record, line, format, reason, detail."""

    record: int
    line: int | None
    format: str | None
    reason: str
    detail: str


@dataclass
class _Often:
    """Something that recurs: how often, and where it was first."""

    first: Record | None
    format: str | None
    count: int = 0


@dataclass
class Member:
    """Counts and faults of one file, or of one member of an archive."""

    file: RawFile
    name: str
    formats: Counter[str | None] = field(default_factory=Counter)
    records: int = 0
    faults: list[Told] = field(default_factory=list)
    notes: list[Told] = field(default_factory=list)
    keys: Counter[str] = field(default_factory=Counter)  # of its unread records
    often: dict[tuple[str, str], _Often] = field(default_factory=dict)  # by reason and what it is about

    def whole_note(self, fault: Fault) -> None:
        """Something that users must know of the whole file, which is read all the same."""
        self.notes.append(Told(WHOLE, None, None, *fault))

    @property
    def shown(self) -> str:
        """Its name as it may be printed: people's addresses and numbers in paths are theirs."""
        return path(self.name, redact.KINDS)

    @property
    def format(self) -> str | None:
        """The format of its records; `mixed` when there are several, None when no reader knows any."""
        known = [name for name in self.formats if name]
        return known[0] if len(known) == 1 else "mixed" if known else None

    @property
    def lost(self) -> int:
        """Records that give nothing."""
        return sum(fault.record >= 0 for fault in self.faults)

    @property
    def unread(self) -> int:
        """Records that could not be read; those that are left out because of what they say are no such."""
        return sum(fault.record >= 0 and fault.reason not in LEFT_OUT for fault in self.faults)

    @property
    def is_unread(self) -> bool:
        """True for a file that should hold records, of which none was read."""
        if self.records:
            return self.unread == self.records
        return any(fault.reason != "not_a_log" for fault in self.faults)

    def fault(self, record: Record, name: str | None, fault: Fault) -> None:
        """One record that gives nothing."""
        self.faults.append(Told(record.number, record.line, name, *fault))
        if len(self.faults) <= MOST_RECORDS and isinstance(record.value, dict):
            self.keys.update(keys_of(record.value))

    def note(self, record: Record, name: str | None, reason: str, detail: str) -> None:
        """A part of a record that was left out."""
        self.notes.append(Told(record.number, record.line, name, reason, detail))

    def again(self, reason: str, what: str, record: Record | None, name: str | None = None, count: int = 1) -> None:
        """Something that recurs in many records; `what` holds no text of a record."""
        entry = self.often.setdefault((reason, what), _Often(record, name))
        entry.count += count

    def whole_fault(self, name: str | None, fault: Fault) -> None:
        """A fault of the whole file."""
        self.faults.append(Told(WHOLE, None, name, *fault))

    def rows(self) -> Iterator[Told]:
        """All rows of quarantine. A file of which no record is known takes one, not thousands."""
        if not self.formats and self.lost:
            yield Told(WHOLE, None, None, self.first_reason, f"{self.of_all}; {self.seen}")
            yield from (fault for fault in self.faults if fault.record == WHOLE)
        else:
            yield from self.faults
        yield from self.notes
        for (reason, what), often in self.often.items():
            record, line = (often.first.number, often.first.line) if often.first else (WHOLE, None)
            yield Told(record, line, often.format, reason, SAID[reason].format(what=what, count=_times(often.count)))

    @property
    def first_reason(self) -> str:
        """Why its first unread record, or the file itself, is not read."""
        reasons = [fault.reason for fault in self.faults if fault.reason not in LEFT_OUT]
        if not self.formats and "unknown_format" in reasons:
            return "unknown_format"
        return reasons[0] if reasons else self.faults[0].reason

    @property
    def first_fault(self) -> str | None:
        """The reason of its first fault, if any."""
        return self.faults[0].reason if self.faults else None

    @property
    def first_detail(self) -> str:
        """What was found there."""
        return next(fault.detail for fault in self.faults if fault.reason == self.first_reason)

    @property
    def of_all(self) -> str:
        """How many of its records are not read, in words."""
        return f"{self.unread} of {self.records} records not read"

    @property
    def seen(self) -> str:
        """The keys of the unread records, and the nearest format."""
        if not self.keys:
            return "no keys to tell"
        near = nearest(self.keys)
        return f"keys seen: {named(self.keys)}; " + (f"the nearest format is {near}" if near else "no format is near")

    def warning(self) -> str | None:
        """One line on what users must know of the file; None when all was read."""
        parts = []
        if self.unread:
            first = next(fault for fault in self.faults if fault.record >= 0 and fault.reason not in LEFT_OUT)
            where = f"line {first.line}" if first.line is not None else f"record {first.record}"
            parts.append(f"{self.of_all} (first {where}: {first.reason}, {first.detail}; {self.seen})")
        whole = [told for told in (*self.faults, *self.notes) if told.record == WHOLE and told.reason != "not_a_log"]
        parts.extend(f"{told.reason}: {told.detail}" for told in whole)
        for reason, said in SAID.items():
            if reason in QUIET:
                continue
            found = sorted((-often.count, what) for (kind, what), often in self.often.items() if kind == reason)
            parts.extend(said.format(what=what, count=_times(-count)) for count, what in found[:MOST_TOLD])
            if len(found) > MOST_TOLD:
                parts.append(f"{reason}: and {len(found) - MOST_TOLD} others")
        return f"{self.shown}: " + "; ".join(parts) if parts else None


# How what recurs is told, by reason.
SAID = {
    "unread_vote": "`{what}` looks like a vote and is not read ({count})",
    "unknown_role": "the role `{what}` is unknown, and its messages are left out ({count}): say in ingest.roles whose it is",
    "unread_time": "times spelled {what} are not read: no such spelling is known, or it may mean two days; they are null",
    "windows_1252": "no UTF-8, read as Windows-1252 ({count})",
    "broken_byte": "bytes that are no UTF-8 became U+FFFD ({count})",
    "text_line": "lines without JSON are not read ({count})",
    "encoding": "{what}, read as such",
    "log_prefix": "text before the JSON, as log collectors write it, is left out ({count})",
    "wrapped": "the record stands inside the key `{what}` of another, as log collectors write it ({count})",
}
QUIET = frozenset({"encoding", "log_prefix", "wrapped"})  # they stand in quarantine, but nobody need be warned


def _times(count: int) -> str:
    return f"{count} times" if count != 1 else "once"


def row_of(file: RawFile, told: Told) -> tuple[Any, ...]:
    """The row with the file's id in front."""
    return (file.digest, *told)
