"""Row accounting: nothing disappears. in + made = kept + dropped, and every drop has a one-word reason that the vocabulary knows.

A stage returns, for every table that it was given, all of that table's rows, each kept (`dropped` is null)
or dropped (`dropped` holds the reason); a table that it only makes may have `dropped` too. A row that it made
says so in the boolean column `made`. Columns `dropped`, `made` and any other that the schema does not know
(for instance `copy_of`, `similarity`) go into the dropped rows' table only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.errors import one_of
from tasks.core.tables import TABLES

Reasons = Mapping[str, Collection[str]]  # by table, the reasons for which a stage may drop its rows
R = TypeVar("R", bound=Reasons)
_declared: dict[str, Reasons] = {}  # by stage


class AccountError(Exception):
    """A stage broke the contract of row accounting: a fault of ours, not of the user's."""


@dataclass(frozen=True)
class Account:
    """What became of one table's rows in one stage."""

    table: str
    kept: pa.Table  # the schema's columns; without rows where only their number was wanted
    dropped: pa.Table  # the schema's columns, `dropped`, and whatever the stage says of the drop
    rows_in: int
    made: int
    kept_rows: int

    @property
    def reasons(self) -> dict[str, int]:
        """Rows dropped for each reason, by name."""
        counts = pc.value_counts(self.dropped["dropped"]).to_pylist()
        return dict(sorted((entry["values"], entry["counts"]) for entry in counts))

    def entry(self) -> dict[str, object]:
        """The line of the ledger."""
        return {"in": self.rows_in, "made": self.made, "kept": self.kept_rows, "dropped": len(self.dropped), "reasons": self.reasons}


def reconcile(stage: str, name: str, rows: pa.Table | Iterable[pa.Table], rows_in: int | None, *, keep: bool = True) -> Account:
    """Split a stage's result into kept and dropped, and hold it against the number of rows that went in.

    `rows_in` is None for a table that the stage makes from others: then every row counts as made. A large result may
    come piece by piece (at least one): then it is never there twice. With `keep=False` kept rows are counted and let go.
    Raises AccountError when rows are lost, or come from nowhere, or are dropped for a reason that the stage has not declared.
    """
    kept, dropped, kept_rows, said_made = list[pa.Table](), list[pa.Table](), 0, 0
    for piece in [rows] if isinstance(rows, pa.Table) else rows:
        stays, goes, new = _split(stage, name, piece)
        kept.append(stays if keep else stays.schema.empty_table())
        dropped.append(goes)
        kept_rows, said_made = kept_rows + len(stays), said_made + new
    gone = pa.concat_tables(dropped)
    count = kept_rows + len(gone)
    made = count if rows_in is None else said_made
    account = Account(name, pa.concat_tables(kept), gone, rows_in or 0, made, kept_rows)
    if account.rows_in + made != count:
        raise AccountError(f"{stage}: {name}: {account.rows_in} rows in + {made} made, but {kept_rows} kept + {len(gone)} dropped")
    check_reasons(stage, name, account.reasons)
    return account


def declare(stage: str, reasons: R) -> R:
    """Let a stage drop rows for these reasons, and no others; they stand with their meaning in the vocabulary. Returns them."""
    _declared[stage] = reasons
    return reasons


def check_reasons(stage: str, name: str, found: Iterable[str]) -> None:
    """Raise AccountError for a reason that the stage has not declared: nothing is dropped for what no page explains."""
    known = _declared.get(stage, {}).get(name, ())
    for reason in found:
        if reason not in known:
            expected = one_of(known) if known else "no row of this table dropped"
            remedy = f"add it, with its meaning, to the vocabulary's reasons of {stage}"
            raise AccountError(f"{stage}: {name}: found the reason {reason!r}; expected {expected}; {remedy}")


def _split(stage: str, name: str, rows: pa.Table) -> tuple[pa.Table, pa.Table, int]:
    """Kept rows, dropped rows, and the number of rows that say that they were made."""
    schema = TABLES[name].schema()
    missing = set(schema.names) - set(rows.column_names)
    if missing:
        raise AccountError(f"{stage}: {name} lacks the columns {sorted(missing)}")
    if "dropped" not in rows.column_names:
        rows = rows.append_column("dropped", pa.nulls(len(rows), pa.large_string()))
    gone = pc.is_valid(rows["dropped"])
    whole = rows["dropped"].null_count == len(rows)  # then nothing need be copied, which for a large table is most of the memory
    kept = (rows if whole else rows.filter(pc.invert(gone))).select(schema.names).cast(schema)
    dropped = rows.slice(0, 0) if whole else rows.filter(gone)
    return kept, dropped.drop_columns(["made"]) if "made" in dropped.column_names else dropped, _made(rows)


def _made(rows: pa.Table) -> int:
    if "made" not in rows.column_names:
        return 0
    return int(pc.sum(rows["made"].cast(pa.int64())).as_py() or 0)
