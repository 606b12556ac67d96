"""How often an act of a kind is right, from how far two people's acts about one thing agree.

In: opinions. Out: for each recipe the opinions that are shared, the share of them that agree, and a reliability, shrunk twice:

    g = (agreeing + worth * expected) / (shared + worth)        first of all recipes together, then of each one
    a = (1 + sqrt(2 g - 1)) / 2                                 two opinions that are right in a of the cases agree in a^2 + (1 - a)^2

What is expected of all is what their assumed reliabilities say; of one recipe that, moved as far as all were. An item with n opinions
counts as n - 1 shared ones, and its share of agreeing couples of opinions.

An estimate is one when its standard error is at most `precision`: sqrt(g (1 - g) / n) / (4 a - 2), which asks for about 110 shared opinions
where a is .85, 260 at .75 and 760 at .65. Before that the figure is called assumed, and how many second opinions are missing is said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tasks.common.arrays import Rows
from tasks.common.row_numbers import distinct
from tasks.pair.comparisons import NAMES, NOBODY, RECIPE_OF, Opinions, Read

MICRO = 1_000_000
LEAST, MOST = 0.52, 0.99  # of a reliability
DIGITS = 4


@dataclass(frozen=True)
class Known:
    """What is known of one recipe's acts."""

    shared: float  # second opinions
    agreeing: float  # of these
    reliability: float
    missing: int  # second opinions until the figure is an estimate

    @property
    def agreement(self) -> float | None:
        """The share that agrees; None where nothing is shared."""
        return round(self.agreeing / self.shared, DIGITS) if self.shared else None

    def with_reliability(self, right: float, precision: float) -> Known:
        """The same with this reliability, and what is missing to be as sure of it as `precision` asks."""
        return replace(self, reliability=right, missing=max(0, math.ceil(asked(right, precision) - self.shared)))


def agreement_of(reliability: float) -> float:
    """How often two acts that are right so often agree."""
    return reliability**2 + (1 - reliability) ** 2


def reliability_of(agreement: float) -> float:
    """How often each of two acts is right that agree so often."""
    return min(max((1 + math.sqrt(max(2 * agreement - 1, 0.0))) / 2, LEAST), MOST)


def asked(reliability: float, precision: float) -> int:
    """Shared opinions that make the standard error so small."""
    agreement = agreement_of(reliability)
    return math.ceil(round(agreement * (1 - agreement) / (precision * (4 * reliability - 2)) ** 2, DIGITS))


def estimate(read: Read, assumed: Mapping[str, float], worth: float, precision: float) -> dict[str, Known]:
    """For each recipe that has opinions what is known of it."""
    counts = counted(read)
    there = [name for place, name in enumerate(NAMES) if (RECIPE_OF[read.opinions.way] == place).any()]
    shared, agreeing = (math.fsum(counts[name][part] for name in there) for part in (0, 1))
    if not shared:
        return {name: Known(0.0, 0.0, assumed[name], asked(assumed[name], precision)) for name in there}
    expected = math.fsum(counts[name][0] * agreement_of(assumed[name]) for name in there) / shared
    moved = (agreeing + worth * expected) / (shared + worth) - expected
    return {name: shrunk(*counts[name], agreement_of(assumed[name]) + moved, worth, precision) for name in there}


def shrunk(shared: float, agreeing: float, expected: float, worth: float, precision: float) -> Known:
    """One recipe's figures."""
    right = round(reliability_of((agreeing + worth * min(max(expected, 0.5), 1.0)) / (shared + worth)), DIGITS)
    return Known(shared, agreeing, right, 0).with_reliability(right, precision)


def counted(read: Read) -> dict[str, tuple[float, float]]:
    """Of each recipe the shared opinions, and how many of them agree."""
    named = read.opinions.take(read.opinions.person != NOBODY)
    found = {name: [0.0, 0.0] for name in NAMES}
    for opinions in (named, read.alone):
        for place, name in enumerate(NAMES):
            for way in np.flatnonzero(place == RECIPE_OF).tolist():
                for part, value in enumerate(agreeing_in(opinions.take(opinions.way == way))):
                    found[name][part] += value
    return {name: (shared, agreeing) for name, (shared, agreeing) in found.items()}


def agreeing_in(opinions: Opinions) -> tuple[float, float]:
    """Shared opinions of one way, and how many of them agree: each person once about each thing."""
    if not len(opinions):
        return 0.0, 0.0
    _, thing = np.unique(opinions.couple, return_inverse=True)
    width = int(opinions.person.max()) + 2
    keys = distinct(((thing * width) + opinions.person + 1) * 2 + (opinions.side > 0))
    of, up = keys // 2 // width, keys % 2
    ups, downs = (np.bincount(of, up == side) for side in (1, 0))
    return count(ups.astype(np.int64), downs.astype(np.int64))


def count(ups: Rows, downs: Rows) -> tuple[float, float]:
    """Of things with so many opinions each way: n - 1 shared ones each, and how many of these agree, in whole millionths."""
    many = ups + downs
    several = many > 1
    ups, downs, many = ups[several], downs[several], many[several]
    same = (ups * (ups - 1) + downs * (downs - 1)) / (many * (many - 1)) * (many - 1)
    return float((many - 1).sum()), float(np.rint(same * MICRO).astype(np.int64).sum()) / MICRO
