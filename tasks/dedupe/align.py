"""The tree of a copy laid over the tree of the conversation that stays, so that what people said finds its place there.

In: the turns of copies and of the conversations that stay, which copy belongs to which, and the judged turns. Out: a
target for each judged turn of a copy: the equal turn of the conversation that stays, or a new place there.

From the root on, the turns under one parent are matched one to one with equal turns under its counterpart
(`tasks.common.text_identity`). So
what was said about an answer only ever moves to an equal answer to an equal prompt. A judged turn without an equal moves along, as a
further answer under the counterpart of its parent; so does each turn above it that has none, with its own words: no answer ever comes to
stand under another question.

One exception: a long question that differs in a single letter, and whose judged answers are all there, word for word, under the other's,
long enough not to be that by chance (`wording.OneLetter`). This is one chat told twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import filled, find, flat, mask, numbers, replaced, strings
from tasks.common.similarity.ngrams import Places
from tasks.common.text_identity import same_answer, same_message
from tasks.common.vocabulary.roles import ASSISTANT
from tasks.common.wording import OneLetter
from tasks.core.ids import ConversationId, TurnId, stable_id
from tasks.core.tables import TEXT, put

Row = int  # the place of a turn in the table of turns
A = TypeVar("A", "pa.Array[Any]", "pa.ChunkedArray[Any]")
PARTS = ("content", "redacted", "attachments", "tool_calls", "tools")  # what makes a turn, beside its role
ROOT = -1
KEPT = -1  # in place of the conversation that stays: it is no copy

_TARGETS: dict[str, pa.DataType] = {
    "conversation_id": TEXT,  # of the copy
    "turn_id": TEXT,
    "to_conversation": TEXT,  # of the conversation that stays
    "to_turn": TEXT,
    "moves": pa.bool_(),  # the turn itself moves along: its row is kept, as to_turn
    "to_parent": TEXT,
    "to_position": pa.int32(),
}
TARGETS = pa.schema(_TARGETS)


def named(conversation: A, turn: A) -> A:
    """One text that names a turn; null where the turn's id is null."""
    return cast("A", pc.binary_join_element_wise(conversation, turn, pa.scalar("\n", TEXT)))  # type: ignore[call-overload]  # with a scalar


def align(turns: pa.Table, copy_of: dict[ConversationId, ConversationId], judged: pa.Array[Any], one_letter: OneLetter) -> pa.Table:
    """Targets of the `judged` turns (as `named`) of the conversations that `copy_of` maps to the one that stays; turns sorted by key."""
    return _Alignment(turns.combine_chunks(), copy_of, one_letter).targets(judged)


