"""How far annotators agree: raw agreement, Krippendorff's alpha, Cohen's kappa. Whole columns; items with one value say nothing.

In: ballots as numbers, `item` counting from 0 without gaps. Out: one figure; None where nothing can be said, for instance because all
say the same.

Krippendorff, K. (2011): Computing Krippendorff's alpha-reliability. Cohen, J. (1960): A coefficient of agreement for nominal scales.
"""

from __future__ import annotations

import numpy as np

from tasks.common.arrays import Column, Rows


def raw(item: Rows, label: Rows) -> float | None:
    """Share of the other ballots on the same item that say the same, averaged over ballots."""
    if not len(item):
        return None
    return 1.0 - _disagreement(item, label)


def nominal(item: Rows, label: Rows) -> float | None:
    """Krippendorff's alpha for labels without an order."""
    if not len(item):
        return None
    count = np.bincount(label).astype(float)
    total = count.sum()
    return _alpha(_disagreement(item, label), 1.0 - (count * (count - 1)).sum() / (total * (total - 1)))


def interval(item: Rows, value: Column) -> float | None:
    """Krippendorff's alpha for numbers whose squared distances count."""
    if not len(item):
        return None
    value = value - value.mean()  # squares of what is far from 0 would lose the digits that count
    size = np.bincount(item).astype(float)
    first, second = np.bincount(item, value), np.bincount(item, value * value)
    observed = (2 * (size * second - first * first) / (size - 1)).sum() / len(value)
    expected = 2 * (len(value) * second.sum() - first.sum() ** 2) / (len(value) * (len(value) - 1))
    return _alpha(observed, expected)


def ordinal(item: Rows, value: Column) -> float | None:
    """Krippendorff's alpha for values in order: their distance is the number of values given between them, so that of mid-ranks."""
    _, place, count = np.unique(value, return_inverse=True, return_counts=True)
    return interval(item, (np.cumsum(count) - count / 2.0)[place])


def kappa(item: Rows, person: Rows, label: Rows) -> float | None:
    """Cohen's kappa of two people; None unless exactly two have ballots, one each on every item."""
    if len(np.unique(person)) != 2 or len(item) != 2 * (item[-1] + 1) or (person[::2] == person[1::2]).any():
        return None
    labels = int(label.max()) + 1
    told = np.bincount(label[::2] * labels + label[1::2], minlength=labels * labels).reshape(labels, labels) / (len(item) / 2)
    chance = float((told.sum(0) * told.sum(1)).sum())
    return None if chance == 1.0 else float((np.trace(told) - chance) / (1.0 - chance))


def _disagreement(item: Rows, label: Rows) -> float:
    """Share of the other ballots on the same item that say something else, averaged over ballots."""
    size = np.bincount(item).astype(float)
    labels = int(label.max()) + 1
    same = np.zeros(len(size))
    for one in range(labels):
        count = np.bincount(item[label == one], minlength=len(size))
        same += count * (count - 1.0)
    return float(((size * (size - 1) - same) / (size - 1)).sum() / size.sum())


def _alpha(observed: float, expected: float) -> float | None:
    return None if expected <= 0 else float(1.0 - observed / expected)
