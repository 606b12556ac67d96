"""How often judgements are right, with intervals that know that pairs of one group do not judge independently.

In: for each pair whether it was judged right (1, 0, or a half for neither), and its group. Out: accuracies, each with Wilson's interval
for as many independent pairs as vary as the groups do, and with the spread over draws of whole groups (bootstrap).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.release.analysis.bias import interval
from tasks.release.probe.folds import Places

Numbers = np.ndarray[Any, np.dtype[np.float64]]
DIGITS = 4
LARGEST = 12  # groups told of


@dataclass(frozen=True)
class Accuracy:
    """How often a judge is right about pairs that it was not taught."""

    pairs: int
    share: float
    low: float  # Wilson's interval
    high: float
    drawn_low: float  # by drawing groups again and again
    drawn_high: float

    def __str__(self) -> str:
        return f"{self.share:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Draws:
    """Pairs in their groups, and how often each group is in each draw."""

    numbers: Places  # the group of each pair
    times: Numbers  # draws x groups
    confidence: float

    @classmethod
    def make(cls, numbers: Places, draws: int, confidence: float, seed: int) -> Draws:
        """So many draws of as many groups as there are."""
        count = int(numbers.max()) + 1
        times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)
        return cls(numbers, times.astype(np.float64), confidence)

    def accuracy(self, right: Numbers) -> Accuracy:
        """The share of right judgements with both intervals."""
        low, high = interval(right, self.numbers, self.confidence)
        found = (float(right.mean()), low, high, *self._spread(self.means(right)))
        return Accuracy(len(right), *(round(float(value), DIGITS) for value in found))

    def difference(self, more: Numbers) -> tuple[float, float, float]:
        """The mean of differences, with its interval."""
        low, high = self._spread(self.means(more))
        return round(float(more.mean()), DIGITS), round(low, DIGITS), round(high, DIGITS)

    def means(self, values: Numbers) -> Numbers:
        """The mean of the values in each draw that has any of them."""
        count = self.times.shape[1]
        sums, sizes = (self.times @ np.bincount(self.numbers, part, count) for part in (values, np.ones(len(values))))
        found: Numbers = sums[sizes > 0] / sizes[sizes > 0]
        return found

    def curves(self, right: Numbers, seed: int) -> Numbers:
        """Accuracy at each size in each draw, of groups and of repeats (draws x sizes); `right` is repeats x sizes x pairs."""
        repeats, sizes, _ = right.shape
        each = np.array([[self.means(right[repeat, size]) for size in range(sizes)] for repeat in range(repeats)])
        picked = np.random.default_rng(seed).integers(0, repeats, (len(self.times), repeats))
        found: Numbers = np.array([each[of, :, draw].mean(axis=0) for draw, of in enumerate(picked)])
        return found

    def by(self, values: pa.ChunkedArray, right: Numbers) -> dict[str, Accuracy]:
        """Accuracy by value, the most frequent ones first."""
        named = np.array([value or "" for value in values.to_pylist()], dtype=object)
        sizes = sorted((-int((named == name).sum()), name) for name in set(named.tolist()))[:LARGEST]
        return {name: replace(self, numbers=self.numbers[named == name]).accuracy(right[named == name]) for _, name in sizes}

    def _spread(self, found: Numbers) -> tuple[float, float]:
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(found, (tail, 1 - tail))
        return float(low), float(high)
