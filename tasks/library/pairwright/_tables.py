"""Lists of dicts, pandas and Arrow as the tables that stages take; and stages' results as kept and dropped rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import daft
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core import engine
from tasks.core.errors import UserError
from tasks.core.ledger import ids_of, reconcile
from tasks.core.tables import TABLES, TEXT, Table

Rows: TypeAlias = pa.Table | pd.DataFrame | Iterable[Mapping[str, Any]]
SLASH = pa.scalar("/", TEXT)
DROPPED = pa.schema([("stage", TEXT), ("table", TEXT), ("id", TEXT), ("reason", TEXT)])


@dataclass(frozen=True)
class Step:
    """What one stage did: kept and dropped rows by table, sorted by key."""

    stage: str
    kept: Mapping[str, pa.Table]
    dropped: Mapping[str, pa.Table]
    counts: Mapping[str, Mapping[str, object]]  # as the stage's ledger


@dataclass(frozen=True, repr=False)
class Result:
    """What every step returns.

    Attributes
    ----------
    steps : tuple of Step
        The stages behind the result, each with the rows that it kept and dropped, by table.
    """

    steps: tuple[Step, ...]

    @property
    def dropped(self) -> pa.Table:
        """One row for each row that was dropped: `stage`, `table`, `id` and `reason` (one word)."""
        parts = [_told(step.stage, name, rows) for step in self.steps for name, rows in step.dropped.items()]
        return pa.concat_tables([DROPPED.empty_table(), *parts])

    def dropped_rows(self, table: str) -> pa.Table:
        """The dropped rows of a table in full, with `dropped` (the reason) and what the stage says of the drop beside it."""
        parts = [step.dropped[table] for step in self.steps if table in step.dropped]
        if not parts:
            return TABLES[table].schema().append(pa.field("dropped", TEXT)).empty_table() if table in TABLES else _no_table(table)
        return pa.concat_tables(parts, promote_options="default")

    def __repr__(self) -> str:
        kept = ", ".join(f"{len(rows):,} {name}" for name, rows in self.steps[-1].kept.items() if len(rows)) or "nothing"
        gone: dict[str, dict[str, int]] = {}
        for row in self.dropped.group_by(["table", "reason"], use_threads=False).aggregate([([], "count_all")]).to_pylist():
            gone.setdefault(row["table"], {})[row["reason"]] = row["count_all"]
        told = [f"{name}: " + ", ".join(f"{reason} {count}" for reason, count in sorted(rows.items())) for name, rows in gone.items()]
        return f"<{type(self).__name__}: {kept}" + (f"; dropped {'; '.join(told)}>" if told else ">")


def _no_table(name: str) -> pa.Table:
    raise UserError("dropped_rows", repr(name), "one of " + ", ".join(sorted(TABLES)), "correct the name of the table")


def _told(stage: str, name: str, rows: pa.Table) -> pa.Table:
    """Rows of DROPPED."""
    key = TABLES[name].KEY
    ids = rows[key[0]]
    if name == "turns":
        ids = pc.binary_join_element_wise(rows["conversation_id"], rows["turn_id"], SLASH)  # type: ignore[call-overload]  # a scalar separator
    columns = [pa.repeat(pa.scalar(text, TEXT), len(rows)) for text in (stage, name)]
    return pa.table([*columns, ids.cast(TEXT), rows["dropped"]], schema=DROPPED)


def step_of(stage: str, result: engine.Tables, given: Mapping[str, pa.Table], writes: Sequence[str]) -> Step:
    """A stage's result as the shell accounts for it; `given` are the tables that went in."""
    kept, dropped, counts = dict[str, pa.Table](), dict[str, pa.Table](), dict[str, Mapping[str, object]]()
    for name, frame in result.items():
        account = reconcile(stage, name, engine.pieces(frame), ids_of(name, given[name]) if name in given else None)
        key, counts[name] = TABLES[name].KEY, account.entry()
        if name in writes:
            kept[name] = engine.sort(account.kept, key).combine_chunks()
        if len(account.dropped):
            dropped[name] = engine.sort(account.dropped, key).combine_chunks()
    return Step(stage, kept, dropped, counts)


def frames(tables: Mapping[str, pa.Table]) -> engine.Tables:
    """Arrow tables as what stages take."""
    return {name: daft.from_arrow(rows) for name, rows in tables.items()}


def is_table(value: object, table: type[Table]) -> bool:
    """Whether rows have the columns of this table: then they are no logs."""
    own = set(table.names()) - {"source", "language", "topic", "model"}
    return own <= set(columns_of(value))


def columns_of(value: object) -> list[str]:
    """Names of the columns of rows of any kind, as far as the first tells; none of what is no rows."""
    if isinstance(value, pa.Table):
        return [str(name) for name in value.column_names]
    if isinstance(value, pd.DataFrame):
        return [str(name) for name in value.columns]
    first = next(iter(value), None) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else None
    return [str(name) for name in first] if isinstance(first, Mapping) else []


def records_of(value: object, where: str) -> list[Any]:
    """Rows of any kind as a list of dicts; what a table says by null, or NaN, is no key of its dict."""
    if isinstance(value, pa.Table):
        return [_present(row) for row in value.to_pylist()]
    if isinstance(value, pd.DataFrame):
        return [_present(row) for row in value.to_dict("records")]
    if hasattr(value, "__arrow_c_stream__"):
        return [_present(row) for row in pa.table(value).to_pylist()]
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise UserError(where, f"a {type(value).__name__}", "a list of dicts, a pandas DataFrame or an Arrow table", "pass rows")
    return list(value)


def _present(value: object) -> object:
    """A table's value as a log would have it."""
    if isinstance(value, Mapping):
        return {name: _present(inner) for name, inner in value.items() if not _missing(inner)}
    if isinstance(value, np.ndarray | list | tuple):
        return [_present(inner) for inner in value]
    return value.item() if isinstance(value, np.generic) else value


def _missing(value: object) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def table_of(value: object, table: type[Table], where: str) -> pa.Table:
    """Rows of any kind as this table, sorted by key; a UserError for columns too few or too many, or values of another type."""
    _same_columns(value, table, where)
    schema = table.schema()
    try:
        rows = _arrow(value, schema, where).select(schema.names).cast(schema)
    except (pa.ArrowException, TypeError, ValueError, AttributeError) as error:
        raise UserError(where, _line(error), "values of the table's types", "take the rows as an earlier step returned them") from error
    return engine.sort(rows, table.KEY)


def _arrow(value: object, schema: pa.Schema, where: str) -> pa.Table:
    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pd.DataFrame):
        return pa.Table.from_pandas(value, schema=schema, preserve_index=False)
    return pa.Table.from_pylist(records_of(value, where), schema=schema)


def _same_columns(value: object, table: type[Table], where: str) -> None:
    names, found = table.names(), columns_of(value)
    if not found and isinstance(value, Sequence):  # an empty list has no columns to be wrong
        return
    lacking, odd = [name for name in names if name not in found], [name for name in found if name not in names]
    if lacking or odd:
        what = f"no column {lacking[0]}" if lacking else f"the column {odd[0]!r}"
        raise UserError(where, what, "the columns " + ", ".join(names), "add it" if lacking else "leave it out")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
