"""Votes to ballots: who said what about which item, as numbers. No loop over votes.

In: the acts that count (ACTS), one row each. Out: one `Poll` for each kind of act and of annotator, for people and judging models are
never pooled. What an item is depends on the kind:

    choice, regenerate, ...  acts that name two answers: these two; the label says which of them is better, or neither
    ranking, rating          the same: every two answers in one ranking, or in one person's ratings of a prompt
    thumb, ...               others: one answer; the label is bad or good

Items with a single ballot are counted and left out: they cannot say who is right. The order of ballots depends on ids alone, so that
sums over them come out the same whatever the order of the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import Column, Rows, filled, numbers
from tasks.common.vocabulary.kinds import RANKING, RATING
from tasks.core.tables import TEXT

_ACTS: dict[str, pa.DataType] = {
    "kind": TEXT,
    "annotator_kind": TEXT,
    "annotator": TEXT,
    "prompt_id": TEXT,
    "response_id": TEXT,
    "better_id": TEXT,
    "worse_id": TEXT,
    "grade": pa.float64(),  # as VOTE.value
    "group": TEXT,
}
ACTS = pa.schema(_ACTS)
ORDERINGS = {RANKING: -1, RATING: 1}  # kinds that put answers in order: is a greater value worse (-1) or better
REACH = 8  # of an ordering of more answers than this and one, each is compared with so many that follow it by id
WORSE, NEITHER, BETTER = 0, 1, 2  # labels: of the item's first answer beside its second; of a single answer WORSE is bad, BETTER good
LABELS = 3
NOBODY = ""  # in place of the people whom the log does not name


@dataclass(frozen=True)
class AnnotatorLabels:
    """All ballots of one kind of act by one kind of annotator."""

    kind: str
    annotator_kind: str
    compares: bool  # an item is two answers
    people: pa.Array[Any]  # ids, sorted; NOBODY for all whom the log does not name
    votes: Rows  # acts of each of them
    items: int  # items judged, with one ballot or more
    item: Rows  # ballots on items with several, sorted by item, person, label: the item's number,
    person: Rows  # the place in `people`,
    label: Rows  # and the label
    graded: Rows  # ratings alone, of answers that several rated, sorted: the answer's number,
    grade: Column  # and the rating on 0..1
    names: int = 0  # of labels without an order, numbered from 0; 0 where they are WORSE, NEITHER and BETTER

    @property
    def shared(self) -> int:
        """How many items have several ballots."""
        return int(self.item[-1]) + 1 if len(self.item) else 0

    @property
    def labels(self) -> int:
        """How many labels there are."""
        return self.names or LABELS


@dataclass(frozen=True)
class Acts:
    """ACTS as numbers; texts that are null are -1."""

    kind: Rows
    judge: Rows
    person: Rows
    prompt: Rows
    group: Rows
    one: Rows
    better: Rows
    worse: Rows
    grade: Column
    kinds: pa.Array[Any]
    judges: pa.Array[Any]
    people: pa.Array[Any]

    @property
    def named(self) -> Rows:
        """The people, -1 for those whom the log does not name."""
        return np.where(self.person == self.people.index(pa.scalar(NOBODY, TEXT)).as_py(), -1, self.person)

    @classmethod
    def of(cls, table: pa.Table) -> Acts:
        """The columns of ACTS; answers share one numbering."""
        (kind,), kinds = codes(table["kind"])
        (judge,), judges = codes(table["annotator_kind"])
        (person,), people = codes(filled(table["annotator"], NOBODY))
        (prompt,), _ = encode(table["prompt_id"])
        (group,), _ = encode(pc.coalesce(table["group"], table["annotator"]))
        (one, better, worse), _ = codes(table["response_id"], table["better_id"], table["worse_id"])
        return cls(kind, judge, person, prompt, group, one, better, worse, table["grade"].to_numpy(), kinds, judges, people)


def codes(*columns: pa.ChunkedArray[Any]) -> tuple[list[Rows], pa.Array[Any]]:
    """The columns' texts as places in one sorted list of them, -1 for null; and that list."""
    numbers, texts = encode(*columns)
    order = pc.sort_indices(texts)
    place = np.full(len(texts) + 1, -1)
    place[order.to_numpy()] = np.arange(len(texts))
    return [place[number] for number in numbers], texts.take(order)


def encode(*columns: pa.ChunkedArray[Any]) -> tuple[list[Rows], pa.Array[Any]]:
    """As `codes`, in no certain order."""
    encoded = pa.chunked_array([chunk for column in columns for chunk in column.chunks], TEXT).dictionary_encode()
    chunks = cast("list[pa.DictionaryArray[Any, Any]]", encoded.chunks)
    texts = chunks[0].dictionary if chunks else pa.array([], TEXT)
    parts = [numbers(chunk.indices) for chunk in chunks]
    whole = np.concatenate([np.zeros(0, np.int64), *parts])
    return np.split(whole, np.cumsum([len(column) for column in columns])[:-1]), texts


