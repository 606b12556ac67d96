"""An index of benchmark items by word n-grams, to find texts that share some.

In: the items' and the messages' words. Out: pairs (message, item) with the number of distinct n-grams that they share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.common.similarity.ngrams import Hashes, Places
from tasks.decontaminate.words import Words, grams

FILTER_BITS = 22  # of a hash: a table of 4 MB rejects most n-grams that no item has
Mask = npt.NDArray[np.bool_]


class Shared(NamedTuple):
    """Messages and items that share n-grams: sorted, each pair once."""

    message: Places
    item: Places
    grams: Places  # distinct n-grams shared

    def only(self, chosen: Mask) -> Shared:
        """The chosen pairs."""
        return Shared(self.message[chosen], self.item[chosen], self.grams[chosen])


@dataclass(frozen=True)
class Index:
    """Items by n-gram: those of hash i are `items[bounds[i]:bounds[i + 1]]`."""

    size: int  # words of an n-gram
    hashes: Hashes  # sorted, distinct
    bounds: Places
    items: Places
    totals: Places  # distinct n-grams of each item
    likely: Mask  # by the first bits of a hash: whether an item may have it

    @classmethod
    def of(cls, words: Words, size: int, chosen: Mask, common: int | None = None) -> Index:
        """The index of the chosen items, without n-grams that more than `common` of them have."""
        hashes, rows = grams(words, size)
        hashes, rows = hashes[chosen[rows]], rows[chosen[rows]]
        distinct, place = np.unique(hashes, return_inverse=True)
        pairs = sorted_once(place * len(words) + rows)
        place, items = np.divmod(pairs, max(len(words), 1))
        if common is not None:
            rare = np.bincount(place, minlength=len(distinct)) <= common
            items, place = items[rare[place]], (np.cumsum(rare) - 1)[place[rare[place]]]
            distinct = distinct[rare]
        bounds = np.searchsorted(place, np.arange(len(distinct) + 1))
        likely = np.zeros(1 << FILTER_BITS, bool)
        likely[_first_bits(distinct)] = True
        return cls(size, distinct, bounds, items, np.bincount(items, minlength=len(words)), likely)

    def shared(self, messages: Words) -> Shared:
        """The pairs that share an n-gram."""
        if not len(self.hashes):
            return Shared(*(np.zeros(0, np.int64) for _ in Shared._fields))
        hashes, rows = grams(messages, self.size)
        maybe = self.likely[_first_bits(hashes)]
        hashes, rows = hashes[maybe], rows[maybe]
        place = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        there = self.hashes[place] == hashes
        rows, place = np.divmod(sorted_once(rows[there] * len(self.hashes) + place[there]), len(self.hashes))
        sizes = self.bounds[place + 1] - self.bounds[place]
        ends = np.cumsum(sizes)
        at = np.repeat(self.bounds[place] - (ends - sizes), sizes) + np.arange(ends[-1] if len(ends) else 0)
        pairs = np.sort(np.repeat(rows, sizes) * len(self.totals) + self.items[at])
        first = np.flatnonzero(np.diff(pairs, prepend=-1))
        return Shared(*np.divmod(pairs[first], len(self.totals)), np.diff(first, append=len(pairs)))


def sorted_once(values: Places) -> Places:
    """The distinct values of numbers from 0, sorted (`np.unique` takes five times as long)."""
    ordered: Places = np.sort(values)
    return np.asarray(ordered[np.diff(ordered, prepend=-1) != 0])


def _first_bits(hashes: Hashes) -> Places:
    return (hashes >> np.uint64(64 - FILTER_BITS)).astype(np.int64)
