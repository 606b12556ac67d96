"""An index of benchmark items by their word n-grams, and the texts that share some.

In: the items' and the messages' words. Out: pairs (message, item) with the number of distinct n-grams that they share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.contamination.words import Words, grams
from tasks.similar.text import Hashes, Places

FILTER_BITS = 22  # of a hash: a table of 4 MB answers most look-ups of n-grams that no item has


class Shared(NamedTuple):
    """Messages and items that share n-grams: sorted, each pair once."""

    message: Places
    item: Places
    grams: Places  # distinct n-grams shared


@dataclass(frozen=True)
class Index:
    """Which items have which n-gram: those of hash i are `items[bounds[i]:bounds[i + 1]]`."""

    size: int
    hashes: Hashes  # sorted, distinct
    bounds: Places
    items: Places
    totals: Places  # distinct n-grams of each item
    likely: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, words: Words, size: int, chosen: npt.NDArray[np.bool_] | None = None) -> Index:
        """The index of all items, or of the chosen ones."""
        hashes, rows = grams(words, size)
        if chosen is not None:
            hashes, rows = hashes[chosen[rows]], rows[chosen[rows]]
        distinct, place = np.unique(hashes, return_inverse=True)
        pairs = np.unique(place * len(words) + rows)
        place, items = pairs // len(words), pairs % len(words)
        bounds = np.searchsorted(place, np.arange(len(distinct) + 1))
        likely = np.zeros(1 << FILTER_BITS, bool)
        likely[_short(distinct)] = True
        return cls(size, distinct, bounds, items, np.bincount(items, minlength=len(words)), likely)

    def shared(self, messages: Words, common: int | None = None) -> Shared:
        """The pairs that share an n-gram; one that more than `common` items have finds none."""
        hashes, rows = grams(messages, self.size)
        maybe = self.likely[_short(hashes)]
        hashes, rows = hashes[maybe], rows[maybe]
        place = np.minimum(np.searchsorted(self.hashes, hashes), max(len(self.hashes) - 1, 0))
        there = self.hashes[place] == hashes if len(self.hashes) else np.zeros(0, bool)
        met = np.unique(rows[there] * max(len(self.hashes), 1) + place[there])
        rows, place = met // max(len(self.hashes), 1), met % max(len(self.hashes), 1)
        sizes = self.bounds[place + 1] - self.bounds[place]
        if common is not None:
            rows, place, sizes = rows[sizes <= common], place[sizes <= common], sizes[sizes <= common]
        ends = np.cumsum(sizes)
        at = np.repeat(self.bounds[place] - (ends - sizes), sizes) + np.arange(ends[-1] if len(ends) else 0)
        pairs, count = np.unique(np.repeat(rows, sizes) * len(self.totals) + self.items[at], return_counts=True)
        return Shared(pairs // max(len(self.totals), 1), pairs % max(len(self.totals), 1), count)


def _short(hashes: Hashes) -> Places:
    return (hashes >> np.uint64(64 - FILTER_BITS)).astype(np.int64)