def all_labels(table: pa.Table) -> Iterator[AnnotatorLabels]:
    """One Poll for each kind of act and of annotator that there is, in the order of their names; `table` has the columns of ACTS."""
    acts = Acts.of(table)
    both = acts.kind * len(acts.judges) + acts.judge
    for code in np.unique(both).tolist():
        yield labels_of(acts, np.flatnonzero(both == code))


def labels_of(acts: Acts, rows: Rows) -> AnnotatorLabels:
    """The ballots of these rows, which are of one kind and by one kind of annotator."""
    kind, judge = acts.kinds[int(acts.kind[rows[0]])].as_py(), acts.judges[int(acts.judge[rows[0]])].as_py()
    compares = kind in ORDERINGS or bool((acts.better[rows] >= 0).all())
    who, votes = np.unique(acts.person[rows], return_counts=True)
    items, ballots = shared(*(couples(acts, rows, kind) if compares else verdicts(acts, rows)))
    item, person, label = ballots
    graded = ratings(acts, rows) if kind == RATING else (np.zeros(0, np.int64), np.zeros(0))
    people = acts.people.take(pa.array(who, pa.int64()))
    return AnnotatorLabels(kind, judge, compares, people, votes, items, item, np.searchsorted(who, person), label, *graded)


def verdicts(acts: Acts, rows: Rows) -> tuple[Rows, Rows, Rows]:
    """Acts about one answer each: the answer, the person, the label."""
    return acts.one[rows], acts.person[rows], 1 + np.sign(acts.grade[rows]).astype(np.int64)


def couples(acts: Acts, rows: Rows, kind: str) -> tuple[Rows, Rows, Rows]:
    """Acts about two answers, or about several in order: the two as one number, the person, the label."""
    if kind in ORDERINGS:
        group = acts.named if kind == RATING else acts.group  # two people's ratings say nothing of each other
        first, second, lead, at = beside(acts, rows[group[rows] >= 0], group)
        lead *= ORDERINGS[kind]
    else:
        first, second, lead, at = acts.better[rows], acts.worse[rows], (acts.grade[rows] > 0).astype(np.int64), rows
    low, high = np.minimum(first, second), np.maximum(first, second)
    label = 1 + np.where(first == low, lead, -lead)
    return low * (int(high.max(initial=0)) + 1) + high, acts.person[at], label


def beside(acts: Acts, rows: Rows, group: Rows) -> tuple[Rows, Rows, Rows, Rows]:
    """Every two answers of a group: both, the sign of how much the first one's value is greater, and the first one's act."""
    rows = rows[np.lexsort((acts.grade[rows], acts.one[rows], group[rows], acts.prompt[rows]))]
    parts = [(acts.one[:0], acts.one[:0], acts.one[:0], rows[:0])]
    for reach in range(1, min(REACH + 1, len(rows))):
        here, there = rows[:-reach], rows[reach:]
        together = (acts.prompt[here] == acts.prompt[there]) & (group[here] == group[there]) & (acts.one[here] != acts.one[there])
        if not together.any():
            break
        here, there = here[together], there[together]
        lead = np.sign(acts.grade[here] - acts.grade[there]).astype(np.int64)
        parts.append((acts.one[here], acts.one[there], lead, here))
    first, second, lead, at = (np.concatenate(column) for column in zip(*parts, strict=True))
    return first, second, lead, at


def shared(item: Rows, person: Rows, label: Rows, labels: int = LABELS) -> tuple[int, tuple[Rows, Rows, Rows]]:
    """How many items there are; and the ballots on items with several, sorted, such items numbered from 0."""
    _, number, count = np.unique(item, return_inverse=True, return_counts=True)
    several = count[number] > 1
    place = np.cumsum(count > 1) - 1
    people = int(person.max(initial=0)) + 1
    ballots = np.sort((place[number[several]] * people + person[several]) * labels + label[several])
    rest, label = np.divmod(ballots, labels)
    item, person = np.divmod(rest, people)
    return len(count), (item, person, label)


def ratings(acts: Acts, rows: Rows) -> tuple[Rows, Column]:
    """Ratings of answers that several rated, sorted: the answers' numbers, the ratings."""
    rows = rows[np.lexsort((acts.grade[rows], acts.one[rows]))]
    _, number, count = np.unique(acts.one[rows], return_inverse=True, return_counts=True)
    several = count[number] > 1
    return (np.cumsum(count > 1) - 1)[number[several]], acts.grade[rows[several]]
