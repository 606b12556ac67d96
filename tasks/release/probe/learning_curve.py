"""How accuracy grows with the number of pairs, and how many more would bring a point or two.

In: for each size, whether each held-out pair was judged right, in each of several repeats. Out: the curve, a power law through it,
and what the law says of more pairs.

The law is accuracy = ceiling - fall * pairs ** -power (as Hestness et al. 2017, arXiv 1712.00409, found of many tasks), with a power out
of POWERS. A law through four points can be drawn in many ways, so it is drawn anew for every draw of groups and repeats (bootstrap), and
what is told is told with the spread of all those draws. Beyond FAR times the pairs at hand nothing is said. Where only a sample was
probed, the law is first carried on to all pairs: what more would bring counts from there.
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
INNER = (0.1, 0.9)  # quantiles between which a number of pairs is told


@dataclass(frozen=True)
class Point:
    """Accuracy of judges that learned from so many pairs."""

    pairs: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class More:
    """What it takes to gain so much accuracy."""

    gain: float
    reached: float  # share of the draws whose law reaches it with at most FAR times the pairs
    pairs: int | None  # more pairs, the median of the draws; None beyond FAR times
    low: int | None
    high: int | None


@dataclass(frozen=True)
class Curve:
    """The whole curve."""

    points: tuple[Point, ...]
    ceiling: float  # of the law through the points themselves
    fall: float
    power: float
    more: tuple[More, ...]
    verdict: str

    def at(self, pairs: float) -> float:
        """The law's accuracy."""
        return float(self.ceiling - self.fall * pairs**-self.power)


@dataclass(frozen=True)
class Extent:
    """How much there is, whether it was probed or not."""

    total: int  # pairs
    taught: float  # of these, what a judge learns from while a fold is held out: "more" is told in shares of it
    votes: float  # behind each pair


def curve(sizes: Sequence[int], drawn: Numbers, whole: Numbers, extent: Extent, confidence: float) -> Curve:
    """The curve of accuracies `whole` (one a size) with the draws `drawn` (draws x sizes), and what is beyond it."""
    counts = np.asarray(sizes, np.float64)
    laws = fit(counts, drawn)
    law = fit(counts, whole[None, :])[:, 0]
    low, high = np.quantile(drawn, ((1 - confidence) / 2, (1 + confidence) / 2), axis=0)
    points = tuple(Point(int(size), *(round(float(value), 4) for value in row)) for size, *row in zip(sizes, whole, low, high, strict=True))
    more = tuple(needed(laws, extent.taught, extent.total, gain) for gain in GAINS)
    ceiling, fall, power = (round(float(value), 4) for value in law)
    return Curve(points, ceiling, fall, power, more, verdict(more, extent.votes))


def fit(sizes: Numbers, accuracies: Numbers) -> Numbers:
    """For each row of accuracies the law nearest to it: ceiling (at most 1), fall (at least 0) and power, as 3 x rows."""
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
    """How many more pairs each law asks for a gain over where it stands now."""
    ceiling, fall, power = laws
    left = fall * now**-power - gain  # below the ceiling, once gained
    reaches = left > 0
    times = np.full(len(ceiling), np.inf)
    times[reaches] = (fall[reaches] / left[reaches]) ** (1 / power[reaches]) / now
    told = np.where(times <= FAR, times, np.inf)
    low, middle, high = np.quantile(told, (INNER[0], 0.5, INNER[1]), method="inverted_cdf")
    return More(gain, round(float(np.isfinite(told).mean()), 4), *(_pairs(value, total) for value in (middle, low, high)))


def _pairs(times: float, total: int) -> int | None:
    """More pairs, to two digits: more would be pretence."""
    if not np.isfinite(times):
        return None
    more = (times - 1) * total
    return int(float(f"{more:.2g}"))


def verdict(more: Sequence[More], votes: float) -> str:
    """In words, for the smallest gain."""
    first = more[0]
    far = f"{FAR:g} times as many pairs"
    if first.reached >= SURE and first.pairs is not None:
        ask = f"about {first.pairs:,} more pairs (some {float(f'{first.pairs * votes:.2g}'):,.0f} votes) of this kind for one more point"
        most = f"{first.high:,}" if first.high is not None else f"more than {far}"
        return f"{ask}; between {first.low or 0:,} and {most} in {100 * (INNER[1] - INNER[0]):.0f} % of the draws"
    if first.reached <= 1 - SURE:
        rest = f"even {far} bring less than one more point in {1 - first.reached:.0%} of the draws"
        return f"more votes of this kind will hardly help this judge: {rest}"
    return f"whether more votes of this kind help cannot be told: {far} bring one more point in {first.reached:.0%} of the draws"
