"""Exports overlap: the same turn or act may be there several times. One stays, the others say why they go.

In: all turns and all acts as the readers gave them. Out: the same rows with `dropped`: null, `repeated` (says the same
as the one kept) or `conflicting` (another version of it). Which one stays never depends on names or order of files:
the text that a vote was about, then the newest record (its newest message), then the larger, then by hash of content.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.ids import stable_id
from tasks.core.tables import TEXT, TEXTS, Feedback
from tasks.ingest.formats.retractions import known_at, take_back

REPEATED, CONFLICTING = "repeated", "conflicting"
# What a turn says, and what is only known around it: the latter is filled in from other copies where the kept one lacks it.
SAID = ("parent_id", "role", "content", "tool_calls", "attachments", "status")
AROUND = ("model", "user_id", "created_at", "topic", "tool_call_id", "tool_name", "tools", "reasoning")
JUDGED = ("conversation_id", "turn_id", "kind", "value", "scale_min", "scale_max", "label", "better", "worse", "text")
KEY = ("conversation_id", "turn_id")
Row = dict[str, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


def settle_turns(turns: pa.Table) -> pa.Table:
    """The turns with `dropped`; only conversations whose records do not tell exactly the same are looked at row by row."""
    several = in_several_records(turns)
    parts = [_dropped(turns if not several.any() else turns.filter(pa.array(~several)), None)]
    if several.any():
        rows = _by_turn(turns.filter(pa.array(several)))
        again = _same_as_before(rows, KEY)
        changed = again & ~_same_as_before(rows, [name for name in rows.column_names if name not in (*KEY, "origin")])
        names = _codes(rows["conversation_id"])
        hard = np.bincount(names, weights=changed)[names] > 0
        parts.append(_dropped(rows.filter(pa.array(again & ~hard)), REPEATED))  # of equal copies the first by origin stays
        parts.append(_dropped(rows.filter(pa.array(~again & ~hard)), None))
        parts.append(pa.Table.from_pylist(_settle_turns(rows.filter(pa.array(hard)).to_pylist()), schema=parts[0].schema))
    return pa.concat_tables(parts)


def _dropped(rows: pa.Table, reason: str | None) -> pa.Table:
    return rows.append_column("dropped", pa.repeat(pa.scalar(reason, TEXT), len(rows)))


def _by_turn(turns: pa.Table) -> pa.Table:
    """The turns with all copies of one next to each other, the first by origin in front."""
    origin = {name: pc.struct_field(turns["origin"], name) for name in ("file", "record", "position")}
    keys = pa.table({name: turns[name] for name in KEY} | origin)
    return turns.take(pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names]))


def _same_as_before(rows: pa.Table, names: Sequence[str]) -> Mask:
    """Mask of the rows that equal the row before them in these columns."""
    same = np.ones(len(rows), dtype=bool)
    same[:1] = False
    for name in names:
        # Lists cannot be compared: their digests, which hold no such sign, are joined.
        column = pc.binary_join(rows[name], pa.scalar("\x1f", TEXT)) if rows[name].type == TEXTS else rows[name]
        here, before = column.slice(1), column.slice(0, max(len(rows) - 1, 0))
        nulls = pc.and_(pc.is_null(here), pc.is_null(before))
        same[1:] &= pc.or_(pc.fill_null(pc.equal(here, before), False), nulls).to_numpy()
    return same


def in_several_records(turns: pa.Table) -> Mask:
    """Mask of the rows whose conversation is told by more than one record."""
    starts = np.ones(len(turns), dtype=bool)  # where another record, or another conversation, begins
    names = turns["conversation_id"]
    columns = (names, *(pc.struct_field(turns["origin"], name) for name in ("record", "file")))
    for number, column in enumerate(columns):
        changes = pc.not_equal(column.slice(1), column.slice(0, max(len(column) - 1, 0))).to_numpy()
        starts[1:] = changes if number == 0 else starts[1:] | changes
    counts = pc.value_counts(names.filter(pa.array(starts)))
    several = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    found: Mask = pc.is_in(names, several).to_numpy() if len(several) else np.zeros(len(turns), dtype=bool)
    return found


def _codes(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A number for each distinct text."""
    encoded = column.combine_chunks().dictionary_encode()
    codes: np.ndarray[Any, np.dtype[np.int64]] = encoded.indices.to_numpy(zero_copy_only=False)
    return codes


