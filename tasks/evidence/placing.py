"""Which split each component of tied rows goes to, by hashes alone.

In: a 64-bit draw a row, a component label a row, the wanted shares. Out: the split of each row, as an index into SPLITS.

Every row draws a number in [0, 1) by the hash of its id. A component with a row below the first threshold goes to test, else with one
below the second to validation, else to train. So a component that holds a test row is a test component, whatever it grows
together with. The thresholds are lower than the shares, because a component of n rows draws n times: they are solved so that the
expected shares are the wanted ones, given the sizes of the components, and then taken down to a grid of eight steps an octave
(at most 8.3 % below), so that a few more rows seldom move them.

What is stable: without a move of a threshold, new data takes no row out of test, and none out of validation but into test.
What is not: a threshold that moves down a step sends about a twelfth of its split on; a component that outgrows `largest` of its
split goes to train; and `fill` may take its component back when a split that was empty has rows of its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tasks.evidence.lists import Rows

SPLITS = ("train", "validation", "test")
STEPS = 8  # of the grid, an octave
Floats = npt.NDArray[np.float64]


def place(draws: Floats, labels: Rows, shares: tuple[float, ...], largest: float) -> Rows:
    """The split of each row; `labels` are the smallest row numbers of the components, `shares` in the order of SPLITS."""
    roots, back, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    least = np.full(len(roots), 1.0)
    np.minimum.at(least, back, draws)
    _, validation, test = shares
    due = np.array([len(labels), validation * len(labels) * largest, test * len(labels) * largest])
    first = threshold(sizes[sizes <= due[2]], test, len(labels))
    second = threshold(sizes[sizes <= due[1]], validation, len(labels), first)
    chosen = np.where(least < first, 2, np.where(least < second, 1, 0))
    chosen = np.where(sizes > due[chosen], 0, chosen)
    return fill(chosen, sizes, least, shares)[back]


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


def fill(chosen: Rows, sizes: Rows, draws: Floats, shares: tuple[float, ...]) -> Rows:
    """No wanted split empty, where there are enough components: it takes the smallest component of the split that has most."""
    wanted = [number for number, share in enumerate(shares) if share > 0]
    if len(chosen) < len(wanted):
        return chosen
    chosen = chosen.copy()
    for number in wanted:
        counts = np.bincount(chosen, minlength=len(shares))
        if not counts[number]:
            giver = np.flatnonzero(chosen == counts.argmax())
            chosen[giver[np.lexsort((draws[giver], sizes[giver]))[0]]] = number
    return chosen
