"""Read raw chat logs and feedback of any known format into turns and feedback.

In: every file below `data/raw`, packed or not; the format is recognised record by record from its content.
Out: `turns`, `feedback`, `quarantine` (what could not be read, with its place and reason) and `files` (what was found).
`ledger.json` also counts the records: in = read (kept) + quarantined (dropped).

Two files with the same bytes are read once. The same turn or act in several exports stays once (see `tasks.formats.overlap`).
People's ids are hashed with the salt of `tasks.core.salt`. Raw files are only ever opened for reading.
"""

from __future__ import annotations

import fnmatch
import functools
import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from tasks.core import engine, raw, salt, shell
from tasks.core.catalog import Stage
from tasks.core.errors import UserError, one_of
from tasks.core.ledger import Account, settle
from tasks.core.params import StageParams
from tasks.core.tables import Files, Quarantine
from tasks.formats import FORMATS, jsonl, recognise
from tasks.formats.columns import Gatherer
from tasks.formats.loose import Place
from tasks.formats.overlap import settle_acts, settle_turns

WRITES: tuple[str, ...] = ("turns", "feedback", "quarantine", "files")


class Params(StageParams):
    """What a person may decide about reading."""

    formats: dict[str, str] = Field(description="glob on the path below the raw folder: name of the format to read it as")


def run(tables: engine.Tables, params: Params) -> engine.Tables:
    """Mark turns and acts that are there more than once; quarantine and files pass as they are."""
    turns = settle_turns(tables["turns"].to_arrow()).drop_columns(["preferred"])
    acts = settle_acts(tables["feedback"].to_arrow())
    return {**tables, "turns": engine.in_parts(turns), "feedback": engine.from_arrow(acts)}


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Read all files of the stage's input and write its tables into `folder`."""
    _check(params)
    source = stage.input("raw")
    with _no_cycle_search():
        files = raw.raw_files(source)
        key = functools.cache(lambda: salt.settle(files))
        reading = Reading(params, key)
        for file, copies in _distinct(files):
            reading.read_file(file, copies)
        reading.check_not_empty(source)
        key()  # also where nobody has an id: later stages hash with it, too
        accounts = reading.accounts()
    for account in accounts:
        shell.write_account(account, True, folder)
    shell.write_ledger(accounts, folder, {"records": reading.record_account()})
    shell.say(stage.name, accounts)


def _check(params: Params) -> None:
    for glob, name in params.formats.items():
        if name not in FORMATS:
            raise UserError(f"params.yaml: ingest.formats: {glob}", repr(name), one_of(FORMATS), "correct the name of the format")


