"""Read raw chat logs and feedback of any known format into turns and feedback.

In: every file below `data/raw`, packed or not; the format is recognised record by record from its content.
Out: `turns`, `feedback`, `quarantine` (records that could not be read, with location and reason) and `files` (all files).
`ledger.json` also counts the records: in = read (kept) + quarantined (dropped).

Everything that is not read, possible votes included, is reported in one line per file; more than `ingest.max_unread` allows stops the run.
Files with the same bytes are read once. The same turn or vote in several exports is kept once (see `tasks.ingest.formats.merge_exports`).
User ids are hashed with the salt of `tasks.common.salt`. What the tombstones in `data/erased` name (`tasks.common.tombstones`) is left out
before anything is merged; its rows are counted, by their places alone. Raw files are only opened for reading.
"""

from __future__ import annotations

import fnmatch
import functools
import gc
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from tasks.common import log_salt, tombstones
from tasks.common.raw_files import archives, records
from tasks.common.raw_files import files as raw
from tasks.common.raw_files.json_repair import parse
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import Role
from tasks.core import engine, shell, table_io
from tasks.core.errors import UserError, one_of
from tasks.core.ledger import Account, check_reasons, reconcile
from tasks.core.params import StageParams
from tasks.core.pipeline import Stage
from tasks.core.tables import Files, Quarantine
from tasks.ingest.formats import FORMATS, erased, jsonl, recognise
from tasks.ingest.formats.columns import TableBuilder
from tasks.ingest.formats.file_findings import MESSAGES, Member, row_of
from tasks.ingest.formats.limits import MaxUnread, nothing_read, too_much
from tasks.ingest.formats.loose_messages import Place
from tasks.ingest.formats.merge_exports import merge_acts, merge_turns
from tasks.ingest.formats.nearest_format import is_printable
from tasks.ingest.formats.roles import learn_roles
from tasks.ingest.formats.times import unread_shapes
from tasks.ingest.formats.unread_files import page_of, warn_of
from tasks.ingest.formats.unread_votes import VoteWatch
from tasks.ingest.formats.vote_words import zeros_as_down
from tasks.ingest.formats.wrapped import listed, untabled, unwrapped

WRITES: tuple[str, ...] = ("turns", "feedback", "quarantine", "files")
STAGE = "ingest"
REASON = Quarantine.names().index("reason")
MOST_PAGES = 200  # records in a batch; in larger batches they are too small to be pages of records
PAGE = "quarantine.csv"  # report, written where the run stops


class Params(StageParams):
    """Parameters of reading raw logs."""

    formats: dict[str, str] = Field(description="glob on the path below the raw folder: name of the format to read it as")
    not_logs: list[str] = Field(description="globs on names of files without chats, which may be unread")
    roles: dict[Role, list[str]] = Field(description="names that logs give each role")
    max_unread: MaxUnread
    unpack: archives.Unpack


def run(tables: engine.Tables, params: Params) -> engine.Tables:
    """Mark duplicate turns and votes; quarantine and files are unchanged."""
    turns = merge_turns(tables["turns"].to_arrow()).drop_columns(["preferred"])
    acts, zeros = zeros_as_down(merge_acts(tables["feedback"].to_arrow()), "jsonl")
    if not len(acts):
        warnings.warn("no feedback in any file: only prompts can be built, and pairs from signals in users' next turns", stacklevel=2)
    if zeros:
        warnings.warn(f"all thumbs are 1 or 0: the {zeros} that are 0 count as down", stacklevel=2)
    return {**tables, "turns": engine.in_parts(turns), "feedback": engine.from_arrow(acts)}


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Read all files of the stage's input and write its tables into `folder`."""
    check(params)
    source = stage.input("raw")
    with no_cycle_search():
        files, odd = raw.look(source)
        key = functools.cache(lambda: log_salt.choose(files))
        reading = Reading(params, key, _tombstones(stage, key))
        reading.read(source, files, odd)
        reading.warn(_formats_before(stage.output))
        page = stage.reports / PAGE if stage.reports else None
        reading.hold_to_bounds(source, page)
        if page:
            page.unlink(missing_ok=True)  # left by an earlier run
        key()  # also where no user has an id: later stages hash with it, too
        accounts = reading.accounts()
    for account in accounts:
        table_io.write_account(account, True, folder)
    table_io.write_ledger(accounts, folder, {"records": reading.record_account()})
    table_io.log_accounts(stage.name, accounts)


