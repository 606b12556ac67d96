"""The bootstrap over groups: how far a figure would move with other people's questions, drawn as often as there are groups.

Pairs of one group are not independent, so groups are drawn whole, with replacement (the cluster bootstrap; Efron & Tibshirani 1993,
Cameron, Gelbach & Miller 2008), and intervals are percentiles. Every figure here is a function of sums over pairs, so a resample is
one vector of sums: all figures of a split share the same resamples, and thousands of them are one product of matrices.

The drawn groups depend on the seed alone, not on the machine, and their sums neither (`on_grid`). Fewer than about 30 groups make any
bootstrap too narrow: the number of groups stands beside every interval, and Wilson's interval, which knows no groups, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

BLOCK = 2**22  # numbers held at once
MANTISSA = 52  # bits of a double
LEVEL = (2.5, 97.5)


@dataclass(frozen=True)
class Bootstrap:
    """Resamples of one split."""

    groups: np.ndarray  # number of each pair's group
    resamples: int
    seed: int

    @property
    def count(self) -> int:
        """How many groups there are."""
        return int(self.groups.max()) + 1 if len(self.groups) else 0

    def sums(self, columns: np.ndarray) -> np.ndarray:
        """The sum of each column (pairs x columns) in every resample (resamples x columns)."""
        count = self.count
        totals = np.stack([on_grid(np.bincount(self.groups, column, count)) for column in columns.T], axis=1)
        found = np.zeros((self.resamples, columns.shape[1]))
        if count:
            generator, block = np.random.default_rng(self.seed), max(1, BLOCK // count)
            for start in range(0, self.resamples, block):
                size = min(block, self.resamples - start)
                drawn = generator.integers(0, count, (size, count)) + np.arange(size)[:, None] * count
                times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
                found[start : start + size] = times.astype(np.float64) @ totals
        return found


def on_grid(totals: np.ndarray) -> np.ndarray:
    """The numbers to the nearest point of a grid on which sums of as many of them are exact, in whatever order a machine adds them up.

    Counts and halves lie on the grid as they are.
    """
    most = len(totals) * float(np.abs(totals).max(initial=0.0))
    step = 2.0 ** (math.ceil(math.log2(most)) - MANTISSA) if most else 1.0
    found: np.ndarray = np.round(totals / step) * step
    return found


def ratio(tops: np.ndarray, bottoms: np.ndarray) -> np.ndarray:
    """One by the other; not a number where a resample holds nothing."""
    share: np.ndarray = np.divide(tops, bottoms, out=np.full(np.shape(tops), np.nan), where=bottoms > 0)
    return share


def interval(values: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of the resamples that hold anything; (0, 1), which says nothing of a share, where none does."""
    valid = values[~np.isnan(values)]
    if not len(valid):
        return 0.0, 1.0
    low, high = np.percentile(valid, LEVEL)
    return float(low), float(high)
