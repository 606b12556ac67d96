"""Votes that were taken back: null, 0 or "none" where a vote stood, or stars that a newer state of the same vote no longer has.

In: all acts as the readers gave them, those that `retracts` marks among them. Out: the same rows with `dropped`: `taken_back` for a vote
and for what took it back. A retraction that meets no vote stays as it is where the log tells it (`told`); one that a reader concluded from
what is missing (`implied`) goes.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    groups: dict[tuple[str, str], tuple[list[int], list[int]]] = {}  # of one key and kind: votes, and retractions
    for at, row in enumerate(rows):
        for key in {row["feedback_id"], row["about"]} - {None}:
            groups.setdefault((key, row["kind"]), ([], []))[row["retracts"] is not None].append(at)
    gone: set[int] = set()
    for votes, backs in groups.values():
        if votes and backs:
            last, first = Moments([rows[at] for at in backs], 1), Moments([rows[at] for at in votes], -1)
            gone.update(at for at in votes if last.follow(rows[at]))
            gone.update(at for at in backs if first.precede(rows[at]))
    return gone


class Moments:
    """The latest (sign 1) or earliest (-1) of some retractions or votes, so that many of one key are compared at the cost of one.

    A retraction came after a vote if both have times that say so; else, in one file, if its record stands further below. If nobody knows,
    one that the log tells did: no vote is safer.
    """

    def __init__(self, rows: Sequence[Row], sign: int) -> None:
        self._sign = sign
        self._time: float | None = None
        # by whether only rows without a time are asked: the outermost record of each file, and the files of what the log tells itself
        self._records: dict[bool, dict[str, int]] = {True: {}, False: {}}
        self._told: dict[bool, set[str]] = {True: set(), False: set()}
        for row in rows:
            when, file, record = known_at(row), row["origin"]["file"], row["origin"]["record"]
            if when is not None:
                self._time = when if self._time is None else max(sign * when, sign * self._time) * sign
            for untimed in (True, False) if when is None else (False,):
                self._records[untimed][file] = sign * max(sign * record, sign * self._records[untimed].get(file, record))
                if row["retracts"] in (None, TOLD):
                    self._told[untimed].add(file)

    def follow(self, vote: Row) -> bool:
        """Whether one of these retractions came after the vote."""
        when, file, record = known_at(vote), vote["origin"]["file"], vote["origin"]["record"]
        if when is not None and self._time is not None and self._time >= when:
            return True
        untimed = when is not None
        return self._records[untimed].get(file, record) > record or self._elsewhere(untimed, file)

    def precede(self, back: Row) -> bool:
        """Whether the retraction came after one of these votes."""
        when, file, record = known_at(back), back["origin"]["file"], back["origin"]["record"]
        if when is not None and self._time is not None and self._time <= when:
            return True
        untimed = when is not None
        return self._records[untimed].get(file, record) < record or (back["retracts"] == TOLD and self._elsewhere(untimed, file))

    def _elsewhere(self, untimed: bool, file: str) -> bool:
        told = self._told[untimed]
        return len(told) > (file in told)


def known_at(row: Row) -> float | None:
    """When an act was done, or its record was last known to be so."""
    times = [row[name].timestamp() for name in ("created_at", "seen_at") if row[name] is not None]
    return max(times, default=None)
