"""Overlapping exports: the same turn or vote may occur several times. One is kept, the others are dropped with a reason.

In: all turns and votes as the readers returned them. Out: the same rows with `dropped`: null, `repeated` (equal to the one kept) or
`conflicting` (another version of it). Which one is kept never depends on names or order of files: the text that a vote was about, then the
newest record (by its newest message), then the larger one, then by hash of content.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import Mask, mask
from tasks.common.vocabulary.reasons import ingest as why
from tasks.core.ids import stable_id
from tasks.core.tables import TEXT, TEXTS, Feedback
from tasks.ingest.formats.retractions import known_at, take_back

REPEATED, CONFLICTING = why.REPEATED, why.CONFLICTING
# A turn's content, and its context, which is filled in from other copies where the kept one lacks it.
CONTENT = ("parent_id", "role", "content", "tool_calls", "attachments", "status")
CONTEXT = ("model", "user_id", "created_at", "topic", "tool_call_id", "tool_name", "tools", "reasoning")
JUDGEMENT = ("conversation_id", "turn_id", "kind", "value", "scale_min", "scale_max", "label", "better", "worse", "text")
KEY = ("conversation_id", "turn_id")
Row = dict[str, Any]


def merge_turns(turns: pa.Table) -> pa.Table:
    """The turns with `dropped`; only conversations whose records differ are processed row by row."""
    several = in_several_records(turns)
    parts = [_dropped(turns if not several.any() else turns.filter(pa.array(~several)), None)]
    if several.any():
        rows = _by_turn(turns.filter(pa.array(several)))
        again = _same_as_before(rows, KEY)
        changed = again & ~_same_as_before(rows, [name for name in rows.column_names if name not in (*KEY, "origin")])
        names = _codes(rows["conversation_id"])
        hard = np.bincount(names, weights=changed)[names] > 0
        parts.append(_dropped(rows.filter(pa.array(again & ~hard)), REPEATED))  # of equal copies the first by origin is kept
        parts.append(_dropped(rows.filter(pa.array(~again & ~hard)), None))
        parts.append(pa.Table.from_pylist(_merge_records(rows.filter(pa.array(hard)).to_pylist()), schema=parts[0].schema))
    return pa.concat_tables(parts)


def _dropped(rows: pa.Table, reason: str | None) -> pa.Table:
    return rows.append_column("dropped", pa.repeat(pa.scalar(reason, TEXT), len(rows)))


def _by_turn(turns: pa.Table) -> pa.Table:
    """The turns with copies next to each other, ordered by origin."""
    origin = {name: pc.struct_field(turns["origin"], name) for name in ("file", "record", "position")}
    keys = pa.table({name: turns[name] for name in KEY} | origin)
    return turns.take(pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names]))


def _same_as_before(rows: pa.Table, names: Sequence[str]) -> Mask:
    """Mask of the rows that equal the previous row in these columns."""
    same = np.ones(len(rows), dtype=bool)
    same[:1] = False
    for name in names:
        # Lists cannot be compared: their digests, which hold no such sign, are joined.
        lists = rows[name].type == TEXTS
        column = cast("pa.ChunkedArray[Any]", pc.binary_join(rows[name], pa.scalar("\x1f", TEXT))) if lists else rows[name]
        here, before = column.slice(1), column.slice(0, max(len(rows) - 1, 0))
        nulls = pc.and_(pc.is_null(here), pc.is_null(before))
        same[1:] &= mask(pc.equal(here, before)) | mask(nulls)
    return same


def in_several_records(turns: pa.Table) -> Mask:
    """Mask of the rows whose conversation is in more than one record."""
    starts = np.ones(len(turns), dtype=bool)  # where another record, or another conversation, begins
    names = turns["conversation_id"]
    columns = (names, *(pc.struct_field(turns["origin"], name) for name in ("record", "file")))
    for number, column in enumerate(columns):
        changes = pc.not_equal(column.slice(1), column.slice(0, max(len(column) - 1, 0))).to_numpy()
        starts[1:] = changes if number == 0 else starts[1:] | changes
    counts = pc.value_counts(names.filter(pa.array(starts)))
    several = counts.field("values").filter(pc.greater(counts.field("counts"), pa.scalar(1)))
    return mask(pc.is_in(names, several)) if len(several) else np.zeros(len(turns), dtype=bool)


def _codes(column: pa.ChunkedArray[Any]) -> npt.NDArray[np.int64]:
    """A number for each distinct text."""
    encoded = column.combine_chunks().dictionary_encode()
    codes: np.ndarray[Any, np.dtype[np.int64]] = encoded.indices.to_numpy(zero_copy_only=False)
    return codes


def _merge_records(rows: list[Row]) -> list[Row]:
    records: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        records.setdefault((row["conversation_id"], row["origin"]["file"], row["origin"]["record"]), []).append(row)
    rank = {key: _record_rank(messages) for key, messages in records.items()}
    copies: dict[tuple[str, str], list[Row]] = {}
    for (name, file, record), messages in records.items():
        for row in messages:
            row["rank"] = (not row["preferred"], *rank[name, file, record], _content_hash(row), file, record)
            copies.setdefault((name, row["turn_id"]), []).append(row)
    for same in copies.values():
        _merge_copies(same)
    return rows


def _record_rank(messages: Iterable[Row]) -> tuple[float, int, str]:
    """Sort key of a record: newest first, then most messages, then a fixed order."""
    rows = sorted(messages, key=lambda row: str(row["turn_id"]))
    newest = max((row["created_at"].timestamp() for row in rows if row["created_at"] is not None), default=0.0)
    return -newest, -len(rows), stable_id(*(part for row in rows for part in (row["turn_id"], _content_hash(row))))


def _content_hash(row: Row) -> str:
    return stable_id(*(repr(row[name]) for name in CONTENT))


def _merge_copies(same: list[Row]) -> None:
    """Mark all but one copy of a turn; context that the kept one lacks is taken from the best copy that has it."""
    same.sort(key=lambda row: row["rank"])
    kept, content = same[0], _content_hash(same[0])
    equal = [row for row in same if _content_hash(row) == content]
    kept["position"] = min(row["position"] for row in equal)
    for name in CONTEXT:
        kept[name] = next((row[name] for row in same if row[name] not in (None, "")), kept[name])
    kept["origin"], first = min((row["origin"] for row in equal), key=_where), kept["origin"]
    for row in same[1:]:
        if row["origin"] == kept["origin"]:
            row["origin"] = first
        row["dropped"] = REPEATED if _content_hash(row) == content else CONFLICTING


def _where(origin: Row) -> tuple[str, int, int]:
    return origin["file"], origin["record"], origin["position"]


def merge_acts(acts: pa.Table) -> pa.Table:
    """The votes with `dropped`: retracted ones; of several with one id the newest is kept, then the first by hash of content."""
    acts = take_back(acts)
    open_acts = pc.is_null(acts["dropped"])
    counts = acts.filter(open_acts).group_by("feedback_id").aggregate([([], "count_all")])
    several = counts.filter(pc.greater(counts["count_all"], pa.scalar(1)))["feedback_id"]
    overlapping = pc.and_(open_acts, pc.is_in(acts["feedback_id"], several))
    rest = acts.filter(pc.invert(overlapping))
    if len(several):
        copies: dict[str, list[Row]] = {}
        for row in acts.filter(overlapping).to_pylist():
            copies.setdefault(row["feedback_id"], []).append(row)
        for same in copies.values():
            _merge_versions(same)
        rows = [row for same in copies.values() for row in same]
        rest = pa.concat_tables([rest, pa.Table.from_pylist(rows, schema=rest.schema)])
    return rest.drop_columns(["seen_at", "retracts"])


def _merge_versions(same: list[Row]) -> None:
    def rank(row: Row) -> tuple[object, ...]:
        when = row["created_at"].timestamp() if row["created_at"] is not None else 0.0
        return -when, stable_id(*(repr(row[name]) for name in Feedback.names() if name != "origin")), *_where(row["origin"])

    # The latest judgement counts; of the rows with it, the one with the best known time is kept.
    same.sort(key=lambda row: (-(known_at(row) or 0.0), rank(row)))
    judgement = [same[0][name] for name in JUDGEMENT]
    same.sort(key=lambda row: ([row[name] for name in JUDGEMENT] != judgement, rank(row)))
    for row in same[1:]:
        row["dropped"] = REPEATED if [row[name] for name in JUDGEMENT] == judgement else CONFLICTING
