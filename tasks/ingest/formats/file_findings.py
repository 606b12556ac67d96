"""Findings in one raw file or archive member: counts, faults, and the warning for users.

Faults and notes become rows of `quarantine`; what recurs in many records (an unknown role, a vote that is not read) is one row and one part
of the file's warning, with a count and its first location.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.common.raw_files.files import Fault, RawFile, Record
from tasks.common.redaction import redact
from tasks.common.redaction.paths import path
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.reasons.ingest import LEFT_OUT
from tasks.ingest.formats.nearest_format import keys_of, listed_names, nearest

WHOLE = -1  # record number that stands for the whole file
MOST_RECORDS = 1000  # unread records whose keys are collected
MOST_LISTED = 5  # findings of one kind in a warning


class Finding(NamedTuple):
    """A row of quarantine: record, line, format, reason, detail."""

    record: int
    line: int | None
    format: str | None
    reason: str
    detail: str


@dataclass
class _Repeated:
    """A repeated finding: how often, and where first."""

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
    faults: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    keys: Counter[str] = field(default_factory=Counter)  # of the unread records
    repeated: dict[tuple[str, str], _Repeated] = field(default_factory=dict)  # by reason and subject

    def file_note(self, fault: Fault) -> None:
        """Add a note on the whole file, which is still read."""
        self.notes.append(Finding(WHOLE, None, None, *fault))

    @property
    def shown(self) -> str:
        """Its name for printing, with personal data in the path redacted."""
        return path(self.name, redact.KINDS)

    @property
    def format(self) -> str | None:
        """The format of its records; `mixed` when there are several, None when no reader recognises any."""
        known = [name for name in self.formats if name]
        return known[0] if len(known) == 1 else "mixed" if known else None

    @property
    def lost(self) -> int:
        """Number of records without any result."""
        return sum(fault.record >= 0 for fault in self.faults)

    @property
    def unread(self) -> int:
        """Number of records that could not be read, without those left out because of their content."""
        return sum(fault.record >= 0 and fault.reason not in LEFT_OUT for fault in self.faults)

    @property
    def is_unread(self) -> bool:
        """True for a file that should have records, none of which was read."""
        if self.records:
            return self.unread == self.records
        return any(fault.reason != why.NOT_A_LOG for fault in self.faults)

    def fault(self, record: Record, name: str | None, fault: Fault) -> None:
        """Add a fault of one record, which gives no result."""
        self.faults.append(Finding(record.number, record.line, name, *fault))
        if len(self.faults) <= MOST_RECORDS and isinstance(record.value, dict):
            self.keys.update(keys_of(record.value))

    def note(self, record: Record, name: str | None, reason: str, detail: str) -> None:
        """Add a note on a part of a record that was left out."""
        self.notes.append(Finding(record.number, record.line, name, reason, detail))

    def count_repeated(self, reason: str, what: str, record: Record | None, name: str | None = None, count: int = 1) -> None:
        """Count a finding that recurs in many records; `what` must hold no text of a record."""
        entry = self.repeated.setdefault((reason, what), _Repeated(record, name))
        entry.count += count

    def file_fault(self, name: str | None, fault: Fault) -> None:
        """Add a fault of the whole file."""
        self.faults.append(Finding(WHOLE, None, name, *fault))

    def rows(self) -> Iterator[Finding]:
        """All rows of quarantine; one row for a file in which no record is recognised."""
        if not self.formats and self.lost:
            yield Finding(WHOLE, None, None, self.first_reason, f"{self.unread_share}; {self.keys_seen}")
            yield from (fault for fault in self.faults if fault.record == WHOLE)
        else:
            yield from self.faults
        yield from self.notes
        for (reason, what), entry in self.repeated.items():
            record, line = (entry.first.number, entry.first.line) if entry.first else (WHOLE, None)
            yield Finding(record, line, entry.format, reason, MESSAGES[reason].format(what=what, count=_times(entry.count)))

    @property
    def first_reason(self) -> str:
        """The reason for its first unread record, or for the file itself."""
        reasons = [fault.reason for fault in self.faults if fault.reason not in LEFT_OUT]
        if not self.formats and why.UNKNOWN_FORMAT in reasons:
            return why.UNKNOWN_FORMAT
        return reasons[0] if reasons else self.faults[0].reason

    @property
    def first_fault(self) -> str | None:
        """The reason of its first fault, if any."""
        return self.faults[0].reason if self.faults else None

    @property
    def first_detail(self) -> str:
        """The detail of that first reason."""
        return next(fault.detail for fault in self.faults if fault.reason == self.first_reason)

    @property
    def unread_share(self) -> str:
        """How many of its records are not read, in words."""
        return f"{self.unread} of {self.records} records not read"

    @property
    def keys_seen(self) -> str:
        """The keys of the unread records, and the nearest format, in words."""
        if not self.keys:
            return "no keys"
        near = nearest(self.keys)
        return f"keys seen: {listed_names(self.keys)}; " + (f"the nearest format is {near}" if near else "no format is similar")

    def warning(self) -> str | None:
        """One line of warnings about the file; None when all was read."""
        parts = []
        if self.unread:
            first = next(fault for fault in self.faults if fault.record >= 0 and fault.reason not in LEFT_OUT)
            where = f"line {first.line}" if first.line is not None else f"record {first.record}"
            parts.append(f"{self.unread_share} (first {where}: {first.reason}, {first.detail}; {self.keys_seen})")
        whole = [finding for finding in (*self.faults, *self.notes) if finding.record == WHOLE and finding.reason != "not_a_log"]
        parts.extend(f"{finding.reason}: {finding.detail}" for finding in whole)
        for reason, message in MESSAGES.items():
            if reason in QUIET:
                continue
            counts = sorted((-entry.count, what) for (kind, what), entry in self.repeated.items() if kind == reason)
            parts.extend(message.format(what=what, count=_times(-count)) for count, what in counts[:MOST_LISTED])
            if len(counts) > MOST_LISTED:
                parts.append(f"{reason}: and {len(counts) - MOST_LISTED} others")
        return f"{self.shown}: " + "; ".join(parts) if parts else None


# Messages for repeated findings, by reason.
MESSAGES = {
    why.UNREAD_VOTE: "`{what}` looks like a vote and is not read ({count})",
    why.UNKNOWN_ROLE: "unknown role `{what}`, its messages are left out ({count}); add it to ingest.roles",
    why.UNREAD_TIME: "times of the form {what} are not read (unknown or ambiguous) and are null",
    why.WINDOWS_1252: "not UTF-8, read as Windows-1252 ({count})",
    why.BROKEN_BYTE: "bytes that are not UTF-8 became U+FFFD ({count})",
    why.TEXT_LINE: "lines without JSON are not read ({count})",
    why.ENCODING: "{what}, read as such",
    why.LOG_PREFIX: "text before the JSON, as written by log collectors, is skipped ({count})",
    why.WRAPPED: "the record is nested in the key `{what}`, as written by log collectors ({count})",
}
QUIET = frozenset({why.ENCODING, why.LOG_PREFIX, why.WRAPPED})  # in quarantine, but without a warning


def _times(count: int) -> str:
    return f"{count} times" if count != 1 else "once"


def row_of(file: RawFile, finding: Finding) -> tuple[object, ...]:
    """The row, with the file's id first."""
    return (file.digest, *finding)
