"""Which split each component of tied rows that no earlier release knows goes to, by hashes alone.

In: a 64-bit draw a row, a component label a row, the wanted shares, and how many rows lie in each split already. Out: the split of each
row, as an index into SPLITS.

Every row draws a number in [0, 1) by the hash of its id. A component with a row below the first threshold goes to test, else with one
below the second to validation, else to train. So a component that holds a test row is a test component, whatever it grows
together with. The thresholds are lower than the shares, because a component of n rows draws n times: they are solved so that the
expected shares are the wanted ones, given the sizes of the components, and then taken down to a grid of eight steps an octave
(at most 8.3 % below), so that a few more rows seldom move them.

What lies in a split already stays there (`tasks.split.earlier_releases`), so it is only new components that draw. Where what is there is
short of the wanted share, new ones are held out more often, at most `MOST` times the share, and where it is above, less often.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tasks.common.arrays import Mask, Rows

SPLITS = ("train", "validation", "test")
STEPS = 8  # of the grid, an octave
MOST = 3.0  # times the wanted share that new components may be asked to hold
Floats = npt.NDArray[np.float64]


def place(draws: Floats, labels: Rows, shares: tuple[float, ...], largest: float, there: Rows | None = None) -> Rows:
    """The split of each row that draws; `labels` tell components apart, `shares` are in the order of SPLITS, as are the rows `there`."""
    there = np.zeros(len(SPLITS), np.int64) if there is None else there
    roots, back, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    least = np.full(len(roots), 1.0)
    np.minimum.at(least, back, draws)
    rows = len(labels)
    due = most_in_one(shares, largest, rows + int(there.sum()))
    validation, test = asked(shares, there, rows)
    first = threshold(sizes[sizes <= due[2]], test, rows)
    second = threshold(sizes[sizes <= due[1]], validation, rows, first)
    chosen = np.where(least < first, 2, np.where(least < second, 1, 0))
    chosen = np.where(sizes > due[chosen], 0, chosen)
    return fill(chosen, sizes, least, shares, there > 0)[back]


def most_in_one(shares: tuple[float, ...], largest: float, rows: int) -> Floats:
    """How many rows one component may have, by split: any number in train."""
    return np.array([rows, *(share * rows * largest for share in shares[1:])])


def asked(shares: tuple[float, ...], there: Rows, rows: int) -> tuple[float, float]:
    """Which shares of `rows` new rows validation and test are to get, so that with what is there they come near what is wanted."""
    if not there.any() or not rows:
        return shares[1], shares[2]
    short = np.array(shares[1:]) * (rows + there.sum()) - there[1:]
    wanted = np.clip(short / rows, 0.0, np.minimum(MOST * np.array(shares[1:]), 1.0))
    validation, test = wanted / max(1.0, float(wanted.sum()))
    return float(validation), float(test)


def threshold(sizes: Rows, share: float, rows: int, above: float = 0.0) -> float:
    """The draw below which (and from `above` on) components with these sizes hold about that share of `rows`; `above` for no share."""
    kinds, counts = np.unique(sizes, return_counts=True)
    weight, wanted = (kinds * counts).astype(np.float64), share * rows

    def expected(at: float) -> float:
        return float((weight * ((1 - above) ** kinds - (1 - at) ** kinds)).sum())

    low, high = above, 1.0
    if not wanted or expected(high) <= wanted:
        return high if wanted else above
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expected(middle) < wanted else (low, middle)
    return above + on_grid(high - above, share)


def on_grid(value: float, share: float) -> float:
    """The value taken down to the grid of share * 2^(k/STEPS): where all components are single rows, it is the share itself."""
    return float(share * 2 ** (np.floor(np.log2(value / share) * STEPS + 1e-6) / STEPS))


def fill(chosen: Rows, sizes: Rows, draws: Floats, shares: tuple[float, ...], there: Mask) -> Rows:
    """No wanted split empty, where there are enough components: it takes the smallest component of the split that has most.

    `there` tells which splits have rows already: they need none, and may give all that is new.
    """
    wanted = [number for number, share in enumerate(shares) if share > 0]
    if len(chosen) + int(there[wanted].sum()) < len(wanted):
        return chosen
    chosen = chosen.copy()
    for number in wanted:
        spare = np.bincount(chosen, minlength=len(shares)) - ~there
        if spare[number] < 0 and spare.max() > 0:
            giver = np.flatnonzero(chosen == spare.argmax())
            chosen[giver[np.lexsort((draws[giver], sizes[giver]))[0]]] = number
    return chosen
