"""Row accounting: nothing disappears, nothing appears. in + made = kept + dropped, row by row; every drop has a reason of the vocabulary.

A stage returns, for every table that it was given, all of that table's rows, each kept (`dropped` is null)
or dropped (`dropped` holds the reason); a table that it only makes may have `dropped` too. A row that it made
says so in the boolean column `made`. Rows are known again by their table's identity (`Table.identity`), so a lost row cannot hide behind a
new one, nor a row that is kept and dropped at once behind a lost one. Columns `dropped`, `made` and any other that the schema does not know
(for instance `copy_of`, `similarity`) go into the dropped rows' table only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.engine import Ids, hashes
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
        reasons, counts = pc.value_counts(self.dropped["dropped"]).flatten()
        return dict(sorted(zip(cast("list[str]", reasons.to_pylist()), cast("list[int]", counts.to_pylist()), strict=True)))

    def entry(self) -> dict[str, object]:
        """The line of the ledger."""
        return {"in": self.rows_in, "made": self.made, "kept": self.kept_rows, "dropped": len(self.dropped), "reasons": self.reasons}


@dataclass(frozen=True)
class Piece:
    """A part of a stage's result, taken apart."""

    kept: pa.Table
    dropped: pa.Table
    ids: Ids  # of all rows
    made: npt.NDArray[np.bool_]  # which say that they were made


def ids_of(name: str, rows: pa.Table) -> Ids:
    """What a table's rows are known by, a hash each."""
    return hashes(rows, TABLES[name].identity())


def reconcile(stage: str, name: str, rows: pa.Table | Iterable[pa.Table], came: Ids | None, *, keep: bool = True) -> Account:
    """Split a stage's result into kept and dropped, and hold it against the rows that went in, of which `came` holds the `ids_of`.

    `came` is None for a table that the stage makes from others: then every row counts as made. A large result may
    come piece by piece (at least one): then it is never there twice. With `keep=False` kept rows are counted and let go.
    Raises AccountError when rows are lost, or come from nowhere, or are dropped for a reason that the stage has not declared.
    """
    kept, dropped, ids, made = list[pa.Table](), list[pa.Table](), list[Ids](), list[npt.NDArray[np.bool_]]()
    for rows_of_piece in [rows] if isinstance(rows, pa.Table) else rows:
        piece = _split(stage, name, rows_of_piece, known=came is not None)
        kept.append(piece.kept if keep else piece.kept.schema.empty_table())
        dropped.append(piece.dropped)
        ids.append(piece.ids)
        made.append(piece.made)
    gone, new = pa.concat_tables(dropped), np.concatenate(made)
    count = len(new)
    if came is None:
        account = Account(name, pa.concat_tables(kept), gone, 0, count, count - len(gone))
    else:
        account = Account(name, pa.concat_tables(kept), gone, len(came), int(new.sum()), count - len(gone))
        _balance(stage, account, came, np.concatenate(ids), new)
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


def _balance(stage: str, account: Account, came: Ids, ids: Ids, made: npt.NDArray[np.bool_]) -> None:
    """Fail unless the rows that are not made are those that went in, each once, and those that are made are others.

    Sums of hashes tell at no cost; only where they differ are rows looked for.
    """
    where, stayed, new = f"{stage}: {account.table}", ids[~made], ids[made]
    if len(came) != len(stayed):
        sides = f"{len(came)} rows in + {len(new)} made, but {account.kept_rows} kept + {len(account.dropped)} dropped"
        raise AccountError(f"{where}: {sides} ({_difference(came, stayed)})")
    if came.sum() != stayed.sum():
        raise AccountError(f"{where}: what came out is not what went in: {_difference(came, stayed)}")
    if len(new) and _repeats(np.concatenate([came, new])) > _repeats(came):
        raise AccountError(f"{where}: a row that was made has the id of another row")


def _repeats(ids: Ids) -> int:
    """How many rows have the id of another one before them, in order."""
    ids = np.sort(ids)
    return int((ids[1:] == ids[:-1]).sum())


def _difference(came: Ids, stayed: Ids) -> str:
    """How many rows are lost, appear from nowhere, or stand there more often than they went in."""
    known, before, after = _counted(came, stayed)
    lost, fresh = int(((before > 0) & (after == 0)).sum()), int(((before == 0) & (after > 0)).sum())
    often = len(known) - lost - fresh - int((before == after).sum())
    return f"{lost} neither kept nor dropped, {fresh} from nowhere, {often} kept and dropped at once or not as often as they came"


def _counted(came: Ids, stayed: Ids) -> tuple[Ids, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Each id, how often it went in and how often it came out."""
    known, at = np.unique(np.concatenate([came, stayed]), return_inverse=True)
    return known, np.bincount(at[: len(came)], minlength=len(known)), np.bincount(at[len(came) :], minlength=len(known))


def _split(stage: str, name: str, rows: pa.Table, *, known: bool) -> Piece:
    """Kept rows, dropped rows, and where rows that went in are `known` by their ids, the ids; and which rows say that they were made."""
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
    ids = ids_of(name, rows) if known else np.zeros(0, np.uint64)
    return Piece(kept, dropped.drop_columns(["made"]) if "made" in dropped.column_names else dropped, ids, _made(rows))


def _made(rows: pa.Table) -> npt.NDArray[np.bool_]:
    if "made" not in rows.column_names:
        return np.zeros(len(rows), bool)
    return np.asarray(rows["made"].fill_null(pa.scalar(False)).to_numpy(), np.bool_)
