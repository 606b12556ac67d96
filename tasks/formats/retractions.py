"""Votes that were taken back: null, 0 or "none" where a vote stood, or stars that a newer state of the same vote no longer has.

In: all acts as the readers gave them, those that `retracts` marks among them. Out: the same rows with `dropped`: `taken_back` for a vote
and for what took it back. A retraction that meets no vote stays as it is where the log tells it (`told`); one that a reader concluded from
what is missing (`implied`) goes.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.tables import TEXT

TOLD, IMPLIED = "told", "implied"
TAKEN_BACK = "taken_back"
Row = dict[str, Any]


def take_back(acts: pa.Table) -> pa.Table:
    """The acts with `dropped`."""
    marks, nothing = acts["retracts"].combine_chunks(), pa.nulls(len(acts), TEXT)
    if marks.null_count == len(acts):
        return acts.append_column("dropped", nothing)
    acts = acts.append_column("about", _about(acts))
    backs = acts.filter(pc.is_valid(marks))
    near = pc.or_(*(pc.fill_null(pc.is_in(acts[key], pc.unique(backs[key]).drop_null()), False) for key in ("feedback_id", "about")))
    mask = near.combine_chunks()
    rows = acts.filter(mask).to_pylist()
    gone = _taken(rows)
    reasons = pa.array([TAKEN_BACK if at in gone else None for at in range(len(rows))], TEXT)
    acts = acts.drop_columns(["about"]).append_column("dropped", pc.replace_with_mask(nothing, mask, reasons))
    return acts.filter(pc.or_(pc.is_valid(acts["dropped"]), pc.fill_null(pc.not_equal(acts["retracts"], IMPLIED), True)))


def _about(acts: pa.Table) -> pa.ChunkedArray:
    """Person, kind and answer; null where one of them is not known."""
    return pc.binary_join_element_wise(acts["annotator"], acts["kind"], acts["conversation_id"], acts["turn_id"], pa.scalar("\x1f", TEXT))


def _taken(rows: list[Row]) -> set[int]:
    """The places of votes that were taken back, and of what took them back."""
    backs: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        for key in {row["feedback_id"], row["about"]} if row["retracts"] else ():
            if key is not None:
                backs.setdefault(key, []).append(at)
    gone: set[int] = set()
    for at, row in enumerate(rows):
        if row["retracts"]:
            continue
        met = {*backs.get(row["feedback_id"], []), *backs.get(row["about"] or "", [])}
        later = [back for back in met if rows[back]["kind"] == row["kind"] and _follows(rows[back], row)]
        gone.update([at, *later] if later else [])
    return gone


def _follows(back: Row, vote: Row) -> bool:
    """Whether the retraction came after the vote. If nobody knows, one that the log tells did: no vote is safer."""
    when, voted = known_at(back), known_at(vote)
    if when is not None and voted is not None:
        return when >= voted
    if back["origin"]["file"] == vote["origin"]["file"]:
        return bool(back["origin"]["record"] > vote["origin"]["record"])
    return bool(back["retracts"] == TOLD)


def known_at(row: Row) -> float | None:
    """When an act was done, or its record was last known to be so."""
    times = [row[name].timestamp() for name in ("created_at", "seen_at") if row[name] is not None]
    return max(times, default=None)
