"""Retracted votes: null, 0 or "none" in place of a vote, or stars that a newer state of the vote no longer has.

In: all votes as the readers returned them, with retractions marked in `retracts`. Out: the same rows with `dropped`: `taken_back` for a
vote and for its retraction. A retraction without a vote is kept where the log has it (`explicit`); one that a reader concluded from a
missing value (`implied`) is removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import filled, flat
from tasks.common.vocabulary.reasons import ingest as why
from tasks.core.tables import TEXT

EXPLICIT, IMPLIED = "explicit", "implied"
TAKEN_BACK = why.TAKEN_BACK
SEPARATOR = pa.scalar("\x1f", TEXT)
Row = dict[str, Any]


def take_back(acts: pa.Table) -> pa.Table:
    """The acts with `dropped`."""
    marks, nothing = acts["retracts"].combine_chunks(), pa.nulls(len(acts), TEXT)
    if marks.null_count == len(acts):
        return acts.append_column("dropped", nothing)
    acts = acts.append_column("vote_key", _vote_key(acts))
    backs = acts.filter(pc.is_valid(marks))
    near, same = (pc.is_in(acts[key], pc.unique(backs[key]).drop_null()) for key in ("feedback_id", "vote_key"))
    mask = flat(pc.or_(near, same))
    rows = acts.filter(mask).to_pylist()
    gone = _taken(rows)
    reasons = pa.array([TAKEN_BACK if at in gone else None for at in range(len(rows))], TEXT)
    acts = acts.drop_columns(["vote_key"]).append_column("dropped", pc.replace_with_mask(nothing, mask, reasons))
    told = filled(pc.not_equal(acts["retracts"], pa.scalar(IMPLIED)), True)
    return acts.filter(pc.or_(pc.is_valid(acts["dropped"]), told))


def _vote_key(acts: pa.Table) -> pa.ChunkedArray[Any]:
    """Annotator, kind and answer; null where one of them is unknown."""
    columns = (acts[name] for name in ("annotator", "kind", "conversation_id", "turn_id"))
    keys: pa.ChunkedArray[Any] = pc.binary_join_element_wise(*columns, SEPARATOR)  # type: ignore[call-overload]  # a scalar separator
    return keys


def _taken(rows: list[Row]) -> set[int]:
    """The rows of retracted votes and of their retractions."""
    groups: dict[tuple[str, str], tuple[list[int], list[int]]] = {}  # of one key and kind: votes, and retractions
    for at, row in enumerate(rows):
        for key in {row["feedback_id"], row["vote_key"]} - {None}:
            groups.setdefault((key, row["kind"]), ([], []))[row["retracts"] is not None].append(at)
    gone: set[int] = set()
    for votes, backs in groups.values():
        if votes and backs:
            last, first = Moments([rows[at] for at in backs], 1), Moments([rows[at] for at in votes], -1)
            gone.update(at for at in votes if last.follow(rows[at]))
            gone.update(at for at in backs if first.precede(rows[at]))
    return gone


class Moments:
    """The latest (sign 1) or earliest (-1) of several retractions or votes, so that many with one key are compared at the cost of one.

    A retraction came after a vote if their times say so; else, in one file, if its record is further down. If the order is unknown, an
    explicit retraction counts as later: dropping the vote is safer.
    """

    def __init__(self, rows: Sequence[Row], sign: int) -> None:
        self._sign = sign
        self._time: float | None = None
        # by whether only rows without a time count: the outermost record of each file, and the files of explicit rows
        self._records: dict[bool, dict[str, int]] = {True: {}, False: {}}
        self._explicit: dict[bool, set[str]] = {True: set(), False: set()}
        for row in rows:
            when, file, record = known_at(row), row["origin"]["file"], row["origin"]["record"]
            if when is not None:
                self._time = when if self._time is None else max(sign * when, sign * self._time) * sign
            for untimed in (True, False) if when is None else (False,):
                self._records[untimed][file] = sign * max(sign * record, sign * self._records[untimed].get(file, record))
                if row["retracts"] in (None, EXPLICIT):
                    self._explicit[untimed].add(file)

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
        return self._records[untimed].get(file, record) < record or (back["retracts"] == EXPLICIT and self._elsewhere(untimed, file))

    def _elsewhere(self, untimed: bool, file: str) -> bool:
        files = self._explicit[untimed]
        return len(files) > (file in files)


def known_at(row: Row) -> float | None:
    """When a vote was cast, or its record was last changed."""
    times = [row[name].timestamp() for name in ("created_at", "seen_at") if row[name] is not None]
    return max(times, default=None)