def _settle_turns(rows: list[Row]) -> list[Row]:
    records: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        records.setdefault((row["conversation_id"], row["origin"]["file"], row["origin"]["record"]), []).append(row)
    rank = {key: _record_rank(told) for key, told in records.items()}
    copies: dict[tuple[str, str], list[Row]] = {}
    for (name, file, record), told in records.items():
        for row in told:
            row["rank"] = (not row["preferred"], *rank[name, file, record], _said(row), file, record)
            copies.setdefault((name, row["turn_id"]), []).append(row)
    for same in copies.values():
        _settle_copies(same)
    return rows


def _record_rank(told: Iterable[Row]) -> tuple[float, int, str]:
    """Newest first, then the one with most messages, then any fixed order."""
    rows = sorted(told, key=lambda row: str(row["turn_id"]))
    newest = max((row["created_at"].timestamp() for row in rows if row["created_at"] is not None), default=0.0)
    return -newest, -len(rows), stable_id(*(part for row in rows for part in (row["turn_id"], _said(row))))


def _said(row: Row) -> str:
    return stable_id(*(repr(row[name]) for name in SAID))


def _settle_copies(same: list[Row]) -> None:
    """Mark all but one copy of a turn; what the one lacks around it, it takes from the best copy that has it."""
    same.sort(key=lambda row: row["rank"])
    kept, said = same[0], _said(same[0])
    equal = [row for row in same if _said(row) == said]
    kept["position"] = min(row["position"] for row in equal)
    for name in AROUND:
        kept[name] = next((row[name] for row in same if row[name] not in (None, "")), kept[name])
    kept["origin"], first = min((row["origin"] for row in equal), key=_where), kept["origin"]
    for row in same[1:]:
        if row["origin"] == kept["origin"]:
            row["origin"] = first
        row["dropped"] = REPEATED if _said(row) == said else CONFLICTING


def _where(origin: Row) -> tuple[str, int, int]:
    return origin["file"], origin["record"], origin["position"]


def settle_acts(acts: pa.Table) -> pa.Table:
    """The acts with `dropped`: votes that were taken back; of several with one id the newest stays, then the first by hash of content."""
    acts = take_back(acts)
    open_acts = pc.is_null(acts["dropped"])
    counts = acts.filter(open_acts).group_by("feedback_id").aggregate([([], "count_all")])
    several = counts.filter(pc.greater(counts["count_all"], 1))["feedback_id"]
    mask = pc.and_(open_acts, pc.is_in(acts["feedback_id"], several))
    rest = acts.filter(pc.invert(mask))
    if len(several):
        copies: dict[str, list[Row]] = {}
        for row in acts.filter(mask).to_pylist():
            copies.setdefault(row["feedback_id"], []).append(row)
        for same in copies.values():
            _settle_acts(same)
        rows = [row for same in copies.values() for row in same]
        rest = pa.concat_tables([rest, pa.Table.from_pylist(rows, schema=rest.schema)])
    return rest.drop_columns(["seen_at", "retracts"])


def _settle_acts(same: list[Row]) -> None:
    def rank(row: Row) -> tuple[Any, ...]:
        when = row["created_at"].timestamp() if row["created_at"] is not None else 0.0
        return -when, stable_id(*(repr(row[name]) for name in Feedback.names() if name != "origin")), *_where(row["origin"])

    # The last word counts; of the rows that say it, the one that best knows when it was said stays.
    same.sort(key=lambda row: (-(known_at(row) or 0.0), rank(row)))
    said = [same[0][name] for name in JUDGED]
    same.sort(key=lambda row: ([row[name] for name in JUDGED] != said, rank(row)))
    for row in same[1:]:
        row["dropped"] = REPEATED if [row[name] for name in JUDGED] == said else CONFLICTING
