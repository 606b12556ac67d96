"""Accuracy of predictions, with intervals that allow for pairs of one group not being independent.

In: for each pair whether it was predicted correctly (1, 0, or 0.5 for a tie), and its group. Out: accuracies, each with Wilson's interval
for the effective number of independent pairs (from the variance between groups), and with a bootstrap interval over whole groups.
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
LARGEST = 12  # values reported


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on pairs that were not trained on."""

    pairs: int  # judged
    share: float  # of them judged right
    low: float  # Wilson's interval
    high: float  # upper end of it
    drawn_low: float  # interval by drawing groups again and again
    drawn_high: float  # upper end of it

    def __str__(self) -> str:
        return f"{self.share:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Draws:
    """Pairs in their groups, and how often each group is in each bootstrap draw."""

    numbers: Places  # the group of each pair
    times: Numbers  # draws x groups
    confidence: float

    @classmethod
    def make(cls, numbers: Places, draws: int, confidence: float, seed: int) -> Draws:
        """`draws` bootstrap samples of the groups, each as many as there are."""
        count = int(numbers.max()) + 1
        times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)
        return cls(numbers, times.astype(np.float64), confidence)

    def accuracy(self, right: Numbers) -> Accuracy:
        """The share of correct predictions with both intervals."""
        low, high = interval(right, self.numbers, self.confidence)
        figures = (float(right.mean()), low, high, *self._spread(self.means(right)))
        return Accuracy(len(right), *(round(float(value), DIGITS) for value in figures))

    def difference(self, more: Numbers) -> tuple[float, float, float]:
        """The mean of the differences, with its interval."""
        low, high = self._spread(self.means(more))
        return round(float(more.mean()), DIGITS), round(low, DIGITS), round(high, DIGITS)

    def means(self, values: Numbers) -> Numbers:
        """The mean of the values in each draw that has any of them."""
        count = self.times.shape[1]
        sums, sizes = (self.times @ np.bincount(self.numbers, part, count) for part in (values, np.ones(len(values))))
        means: Numbers = sums[sizes > 0] / sizes[sizes > 0]
        return means

    def curves(self, right: Numbers, seed: int) -> Numbers:
        """Accuracy at each size in each draw, of groups and of repeats (draws x sizes); `right` is repeats x sizes x pairs."""
        repeats, sizes, _ = right.shape
        each = np.array([[self.means(right[repeat, size]) for size in range(sizes)] for repeat in range(repeats)])
        picked = np.random.default_rng(seed).integers(0, repeats, (len(self.times), repeats))
        curves: Numbers = np.array([each[of, :, draw].mean(axis=0) for draw, of in enumerate(picked)])
        return curves

    def by(self, values: pa.Array[Any] | pa.ChunkedArray[Any], right: Numbers) -> dict[str, Accuracy]:
        """Accuracy by value, the most frequent ones first."""
        keys = np.array([value or "" for value in values.to_pylist()], dtype=object)
        sizes = sorted((-int((keys == name).sum()), name) for name in set(keys.tolist()))[:LARGEST]
        return {name: replace(self, numbers=self.numbers[keys == name]).accuracy(right[keys == name]) for _, name in sizes}

    def _spread(self, values: Numbers) -> tuple[float, float]:
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(values, (tail, 1 - tail))
        return float(low), float(high)