@contextmanager
def _no_cycle_search() -> Iterator[None]:
    """Parsed records hold no reference cycles, but their millions of objects keep Python's search for cycles busy: half the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _distinct(files: list[raw.RawFile]) -> list[tuple[raw.RawFile, list[raw.RawFile]]]:
    """Each content once, with the files that only repeat it."""
    groups: dict[str, list[raw.RawFile]] = {}
    for file in files:
        groups.setdefault(file.digest, []).append(file)
    return [(group[0], group[1:]) for group in groups.values()]


@dataclass
class _Member:
    """Counts and faults of one file, or of one member of an archive."""

    file: raw.RawFile
    name: str
    formats: Counter[str | None] = field(default_factory=Counter)
    records: int = 0
    faults: list[tuple[int, int | None, str | None, str, str]] = field(default_factory=list)  # record, line, format, reason, detail
    notes: list[tuple[int, int | None, str | None, str, str]] = field(default_factory=list)

    @property
    def format(self) -> str | None:
        """The format of its records; `mixed` when there are several, None when no reader knows any."""
        known = [name for name in self.formats if name]
        return known[0] if len(known) == 1 else "mixed" if known else None


class Reading:
    """One run of the stage: takes files, gives the accounts of its tables."""

    def __init__(self, params: Params, key: Callable[[], str]) -> None:
        self._forced = params.formats
        self._gatherer = Gatherer(key)
        self._quarantine: set[tuple[Any, ...]] = set()
        self._files: list[tuple[Any, ...]] = []
        self._reasons: Counter[str] = Counter()
        self._records = 0

    def read_file(self, file: raw.RawFile, copies: list[raw.RawFile]) -> None:
        """Read one content; `copies` are the other names under which the same bytes lie there."""
        number, formats = 0, set()
        try:
            for inner, stream in raw.members(file.path):
                member = _Member(file, f"{file.name}/{inner}" if inner else file.name)
                number = self._read_member(member, stream, number)
                formats.add(member.format)
        except raw.BROKEN_PACKING as error:
            member = _Member(file, file.name)
            member.faults.append((-1, None, None, "broken_archive", f"cannot be unpacked ({type(error).__name__})"))
            self._close(member)
        for copy in copies:
            self._files.append((file.digest, copy.name, copy.size, formats.pop() if len(formats) == 1 else None, 0, 0))
            self._quarantine.add((file.digest, -1, None, None, "same_file", f"the same bytes lie there {len(copies) + 1} times; read once"))

    def _read_member(self, member: _Member, stream: raw.Stream, number: int) -> int:
        """Read one unpacked file whose records are numbered from `number`; the number after its last."""
        forced = next((name for glob, name in self._forced.items() if fnmatch.fnmatchcase(member.name, glob)), None)
        try:
            for batch in raw.batches(stream, number):
                self._read_batch(member, batch, forced)
                number += len(batch)
        except raw.Unreadable as error:
            member.faults.append((-1, None, forced, *error.fault))
        self._close(member)
        return number

    def _read_batch(self, member: _Member, batch: list[raw.Record], forced: str | None) -> None:
        member.records += len(batch)
        groups: dict[str, list[raw.Record]] = {}
        for record in batch:
            if record.fault:
                member.faults.append((record.number, record.line, forced, *record.fault))
            elif not isinstance(record.value, dict):
                member.faults.append((record.number, record.line, forced, "not_an_object", f"a {type(record.value).__name__}"))
            elif (name := forced or recognise(record.value)) is None:
                member.faults.append((record.number, record.line, None, "unknown_format", "no reader knows such a record"))
            else:
                groups.setdefault(name, []).append(record)
        for name, records in groups.items():
            member.formats[name] += len(records)
            if name == "jsonl":
                straight, records = jsonl.plain(records)
                self._gatherer.add_plain(name, member.file.digest, straight)
            for record in records:
                self._read_record(member, name, record)

    def _read_record(self, member: _Member, name: str, record: raw.Record) -> None:
        try:
            notes = self._gatherer.add(name, Place(member.file.digest, record.number), FORMATS[name].read(record.value))
        except raw.Unreadable as error:
            member.faults.append((record.number, record.line, name, *error.fault))
        else:
            member.notes.extend((record.number, record.line, name, *note) for note in notes)

    def _close(self, member: _Member) -> None:
        """Enter one file's counts; a file of which no record is known takes one line of quarantine, not thousands."""
        lost = [fault for fault in member.faults if fault[0] >= 0]
        reasons = Counter(fault[3] for fault in lost)
        if not member.formats and lost:
            member.faults = [(-1, None, None, "unknown_format", f"no reader knows any of its {member.records} records")]
            reasons = Counter({"unknown_format": len(lost)})
        for record, line, name, reason, detail in (*member.faults, *member.notes):
            self._quarantine.add((member.file.digest, record, line, name, reason, detail))
        self._reasons.update(reasons)
        self._records += member.records
        self._files.append((member.file.digest, member.name, member.file.size, member.format, member.records, len(lost)))

    def check_not_empty(self, folder: Path) -> None:
        """A run that read nothing at all is a mistake of the surroundings."""
        if self._records > sum(self._reasons.values()):
            return
        found = f"{len(self._files)} files, none with a record that can be read" if self._files else "no file"
        raise UserError(str(folder), found, "logs in one of the formats " + ", ".join(FORMATS), "put your exports there")

    def record_account(self) -> dict[str, object]:
        """The ledger's line about records: read ones count as kept, quarantined ones as dropped."""
        lost = sum(self._reasons.values())
        reasons = dict(sorted(self._reasons.items()))
        return {"in": self._records, "made": 0, "kept": self._records - lost, "dropped": lost, "reasons": reasons}

    def accounts(self) -> list[Account]:
        """All tables, settled."""
        turns, notes = self._gatherer.turns()
        for name, at, reason, detail in notes:
            self._quarantine.add((at.file, at.record, None, name, reason, detail))
        tables = {
            "turns": engine.in_parts(turns),
            "feedback": engine.from_arrow(self._gatherer.feedback()),
            "quarantine": engine.from_arrow(_rows(self._quarantine, Quarantine.schema())),
            "files": engine.from_arrow(_rows(self._files, Files.schema())),
        }
        result = run(tables, Params(formats=self._forced))
        tables.clear()
        return [settle("ingest", name, result.pop(name).to_arrow(), None) for name in WRITES]


def _rows(rows: Iterable[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Rows as a table; the shell sorts it."""
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)
