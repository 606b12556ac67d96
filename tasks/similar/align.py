"""The tree of a copy laid over the tree of the conversation that stays, so that what people said finds its place there.

In: the turns of copies and of the conversations that stay, which copy belongs to which, and the judged turns. Out: a
target for each judged turn of a copy: the equal turn of the conversation that stays, or a new place there.

From the root on, the turns under one parent are matched one to one with the turns of the same role under its counterpart:
equal ones first, then those equal after `normalise`. A judged turn without an equal moves along, as a further answer under the
counterpart of its parent. Between a turn and the judged turns after it stands its counterpart of another wording (copies are near, not
equal), taken in order; only where there is none does the turn itself move along, so that no judged turn loses its context.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.ids import stable_id
from tasks.core.tables import TEXT
from tasks.similar.text import Places, fold

Row = int
ROOT = -1

TARGETS = pa.schema(
    [
        ("conversation_id", TEXT),  # of the copy
        ("turn_id", TEXT),
        ("to_conversation", TEXT),  # of the conversation that stays
        ("to_turn", TEXT),
        ("moves", pa.bool_()),  # the turn itself moves along: its row is kept, as to_turn
        ("to_parent", TEXT),
        ("to_position", pa.int32()),
    ]
)


def named(conversation: pa.ChunkedArray | pa.Array, turn: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """One text that names a turn; null where the turn's id is null."""
    return pc.binary_join_element_wise(conversation, turn, pa.scalar("\n", TEXT))


def align(turns: pa.Table, copy_of: dict[str, str], judged: pa.Array) -> pa.Table:
    """Targets of the `judged` turns (as `named`) of the conversations that `copy_of` maps to the one that stays; turns sorted by key."""
    return _Alignment(turns, copy_of).targets(judged)


class _Alignment:
    """One use: rows are places in `turns`, which holds the copies and the conversations that stay."""

    def __init__(self, turns: pa.Table, copy_of: dict[str, str]) -> None:
        self.copy_of = copy_of
        self.names = named(turns["conversation_id"], turns["turn_id"])
        parents = pc.index_in(named(turns["conversation_id"], turns["parent_id"]), value_set=self.names)
        self.parent: Places = pc.fill_null(parents, ROOT).to_numpy().astype(np.int64)
        self.conversation: list[str] = turns["conversation_id"].to_pylist()
        self.turn: list[str] = turns["turn_id"].to_pylist()
        self.role: list[str] = turns["role"].to_pylist()
        self.content: list[str] = turns["content"].to_pylist()
        self.position: list[int] = turns["position"].to_pylist()
        self.roots: dict[str, list[Row]] = defaultdict(list)
        self.children, self.bounds = self._below()
        self.joined: dict[tuple[str, Row], list[Row]] = defaultdict(list)  # what has moved under a turn or to the roots so far
        self.equal: dict[Row, Row] = {}  # the turn that a turn of a copy has become
        self.stand: dict[Row, Row] = {}  # the turn under which the turns after it go
        self.over: dict[Row, Row] = {}  # turns that move along, and their new parent

    def _below(self) -> tuple[list[Row], list[int]]:
        """Rows by parent, and where each parent's begin; the roots apart."""
        for row in np.flatnonzero(self.parent == ROOT).tolist():
            self.roots[self.conversation[row]].append(row)
        order = np.argsort(self.parent, kind="stable")
        bounds = np.searchsorted(self.parent[order], np.arange(len(order) + 1))
        return order.tolist(), bounds.tolist()

    def _under(self, stays: str, anchor: Row) -> list[Row]:
        """The turns under one of a conversation that stays, or its roots; then those that have moved there."""
        if anchor == ROOT:
            own = self.roots[stays]
        elif self.conversation[anchor] == stays:
            own = self.children[self.bounds[anchor] : self.bounds[anchor + 1]]
        else:  # it has moved there itself, and what stood under it in the copy comes only as far as it is judged
            own = []
        return own + self.joined[stays, anchor]

    def targets(self, judged: pa.Array) -> pa.Table:
        """Match all copies, one after the other by id, and tell where their judged turns went."""
        places = pc.index_in(judged, value_set=self.names).to_pylist()
        wanted = {row for row in places if row is not None and self.conversation[row] in self.copy_of}
        if not wanted:
            return TARGETS.empty_table()
        path = self._path(wanted)
        inner = set(self.parent[path].tolist())  # with wanted turns after them
        for _, group in groupby(path.tolist(), key=lambda row: (self.conversation[row], self.parent[row])):
            self._match(list(group), wanted, inner)
        return pa.Table.from_pylist([self._target(row) for row in sorted(wanted | set(self.over))], TARGETS)

    def _path(self, wanted: set[Row]) -> Places:
        """The turns from the roots to the wanted ones: copy by copy, parents first, siblings together."""
        levels = [np.array(sorted(wanted), np.int64)]
        while len(levels[-1]):
            above = np.unique(self.parent[levels[-1]])
            levels.append(above[above != ROOT])
        rows = np.unique(np.concatenate(levels))
        depth, above = np.zeros(len(rows), np.int64), self.parent[rows]
        while (above != ROOT).any():
            depth += above != ROOT
            above = np.where(above == ROOT, ROOT, self.parent[above])
        copy = np.unique([self.conversation[row] for row in rows.tolist()], return_inverse=True)[1]
        return rows[np.lexsort((rows, self.parent[rows], depth, copy))]

    def _match(self, rows: list[Row], wanted: set[Row], inner: set[Row]) -> None:
        """Find counterparts for siblings of one copy, or let them move along."""
        stays, above = self.copy_of[self.conversation[rows[0]]], int(self.parent[rows[0]])
        anchor = ROOT if above == ROOT else self.stand[above]
        free = self._under(stays, anchor)
        left = [row for row in rows if not self._pair(row, free, str)]
        left = [row for row in left if not self._pair(row, free, fold)]
        for row in left:
            like = next((other for other in free if self.role[other] == self.role[row]), None)
            if row in inner and like is not None:
                free.remove(like)
                self.stand[row] = like
            if row in wanted or row not in self.stand:
                self.over[row], self.equal[row] = anchor, row
                self.stand.setdefault(row, row)
                self.joined[stays, anchor].append(row)  # the next copy may hold the same answer

    def _pair(self, row: Row, free: list[Row], alike: Callable[[str], str]) -> bool:
        """Pair a turn with the first free one of its role and text, if there is one."""
        role, text = self.role[row], alike(self.content[row])
        for other in free:
            if self.role[other] == role and alike(self.content[other]) == text:
                free.remove(other)
                self.equal[row] = self.stand[row] = other
                return True
        return False

    def _target(self, row: Row) -> dict[str, object]:
        """One line of TARGETS."""
        became = self.equal[row]
        anchor = self.over.get(became, ROOT)
        return {
            "conversation_id": self.conversation[row],
            "turn_id": self.turn[row],
            "to_conversation": self.copy_of[self.conversation[row]],
            "to_turn": self._id(became),
            "moves": became == row,
            "to_parent": None if anchor == ROOT else self._id(anchor),
            "to_position": self._depth(became),
        }

    def _id(self, row: Row) -> str:
        """The id of a turn after the merge; a turn that moves along gets one that is unique there."""
        return stable_id(self.conversation[row], self.turn[row]) if row in self.over else self.turn[row]

    def _depth(self, row: Row) -> int:
        """The position of a turn after the merge."""
        if row not in self.over:
            return self.position[row]
        return 0 if self.over[row] == ROOT else self._depth(self.over[row]) + 1
