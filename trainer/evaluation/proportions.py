"""Counting right and wrong, and how sure the count is. Exact tests, no normal approximation where it matters.

A tie (both answers score the same) counts one half: a judge who cannot tell is right as often as a coin.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution


def correctness(margins: Sequence[float] | np.ndarray) -> np.ndarray:
    """1 for each pair whose chosen answer scores higher, 0 where it scores lower, one half for a tie."""
    return (np.sign(np.asarray(margins, dtype=np.float64)) + 1) / 2


def wilson(right: float, total: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's interval of a share: it stays within 0 and 1 and is honest for small counts. (0, 1) where nothing was counted."""
    if total == 0:
        return 0.0, 1.0
    proportion, square = right / total, z * z
    centre = proportion + square / (2 * total)
    half = z * math.sqrt(proportion * (1 - proportion) / total + square / (4 * total * total))
    return max(0.0, (centre - half) / (1 + square / total)), min(1.0, (centre + half) / (1 + square / total))


def sign_test(wins: int, losses: int) -> float:
    """Exact two-sided p-value of so many wins against so many losses, if both were equally likely; ties are left out before."""
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses, 0.5).pvalue) if wins + losses else 1.0


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Exact McNemar test on the same pairs: only pairs that one judge has better than the other say anything."""
    return sign_test(int((first > second).sum()), int((first < second).sum()))


def proportion(got: np.ndarray) -> dict[str, float]:
    """Number, share and 95 % interval of the pairs that were judged right."""
    low, high = wilson(float(got.sum()), len(got))
    return {"n": len(got), "accuracy": rounded(got.mean()) if len(got) else 0.5, "low": rounded(low), "high": rounded(high)}


def rounded(value: float) -> float:
    """Six digits: what a reader can use, and no noise in a diff."""
    return round(float(value), 6)


def places_by_label(labels: Iterable[str]) -> dict[str, np.ndarray]:
    """For each label in order, the places where it stands."""
    found = np.array(list(labels), dtype=object)
    return {name: np.flatnonzero(found == name) for name in sorted(set(found.tolist()))}
