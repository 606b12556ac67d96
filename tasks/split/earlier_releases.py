"""Where rows lie when earlier releases are known: old rows stay, new rows follow what they are tied to, the rest draws.

In: the ties of all rows, the marks of rows and of values (`tasks.split.assignment_table`), and a draw a row. Out: the split of each row,
and which rows lie in none. What was placed once is placed: a new row that is tied to two splits moves neither.

- A new row that is tied to what has a place follows it: by its text first (the same, or nearly), then by its first user turn, its
  conversation, a long answer, a user.
- New rows that are tied to each other stay together as far as that goes. Where they are tied to several splits, or to a held-out one that
  would get more than `largest_held_out` of its rows that way, only texts and conversations hold them to what is held out, and not too many:
  the others train, and what then crosses is taken out (`tasks.split.leakage_removal`).
- New rows without such ties draw, as in a first release.
- A new row that says nearly the same as rows of two splits lies in neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tasks.common.arrays import Mask, Rows
from tasks.common.links import Edges, Keyed, Said, Ties, components
from tasks.split.assignment import SPLITS, Floats, most_in_one, place
from tasks.split.assignment_table import NEITHER, UNKNOWN

WEAK = ("answer", "user")  # whose ties take no row out of train that is not itself tied to what is held out, where there is a choice
ORDER = ("look", "near", "opening", "conversation", "answer", "user")  # strongest first: what is dropped whole where it crosses leads
TRAIN = 0


@dataclass(frozen=True)
class Known:
    """Marks of rows, and of values by key and code; UNKNOWN where no earlier release had them."""

    rows: Rows
    values: Mapping[str, Rows]

    @property
    def anything(self) -> bool:
        """Whether there was an earlier release of any of this."""
        return bool((self.rows != UNKNOWN).any()) or any((marks != UNKNOWN).any() for marks in self.values.values())


@dataclass(frozen=True)
class Rules:
    """Wanted shares in the order of SPLITS, and the share of validation or test that one component may make up."""

    shares: tuple[float, ...]
    largest: float


def follow(tied: Ties, inner: Mapping[str, Edges], known: Known, draws: Floats, rules: Rules) -> tuple[Rows, Mask]:
    """The split of each row, and the mask of those that lie in none; `inner` are the ties among new rows that are left to go by."""
    neither = known.rows == NEITHER
    side = np.where(neither, UNKNOWN, known.rows)
    new = known.rows == UNKNOWN
    if not new.any():
        return np.where(neither, TRAIN, side), neither
    ordered = {key: inner[key] for key in ORDER}
    led = leaders(tied, known, side, new)
    side = spread(np.where(new, led, side), new, ordered, most_in_one(rules.shares, rules.largest, len(side)))
    free = np.flatnonzero(new & (side == UNKNOWN))
    there = np.bincount(side[side != UNKNOWN], minlength=len(SPLITS))
    side[free] = place(draws[free], components(len(side), *ordered.values())[free], rules.shares, rules.largest, there)
    if known.anything:
        neither = neither | bridges(tied.said, side, new, neither)
    return np.where(side == UNKNOWN, TRAIN, side), neither


def between(edges: Edges, rows: Mask) -> Edges:
    """Ties of which both ends are among the rows."""
    return edges.where(rows[edges.left] & rows[edges.right])


def leaders(tied: Ties, known: Known, side: Rows, new: Mask) -> Rows:
    """For each new row the split of the strongest that it is tied to directly and that has a place; UNKNOWN without any."""
    said, keyed = tied.said, tied.binding
    groups = counted(said.group, side, int(said.group.max(initial=-1)) + 1)
    near = np.zeros_like(groups)
    for one, other in ((said.left, said.right), (said.right, said.left)):
        np.add.at(near, one, groups[other])
    led = np.full(len(side), UNKNOWN)
    for key in ORDER:
        if key in ("look", "near"):  # what reads the same says the same
            votes = (groups if key == "look" else near)[said.group]
        else:
            values = keyed[key]
            marks = value_sides(values, known.values[key], side)
            told = marks[values.codes] >= 0
            votes = counted(values.rows[told], marks[values.codes[told]], len(side))
        follows = new & (led == UNKNOWN) & votes.any(axis=1)
        led[follows] = votes[follows].argmax(axis=1)
    return led


def counted(codes: Rows, side: Rows, width: int) -> Rows:
    """How many have each code and lie in each split; those without a place are not counted."""
    placed = side != UNKNOWN
    places = codes[placed] * len(SPLITS) + side[placed]
    return np.bincount(places, minlength=width * len(SPLITS)).reshape(-1, len(SPLITS))


def value_sides(values: Keyed, marks: Rows, side: Rows) -> Rows:
    """Where each value lies: as remembered, else where most of its placed rows do; UNKNOWN without any."""
    counts = counted(values.codes, side[values.rows], len(values.names))
    most = np.where(counts.any(axis=1), counts.argmax(axis=1), UNKNOWN)
    return np.where((marks >= 0) & (marks < len(SPLITS)), marks, most)


def spread(side: Rows, new: Mask, inner: Mapping[str, Edges], most: Floats) -> Rows:
    """The splits with those of the new rows that are tied to rows which follow something: over the strongest ties first.

    A held-out split takes at most `most` rows of one component that way; what is left over of a component that follows trains.
    """
    side = side.copy()
    labels = components(len(side), *inner.values())
    width = len(SPLITS)
    follows = new & (side != UNKNOWN)
    sides = np.bincount(labels[follows] * width + side[follows], minlength=len(side) * width).reshape(-1, width) > 0
    left = np.bincount(labels[new & ~follows], minlength=len(side))
    one = sides.sum(axis=1) == 1
    target = sides.argmax(axis=1)
    easy = one & (left <= most[target])
    rows = np.flatnonzero(new & ~follows & easy[labels])
    side[rows] = target[labels[rows]]
    hard = sides.any(axis=1) & ~easy & (left > 0)
    if hard.any():
        grow(side, new & hard[labels], inner, labels, most)
    return side


def grow(side: Rows, rows: Mask, inner: Mapping[str, Edges], labels: Rows, most: Floats) -> None:
    """`spread` in components that are tied to several splits, or too large for the one: tie by tie, each row once joined stays."""
    root = {int(row): int(row) for row in np.flatnonzero(rows)}
    of = {row: int(side[row]) for row in root}
    size = {row: int(side[row] == UNKNOWN) for row in root}
    taken: dict[tuple[int, int], int] = {}

    def find(row: int) -> int:
        while root[row] != row:
            root[row] = root[root[row]]
            row = root[row]
        return row

    for left, right, weak in ends(inner, rows):
        one, other = sorted((find(left), find(right)))
        if one == other or (of[one] != UNKNOWN and of[other] != UNKNOWN and of[one] != of[other]):
            continue
        split = max(of[one], of[other])
        if split > TRAIN:
            joining = sum(size[part] for part in (one, other) if of[part] == UNKNOWN)
            place_in = (int(labels[one]), split)
            if joining and (weak or taken.get(place_in, 0) + joining > most[split]):
                continue
            taken[place_in] = taken.get(place_in, 0) + joining
        root[other] = one
        of[one], size[one] = split, size[one] + size[other]
    for row in root:
        found = of[find(row)]
        side[row] = TRAIN if found == UNKNOWN else found


def ends(inner: Mapping[str, Edges], rows: Mask) -> Iterator[tuple[int, int, bool]]:
    """The ties among the rows and whether they are weak, the strongest keys first, and of a key first those that few rows share."""
    for key, edges in inner.items():
        own = between(edges, rows)
        order = np.lexsort((own.right, own.left, own.shared_by))
        for left, right in zip(own.left[order].tolist(), own.right[order].tolist(), strict=True):
            yield left, right, key in WEAK


def bridges(said: Said, side: Rows, new: Mask, neither: Mask) -> Mask:
    """New rows that say the same, or nearly, as rows of another split; where two groups are new, of the one with more such ties."""
    width = int(said.group.max(initial=-1)) + 1
    old, fresh = (counted(said.group[rows], side[rows], width) for rows in (~new & ~neither, new))
    has_old, there = old.sum(axis=1) > 0, (old + fresh).sum(axis=1) > 0
    home = np.where(has_old, old.argmax(axis=1), fresh.argmax(axis=1))
    apart = side != home[said.group]
    crossing = (home[said.left] != home[said.right]) & there[said.left] & there[said.right]
    left, right = said.left[crossing], said.right[crossing]
    gone = np.zeros(width, bool)
    gone[left[~has_old[left] & has_old[right]]] = True
    gone[right[~has_old[right] & has_old[left]]] = True
    both = ~has_old[left] & ~has_old[right] & ~gone[left] & ~gone[right]
    left, right = left[both], right[both]
    degree = np.bincount(np.concatenate([left, right]), minlength=width)
    gone[np.where(degree[left] > degree[right], left, right)] = True
    return np.asarray(new & (apart | gone[said.group]))