class _Alignment:
    """One use: rows are places in `turns`, which holds the copies and the conversations that stay."""

    def __init__(self, turns: pa.Table, copy_of: dict[ConversationId, ConversationId], one_letter: OneLetter) -> None:
        files = cast("pa.ChunkedArray[Any]", pc.binary_join(turns["attachments"], pa.scalar(" ", TEXT)))
        self.turns, self.copy_of, self.one_letter = put(turns, "attachments", files), copy_of, one_letter
        self.content: pa.ChunkedArray[Any] = turns["content"]
        self.position: Places = turns["position"].to_numpy()
        self.names = named(turns["conversation_id"], turns["turn_id"])
        self.parent: Places = find(named(turns["conversation_id"], turns["parent_id"]), self.names)  # ROOT for none
        self.role: Places = _codes(turns["role"])[1]
        self.spelt: Places = _codes(turns["content"])[1]  # equal where contents are the same to the letter
        self.written = self._written()
        ids, self.talk = _codes(turns["conversation_id"])  # conversations by their place among the ids
        self.ids = cast("list[ConversationId]", ids.to_pylist())
        self.heads = np.searchsorted(self.talk, np.arange(len(ids) + 1))  # rows are sorted: where each conversation starts
        stays: pa.Array[Any] = pa.array([copy_of.get(name) for name in self.ids], TEXT)
        self.stays: Places = find(stays, ids)  # the conversation that stays for each, or KEPT
        self.children = np.argsort(self.parent, kind="stable")
        self.bounds = np.searchsorted(self.parent[self.children], np.arange(len(turns) + 1))
        self.joined: dict[tuple[int, Row], list[Row]] = defaultdict(list)  # what has moved under a turn or to the roots so far
        self.equal: dict[Row, Row] = {}  # the turn that a turn of a copy has become
        self.stand: dict[Row, Row] = {}  # the turn under which the turns after it go
        self.over: dict[Row, Row] = {}  # turns that move along, and their new parent
        self.misspelt: dict[Row, Row] = {}  # questions, and those that they are but for a letter
        self.keys: dict[Row, str] = {}
        self.moved: dict[Row, tuple[TurnId, int]] = {}  # id and position after the merge of turns that move along

    def targets(self, judged: pa.Array[Any]) -> pa.Table:
        """Match all copies, one after the other by id, and tell where their judged turns went."""
        rows = np.unique(pc.index_in(judged, value_set=self.names).drop_null().to_numpy().astype(np.int64))
        wanted = set(rows[self.stays[self.talk[rows]] != KEPT].tolist())
        if not wanted:
            return TARGETS.empty_table()
        self.equal.update(self.plain(np.array(sorted(wanted))))
        left = wanted - set(self.equal)
        path = self._path(left)
        inner = set(self.parent[path].tolist())  # with wanted turns after them
        for _, group in groupby(path.tolist(), key=lambda row: (self.talk[row], self.parent[row])):
            self._match(list(group), left, inner)
        self._prove(wanted)
        return self._targets(sorted(wanted | set(self.over)))

    def plain(self, rows: Places) -> dict[Row, Row]:
        """The easy ones, which are most: in two conversations without branches, turns in one place up to which all are equal.

        `_match` would find the same for them, one by one.
        """
        every = np.arange(len(self.talk))
        place = every - self.heads[self.talk]
        straight = np.logical_and.reduceat(self.parent == np.where(place == 0, ROOT, every - 1), self.heads[:-1])
        stays = self.stays[self.talk]
        usable = (stays != KEPT) & straight[self.talk] & straight[stays] & (place < np.diff(self.heads)[stays])
        other = np.where(usable, self.heads[stays] + place, 0)
        faults = np.cumsum(~usable | (self.written != self.written[other]))
        before = np.concatenate([[0], faults])[self.heads[self.talk]]
        rows = rows[faults[rows] == before[rows]]
        return dict(zip(rows.tolist(), other[rows].tolist(), strict=True))

    def _written(self) -> Places:
        """A number a turn, equal where two are the same to the letter."""
        found = self.role
        for codes in (self.spelt, *(_codes(self.turns[name])[1] for name in PARTS[1:])):
            _, found = np.unique(found * (int(codes.max(initial=-1)) + 2) + codes + 1, return_inverse=True)
        return found

    def _under(self, talk: int, anchor: Row) -> list[Row]:
        """The turns under one of a conversation that stays, or its roots; then those that have moved there."""
        if anchor == ROOT:
            rows = np.arange(self.heads[talk], self.heads[talk + 1])
            rows = rows[self.parent[rows] == ROOT]
        elif self.talk[anchor] == talk:
            rows = self.children[self.bounds[anchor] : self.bounds[anchor + 1]]
        else:  # it has moved there itself, and what stood under it in the copy comes only as far as it is judged
            rows = np.empty(0, np.int64)
        return [*rows.tolist(), *self.joined[talk, anchor]]

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
        return rows[np.lexsort((rows, self.parent[rows], depth, self.talk[rows]))]

    def _match(self, rows: list[Row], wanted: set[Row], inner: set[Row]) -> None:
        """Find counterparts for siblings of one copy, or let them move along."""
        stays, above = int(self.stays[self.talk[rows[0]]]), int(self.parent[rows[0]])
        anchor = ROOT if above == ROOT else self.stand[above]
        free = self._under(stays, anchor)
        left = [row for row in rows if not self._pair(row, free)]
        for row in left:
            like = next((other for other in free if row in inner and self._misspelt(row, other, wanted)), None)
            if like is not None:
                free.remove(like)
                self.stand[row] = self.misspelt[row] = like
            if row in wanted or row not in self.stand:
                self.over[row], self.equal[row] = anchor, row
                self.stand.setdefault(row, row)
                self.joined[stays, anchor].append(row)  # the next copy may hold the same answer

    def _pair(self, row: Row, free: list[Row]) -> bool:
        """Pair a turn with an equal free one, if there is one; of several with one that is the same to the letter."""
        equal = [other for other in free if self._same(row, other)]
        if not equal:
            return False
        best = next((other for other in equal if self.spelt[other] == self.spelt[row]), equal[0])
        free.remove(best)
        self.equal[row] = self.stand[row] = best
        return True

    def _same(self, row: Row, other: Row) -> bool:
        """Whether two turns are equal; most are so to the letter."""
        if self.written[row] == self.written[other]:
            return True
        return bool(self.role[row] == self.role[other]) and self._key(row) == self._key(other)

    def _key(self, row: Row) -> str:
        """Text that is equal where turns of one role are."""
        if row not in self.keys:
            role, content, redacted, files, calls, tools = (self.turns[name][row].as_py() for name in ("role", *PARTS))
            spelt = same_answer(content or "") if role == ASSISTANT else ""  # what an answer's case and spacing say counts
            self.keys[row] = f"{same_message(role, content, redacted, files and [files], calls, tools)}\x1d{spelt}"
        return self.keys[row]

    def _misspelt(self, row: Row, other: Row, wanted: set[Row]) -> bool:
        """Whether a turn of a copy is the other question but for a letter, with the same answers to it."""
        if self.role[row] != self.role[other] or self.turns["role"][row].as_py() != "user":
            return False
        below, there = self._children(row), {self._key(answer) for answer in self._children(other)}
        judged = [answer for answer in below if answer in wanted]
        if not judged or any(self._key(answer) not in there for answer in below):
            return False
        one, two = (self.turns.slice(at, 1).select(list(PARTS)).to_pylist()[0] for at in (row, other))
        answers = sum(len(self.content[answer].as_py()) for answer in judged)
        same = all(one[name] == two[name] for name in PARTS[1:])
        return bool(same and self.one_letter.holds(one["content"], two["content"], answers))

    def _prove(self, wanted: set[Row]) -> None:
        """Hold the ways from the root down to judged turns against the ways down to what they have become: they must be equal.

        The texts themselves are held together here, not the numbers by which turns were matched.
        """
        here = np.array(sorted(wanted), np.int64)
        there = np.array([self.equal[row] for row in here.tolist()], np.int64)
        while len(here):
            for row, other in self._differing(here, there):
                if self._key(row) != self._key(other) and self.misspelt.get(row) != other:
                    raise AssertionError(f"dedupe: {self.names[row]} would come under another question")
            above = np.array([self.over.get(row, int(self.parent[row])) for row in there.tolist()], np.int64)
            ends = (self.parent[here] == ROOT) != (above == ROOT)
            if ends.any():
                raise AssertionError(f"dedupe: {self.names[int(here[ends][0])]} would come to another depth")
            here, there = self.parent[here][above != ROOT], above[above != ROOT]

    def _differing(self, rows: Places, others: Places) -> list[tuple[Row, Row]]:
        """Of each two turns those that are not the same to the letter, once each."""
        same = np.ones(len(rows), bool)
        for name in ("role", *PARTS):
            here, there = (self.turns[name].take(pa.array(side, pa.int64())) for side in (rows, others))
            same &= mask(pc.or_(filled(pc.equal(here, there), False), pc.and_(pc.is_null(here), pc.is_null(there))))
        return sorted(set(zip(rows[~same].tolist(), others[~same].tolist(), strict=True)))

    def _children(self, row: Row) -> list[Row]:
        """The turns right under a turn."""
        return [int(child) for child in self.children[self.bounds[row] : self.bounds[row + 1]]]

    def _targets(self, rows: list[Row]) -> pa.Table:
        """The lines of TARGETS; only those of turns that move along, which are few, are made one by one."""
        became = [self.equal[row] for row in rows]
        moving = [place for place, row in enumerate(became) if row in self.over]
        self._move()
        at, to = pa.array(rows, pa.int64()), pa.array(became, pa.int64())
        moves = pa.array(np.isin(np.arange(len(rows)), moving))
        anchors = [self.over[became[place]] for place in moving]
        columns = {
            "conversation_id": self.turns["conversation_id"].take(at),
            "turn_id": self.turns["turn_id"].take(at),
            "to_conversation": pa.array(self.ids, TEXT).take(pa.array(self.stays[self.talk[rows]], pa.int64())),
            "to_turn": _filled(self.turns["turn_id"].take(to), moves, [self._id(became[place]) for place in moving]),
            "moves": pa.array(np.array(became, np.int64) == np.array(rows, np.int64)),
            "to_parent": _filled(pa.nulls(len(rows), TEXT), moves, [None if row == ROOT else self._id(row) for row in anchors]),
            "to_position": _filled(self.turns["position"].take(to), moves, [self.moved[became[place]][1] for place in moving]),
        }
        return pa.table(columns, schema=TARGETS)

    def _move(self) -> None:
        """Give the turns that move along their id, which is unique where they come to, and their position."""
        rows = sorted(self.over)
        named = zip(rows, strings(self.turns["turn_id"].take(pa.array(rows, pa.int64()))), strict=True)
        self.moved = {row: (TurnId(stable_id(self.ids[self.talk[row]], turn)), self._depth(row)) for row, turn in named}

    def _id(self, row: Row) -> TurnId:
        """The id of a turn after the merge."""
        return self.moved[row][0] if row in self.moved else TurnId(str(self.turns["turn_id"][row]))

    def _depth(self, row: Row) -> int:
        """The position of a turn after the merge."""
        if row not in self.over:
            return int(self.position[row])
        return 0 if self.over[row] == ROOT else self._depth(self.over[row]) + 1


def _codes(column: pa.ChunkedArray[Any]) -> tuple[pa.Array[Any], Places]:
    """The distinct values in the order in which they are met, and each row's place among them; -1 where there is none."""
    coded = column.combine_chunks().dictionary_encode()
    return coded.dictionary, numbers(coded.indices)


def _filled(
    column: pa.Array[Any] | pa.ChunkedArray[Any], holds: pa.BooleanArray, values: Sequence[TurnId | None] | Sequence[int]
) -> pa.Array[Any]:
    """The column with these values where `holds` is true."""
    whole = flat(column)
    return replaced(whole, holds, pa.array(values, whole.type))
