"""Reading logs: `read_logs`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import orjson
import pandas as pd
import pyarrow as pa

from pairwright._defaults import Params, salt_of, settings
from pairwright._tables import Result, Rows, Step, records_of
from tasks.common.raw_files import files as raw
from tasks.core import engine
from tasks.core.errors import UserError
from tasks.core.tables import TABLES
from tasks.ingest import stage as ingest

RECORDS = "records.jsonl"  # how records that lie in no file are called
OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
Source: TypeAlias = str | Path | Rows | Iterable[str | Path]


@dataclass(frozen=True, repr=False)
class Logs(Result):
    """Conversations and what people said of them, as `read_logs` found them.

    Attributes
    ----------
    turns : pyarrow.Table
        One row a message; messages of a conversation form a tree.
    feedback : pyarrow.Table
        One row an act of a person, or of a judging model, about an answer.
    quarantine : pyarrow.Table
        One row a record that could not be read, or that something is to be said of, with its place and reason.
    files : pyarrow.Table
        One row a file: its format and how many records it holds.
    """

    _salt: str = field(default="", compare=False)

    @property
    def turns(self) -> pa.Table:
        """One row a message."""
        return self.steps[-1].kept["turns"]

    @property
    def feedback(self) -> pa.Table:
        """One row an act about an answer."""
        return self.steps[-1].kept["feedback"]

    @property
    def quarantine(self) -> pa.Table:
        """One row a record that could not be read, or that something is to be said of."""
        return self.steps[-1].kept["quarantine"]

    @property
    def files(self) -> pa.Table:
        """One row a file."""
        return self.steps[-1].kept["files"]


def read_logs(source: Source, *, salt: str | None = None, params: Params | None = None, **own: object) -> Logs:
    """Read chat logs and feedback of any known format.

    Parameters
    ----------
    source : path, list of paths, list of dicts, pandas.DataFrame or pyarrow.Table
        A file, a folder (with all below it), several of them, or the records themselves, one dict (or row) a record. The format is
        recognised record by record: ChatGPT, Claude, LibreChat, Open WebUI, OpenAI requests, ShareGPT, OASST, Chatbot Arena, HH,
        preference sets, and plain conversations with `messages`. Files may be packed (gzip, bzip2, xz, zstd, zip, tar).
    salt : str, optional
        What people's ids are hashed with. By default $PAIRWRIGHT_SALT, else a secret made anew in each process: give one to find the same
        ids again.
    params : mapping, optional
        Other parameters than the shipped ones, by stage, as in `params.yaml`.
    **own
        Parameters of the stage `ingest` by name: `formats`, `roles`, `not_logs`, `max_unread`, `unpack`.

    Returns
    -------
    Logs
        `turns`, `feedback`, `quarantine` and `files`.

    Raises
    ------
    UserError
        Where there is no such file, no record can be read, or more is unread than `max_unread` allows.

    Examples
    --------
    >>> import pairwright
    >>> chat = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!", "feedback": "up"}]}
    >>> logs = pairwright.read_logs([chat, {"id": 7}])
    >>> logs.turns.select(["role", "content"]).to_pylist()
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello!'}]
    >>> logs.quarantine.select(["record", "reason"]).to_pylist()
    [{'record': 1, 'reason': 'unknown_format'}]
    """
    chosen, key = settings("ingest", ingest.Params, params, own), salt_of(salt)
    ingest.check(chosen)
    if paths := _paths(source):
        files, odd = _look(paths)
        return Logs((_read(chosen, key, paths[0], files, odd),), key)
    records = records_of(source, "read_logs")
    if not records:
        return Logs((_nothing(),), key)
    with tempfile.TemporaryDirectory(prefix="pairwright-") as folder:
        (Path(folder) / RECORDS).write_bytes(b"".join(_line(record, at) for at, record in enumerate(records)))
        return Logs((_read(chosen, key, Path("read_logs"), *raw.look(Path(folder))),), key)


def _paths(source: Source) -> list[Path]:
    """The source as paths; none where it is records."""
    if isinstance(source, str | Path):
        return [Path(source)]
    if isinstance(source, list | tuple | set) and source and all(isinstance(one, str | Path) for one in source):
        return sorted(Path(str(one)) for one in source)
    return []


def _look(paths: list[Path]) -> tuple[list[raw.RawFile], list[raw.Oddity]]:
    """What lies there."""
    if missing := next((path for path in paths if not path.exists()), None):
        raise UserError(str(missing), "no such file", "a file or a folder with logs", "correct the path")
    files, odd = raw.look_at(path for path in paths if not path.is_dir())
    for folder in filter(Path.is_dir, paths):
        inside, strange = raw.look(folder)
        files, odd = files + inside, odd + strange
    return sorted(files, key=lambda file: (file.digest, file.name)), odd


def _line(record: object, at: int) -> bytes:
    try:
        return orjson.dumps(record, default=_plain, option=OPTIONS) + b"\n"
    except TypeError as error:
        raise UserError(f"read_logs: record {at}", str(error), "values that JSON knows", "write them as text or figures") from error


def _plain(value: object) -> object:
    """What JSON has no form for: times of pandas as text, sets and arrays as lists."""
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset) or hasattr(value, "tolist"):
        return list(value)  # type: ignore[call-overload]
    raise TypeError(f"a value of type {type(value).__name__}")


def _read(params: ingest.Params, key: str, source: Path, files: list[raw.RawFile], odd: list[raw.Oddity]) -> Step:
    """The stage over these files."""
    with ingest.no_cycle_search():
        reading = ingest.Reading(params, lambda: key)
        reading.read(source, files, odd)
        reading.warn({})
        reading.hold_to_bounds(source, None)
        accounts = reading.accounts()
    kept = {account.table: engine.sort(account.kept, TABLES[account.table].KEY).combine_chunks() for account in accounts}
    dropped = {account.table: engine.sort(account.dropped, TABLES[account.table].KEY) for account in accounts if len(account.dropped)}
    counts = {account.table: account.entry() for account in accounts}
    return Step("ingest", kept, dropped, {**counts, "records": reading.record_account()})


def _nothing() -> Step:
    return Step("ingest", {name: TABLES[name].schema().empty_table() for name in ingest.WRITES}, {}, {})
