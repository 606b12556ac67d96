"""The learning curve: accuracy by number of pairs, and how many more pairs a gain of one or two points takes.

In: for each size, whether each held-out pair was predicted correctly, in each of several repeats. Out: the curve, a power law fitted to
it, and its extrapolation.

The law is accuracy = ceiling - fall * pairs ** -power (as Hestness et al. 2017, arXiv 1712.00409, found for many tasks), with a power out
of POWERS. Four points fit many curves, so the law is fitted again for every bootstrap draw of groups and repeats, and results are given
with the spread over the draws. Nothing is extrapolated beyond FAR times the available pairs. If only a sample was probed, the law is first
extrapolated to all pairs, and gains count from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = np.ndarray[Any, np.dtype[np.float64]]

POWERS = (0.15, 0.25, 0.35, 0.5, 0.75, 1.0)
FAR = 10.0
SURE = 0.8  # share of the draws that must agree
GAINS = (0.01, 0.02)
INNER = (0.1, 0.9)  # quantiles of the reported range


@dataclass(frozen=True)
class Point:
    """Accuracy after training on this many pairs."""

    pairs: int  # that they learned from
    accuracy: float  # about pairs that they did not see, mean of all folds and repeats
    low: float  # interval by draws of groups
    high: float  # upper end of it


@dataclass(frozen=True)
class More:
    """How many more pairs a gain in accuracy takes."""

    gain: float  # of accuracy, above that of all pairs
    reached: float  # share of the draws whose law reaches the gain with at most FAR times the pairs
    pairs: int | None  # more pairs, the median of the draws; None beyond FAR times
    low: int | None  # the same in a tenth of the draws
    high: int | None  # and in nine tenths; None beyond FAR times


@dataclass(frozen=True)
class Curve:
    """The learning curve with its fitted law."""

    points: tuple[Point, ...]  # accuracy by number of pairs
    ceiling: float  # of the law fitted to the points
    fall: float  # of the same law: accuracy = ceiling - fall * pairs ** -power
    power: float  # of the same law
    more: tuple[More, ...]  # what one point and two points of accuracy take
    verdict: str  # whether more votes of this kind help, in words

    def at(self, pairs: float) -> float:
        """The law's accuracy."""
        return float(self.ceiling - self.fall * pairs**-self.power)


@dataclass(frozen=True)
class Extent:
    """The size of the dataset, probed or not."""

    total: int  # pairs
    taught: float  # of these, the pairs trained on while one fold is held out; gains are relative to it
    votes: float  # behind each pair


def curve(sizes: Sequence[int], drawn: Numbers, whole: Numbers, extent: Extent, confidence: float) -> Curve:
    """The curve of accuracies `whole` (one per size) with bootstrap draws `drawn` (draws x sizes), and its extrapolation."""
    counts = np.asarray(sizes, np.float64)
    laws = fit(counts, drawn)
    law = fit(counts, whole[None, :])[:, 0]
    low, high = np.quantile(drawn, ((1 - confidence) / 2, (1 + confidence) / 2), axis=0)
    points = tuple(Point(int(size), *(round(float(value), 4) for value in row)) for size, *row in zip(sizes, whole, low, high, strict=True))
    more = tuple(needed(laws, extent.taught, extent.total, gain) for gain in GAINS)
    ceiling, fall, power = (round(float(value), 4) for value in law)
    return Curve(points, ceiling, fall, power, more, verdict(more, extent.votes))


def fit(sizes: Numbers, accuracies: Numbers) -> Numbers:
    """The best-fitting law for each row of accuracies: ceiling (at most 1), fall (at least 0) and power, as 3 x rows."""
    best = np.full(len(accuracies), np.inf)
    laws = np.zeros((3, len(accuracies)))
    for power in POWERS:
        steps = sizes**-power
        middle = accuracies.mean(axis=1)
        spread = steps - steps.mean()
        fall = np.maximum(0.0, -(accuracies - middle[:, None]) @ spread / (spread @ spread))
        ceiling = middle + fall * steps.mean()
        above = ceiling > 1
        fall[above] = (1 - accuracies[above]) @ steps / (steps @ steps)
        ceiling[above] = 1.0
        error = np.square(accuracies - ceiling[:, None] + fall[:, None] * steps).sum(axis=1)
        nearer = error < best - 1e-15
        best[nearer] = error[nearer]
        laws[:, nearer] = np.stack([ceiling, fall, np.full(len(fall), power)])[:, nearer]
    return laws


def needed(laws: Numbers, now: float, total: int, gain: float) -> More:
    """How many more pairs each law needs for a gain over the accuracy at `now` pairs."""
    ceiling, fall, power = laws
    left = fall * now**-power - gain  # distance to the ceiling after the gain
    reaches = left > 0
    times = np.full(len(ceiling), np.inf)
    times[reaches] = (fall[reaches] / left[reaches]) ** (1 / power[reaches]) / now
    capped = np.where(times <= FAR, times, np.inf)
    low, middle, high = np.quantile(capped, (INNER[0], 0.5, INNER[1]), method="inverted_cdf")
    return More(gain, round(float(np.isfinite(capped).mean()), 4), *(_pairs(value, total) for value in (middle, low, high)))


def _pairs(times: float, total: int) -> int | None:
    """More pairs, rounded to two digits: more would be false precision."""
    if not np.isfinite(times):
        return None
    more = (times - 1) * total
    return int(float(f"{more:.2g}"))


def verdict(more: Sequence[More], votes: float) -> str:
    """The result for the smallest gain, in words."""
    first = more[0]
    far = f"{FAR:g} times as many pairs"
    if first.reached >= SURE and first.pairs is not None:
        ask = f"about {first.pairs:,} more pairs (some {float(f'{first.pairs * votes:.2g}'):,.0f} votes) of this kind for one more point"
        most = f"{first.high:,}" if first.high is not None else f"more than {far}"
        return f"{ask}; between {first.low or 0:,} and {most} in {100 * (INNER[1] - INNER[0]):.0f} % of the draws"
    if first.reached <= 1 - SURE:
        rest = f"even {far} bring less than one more point in {1 - first.reached:.0%} of the draws"
        return f"more votes of this kind will hardly improve the probe: {rest}"
    return f"unclear whether more votes of this kind help: {far} bring one more point in {first.reached:.0%} of the draws"