def _tombstones(stage: Stage, key: Callable[[], str]) -> tombstones.Tombstones:
    """What must be left out; the salt is chosen only where there is something."""
    folder = stage.input(tombstones.NAME)
    return tombstones.load(folder, key()) if any(folder.glob("*.txt")) else tombstones.NONE


def _formats_before(output: Path) -> dict[str, str]:
    """Format by file of the previous run, for a message only."""
    if not (output / "files").is_dir():
        return {}
    rows = engine.read_table(output / "files").to_arrow().select(["name", "format"]).to_pylist()
    return {row["name"]: row["format"] for row in rows if row["format"]}


def check(params: Params) -> None:
    """A UserError for a format that does not exist."""
    for glob, name in params.formats.items():
        if name not in FORMATS:
            raise UserError(f"params.yaml: ingest.formats: {glob}", repr(name), one_of(FORMATS), "correct the name of the format")


@contextmanager
def no_cycle_search() -> Iterator[None]:
    """Switch off cyclic garbage collection: parsed records have no reference cycles, but scanning millions of them takes half the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _distinct(files: list[raw.RawFile]) -> list[tuple[raw.RawFile, list[raw.RawFile]]]:
    """Each distinct file, with its copies."""
    groups: dict[str, list[raw.RawFile]] = {}
    for file in files:
        groups.setdefault(file.digest, []).append(file)
    return [(group[0], group[1:]) for group in groups.values()]


class Reading:
    """One run of the stage: reads files and returns the accounts of its tables."""

    def __init__(self, params: Params, key: Callable[[], str], left_out: tombstones.Tombstones = tombstones.NONE) -> None:
        self._params = params
        learn_roles(params.roles)
        unread_shapes()  # discards those of an earlier reading
        self._builder = TableBuilder(key, left_out)
        self._watch = VoteWatch()
        self._members: list[Member] = []
        self._quarantine: set[tuple[Any, ...]] = set()
        self._files: list[tuple[Any, ...]] = []
        self._reasons: Counter[str] = Counter()
        self._records = 0

    def read(self, source: Path, files: list[raw.RawFile], odd: Iterable[raw.Oddity]) -> None:
        """Take note of what is odd and read each content once; `source` is where the files lie, for messages."""
        self.enter(source, odd)
        for file, copies in _distinct(files):
            self.read_file(file, copies)

    def enter(self, source: Path, odd: Iterable[raw.Oddity]) -> None:
        """Record what is not a readable file, or is read indirectly."""
        for oddity in odd:
            member = Member(raw.RawFile(source / oddity.name, oddity.name, raw.name_digest(oddity.name), 0), oddity.name)
            if oddity.read:
                member.file_note(oddity.fault)
            else:
                member.file_fault(None, oddity.fault)
            self._close(member)

    def read_file(self, file: raw.RawFile, copies: list[raw.RawFile]) -> None:
        """Read one file; `copies` are other files with the same bytes."""
        number, formats = 0, set()
        try:
            for inner, stream in archives.members(file.path, file.size, self._params.unpack):
                member = Member(file, f"{file.name}/{inner}" if inner else file.name)
                number = self._read_member(member, stream, number)
                formats.add(member.format)
        except OSError as error:
            member = Member(file, file.name)
            member.file_fault(None, raw.Fault(why.CANNOT_BE_READ, f"reading ends early ({error.strerror})"))
            self._close(member)
        if file.has_changed():
            member = Member(file, file.name)
            member.file_note(raw.Fault(why.CHANGED, "the file changed while it was read; its first state was read: run again"))
            self._take_note(member)
        for copy in copies:
            self._files.append((file.digest, copy.name, copy.size, formats.pop() if len(formats) == 1 else None, 0, 0))
            self._quarantine.add((file.digest, -1, None, None, why.SAME_FILE, f"{len(copies) + 1} files have the same bytes; read once"))

    def _read_member(self, member: Member, stream: raw.Stream | raw.Fault, number: int) -> int:
        """Read one unpacked file, numbering its records from `number`; returns the number after its last."""

        def count_repeated(reason: str, what: str, number: int, line: int | None) -> None:
            member.count_repeated(reason, what, raw.Record(number, line, None, None))

        forced = next((name for glob, name in self._params.formats.items() if fnmatch.fnmatchcase(member.name, glob)), None)
        if isinstance(stream, raw.Fault):
            member.file_fault(forced, stream)
        else:
            try:
                for parsed in records.batches(stream, number, count_repeated):
                    batch = parsed if forced else self._opened(member, parsed, number)
                    self._read_batch(member, batch, forced)
                    number += len(batch)
            except raw.Unreadable as error:
                member.file_fault(forced, error.fault)
        self._close(member)
        return number

    def _opened(self, member: Member, batch: list[raw.Record], first: int) -> list[raw.Record]:
        """The batch with each page replaced by the records in it, renumbered from `first`."""
        unpacked: list[raw.Record] = []
        for record in batch if len(batch) <= MOST_PAGES else ():
            value = record.value
            page = listed(value) if isinstance(value, dict) and not recognise(value) and unwrapped(value) is None else None
            if page:
                member.count_repeated(why.WRAPPED, page[1] if is_printable(page[1]) else "?", record)
            unpacked += [record] if page is None else [record._replace(value=item) for item in page[0]]
        unpacked = unpacked or batch
        if len(unpacked) == len(batch) and (not batch or batch[0].number == first):
            return batch
        return [record._replace(number=first + at) for at, record in enumerate(unpacked)]

    def _read_batch(self, member: Member, batch: list[raw.Record], forced: str | None) -> None:
        member.records += len(batch)
        groups: dict[str, list[raw.Record]] = {}
        for record in batch:
            if known := self._recognised(member, record, forced):
                groups.setdefault(known[0], []).append(known[1])
        for name, group in groups.items():
            member.formats[name] += len(group)
            if name == "jsonl":
                straight, group = jsonl.plain(group)
                self._builder.add_plain(name, member.file.digest, straight)
                self._look_for_votes(member, name, straight.records, "messages")
            if forced is None:
                self._look_for_votes(member, name, group)
            for record in group:
                self._read_record(member, name, record)

    def _recognised(self, member: Member, record: raw.Record, forced: str | None) -> tuple[str, raw.Record] | None:
        """A record's format, and the record without its log collector's wrapping; None, and a fault, where no reader knows it."""
        if isinstance(record.value, str) and record.value.lstrip()[:1] == "{":  # a record as JSON text
            record = record._replace(value=parse(record.value.encode("utf-8", "replace"))[0])
        if fault := record.fault or _no_object(record):
            member.fault(record, forced, fault)
            return None
        if (whole := untabled(record.value)) is not record.value:
            record = record._replace(value=whole)
        if name := forced or recognise(record.value):
            return name, record
        if inside := unwrapped(record.value):
            member.count_repeated(why.WRAPPED, inside[1] if is_printable(inside[1]) else "?", record)
            return str(recognise(inside[0])), record._replace(value=inside[0])
        member.fault(record, None, raw.Fault(why.UNKNOWN_FORMAT, "no format matches this record"))
        return None

    def _look_for_votes(self, member: Member, name: str, group: Iterable[raw.Record], bare: str | None = None) -> None:
        """Count possible votes that are not read; `bare` names a list whose objects are read completely."""
        for record in group:
            for key in self._watch.unread(name, FORMATS[name].read, record.value, bare):
                member.count_repeated(why.UNREAD_VOTE, key, record, name)

    def _read_record(self, member: Member, name: str, record: raw.Record) -> None:
        try:
            notes = self._builder.add(name, Place(member.file.digest, record.number), FORMATS[name].read(record.value))
        except raw.Unreadable as error:
            member.fault(record, name, error.fault)
        except (LookupError, TypeError, AttributeError, ValueError):
            if FORMATS[name].recognise(record.value):
                raise  # a bug of the reader
            member.fault(record, name, raw.Fault(why.WRONG_FORMAT, f"set to be read as {name}, which it is not"))
        else:
            for reason, detail in notes:
                if reason in MESSAGES:
                    member.count_repeated(reason, detail if is_printable(detail) else "?", record, name)
                else:
                    member.note(record, name, reason, detail)

    def _close(self, member: Member) -> None:
        """Add one file's counts."""
        for shape in unread_shapes():
            member.count_repeated(why.UNREAD_TIME, shape, None)
        self._take_note(member)
        lost = [fault.reason for fault in member.faults if fault.record >= 0]
        self._reasons.update(lost if member.formats or not lost else [member.first_reason] * len(lost))
        self._records += member.records
        self._files.append((member.file.digest, member.name, member.file.size, member.format, member.records, member.lost))

    def _take_note(self, member: Member) -> None:
        """Add the findings of a file."""
        self._members.append(member)
        self._quarantine.update(row_of(member.file, finding) for finding in member.rows())

    def warn(self, former: dict[str, str]) -> None:
        """Warn of what is not read; `former` are formats by file of the previous run."""
        if self._records > sum(self._reasons.values()):  # otherwise the error covers it
            warn_of(self._members, former)

    def hold_to_bounds(self, source: Path, page: Path | None) -> None:
        """Stop where too much is unread or nothing was read, after writing the quarantine page."""
        if self._records > sum(self._reasons.values()):
            error = too_much(self._members, self._params.max_unread, self._params.not_logs, source, page)
        else:
            error = nothing_read(self._members, FORMATS, source, page)
        if error is None:
            return
        if page:
            shell.write_page(page, page_of(self._quarantine, self._files))
        raise error

    def record_account(self) -> dict[str, object]:
        """The ledger's entry for records: read ones count as kept, quarantined ones as dropped."""
        lost = sum(self._reasons.values())
        reasons = dict(sorted(self._reasons.items()))
        check_reasons(STAGE, "records", reasons)
        return {"in": self._records, "made": 0, "kept": self._records - lost, "dropped": lost, "reasons": reasons}

    def accounts(self) -> list[Account]:
        """The accounts of all tables."""
        turns, notes = self._builder.turns()
        for name, at, reason, detail in notes:
            self._quarantine.add((at.file, at.record, None, name, reason, detail))
        check_reasons(STAGE, "quarantine", {str(row[REASON]) for row in self._quarantine})
        tables = {
            "turns": engine.in_parts(turns),
            "feedback": engine.from_arrow(self._builder.feedback()),
            "quarantine": engine.from_arrow(_rows(self._quarantine, Quarantine.schema())),
            "files": engine.from_arrow(_rows(self._files, Files.schema())),
        }
        result = run(tables, self._params)
        tables.clear()
        return [reconcile(STAGE, name, self._with_erased(name, result.pop(name).to_arrow()), None) for name in WRITES]

    def _with_erased(self, name: str, rows: pa.Table) -> pa.Table:
        """The rows, and those that tombstones left out, emptied, so that they are counted."""
        places = self._builder.erased.get(name)
        return pa.concat_tables([rows, erased.emptied(places, rows.schema)]) if places is not None and len(places) else rows


def _no_object(record: raw.Record) -> raw.Fault | None:
    return None if isinstance(record.value, dict) else raw.Fault(why.NOT_AN_OBJECT, f"a {type(record.value).__name__}")


def _rows(rows: Iterable[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    """Rows as a table; the shell sorts it."""
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)
