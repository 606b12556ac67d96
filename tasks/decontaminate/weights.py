"""The weighted share of an item's words that a message has; rare words weigh more.

In: the words of messages and items. Out: a weight for each word of the vocabulary; and, for pairs of messages and items, what they share
of the weight of each. A word weighs the logarithm of how rarely messages and items have it, so "the" weighs little.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tasks.common.similarity.ngrams import Places
from tasks.decontaminate.ngrams import Shared, sorted_once
from tasks.decontaminate.words import UNKNOWN, Words

Weights = npt.NDArray[np.float64]
TEXTS_BEFORE = 10_000  # pseudo-count of texts without any of the words: with few texts, all words weigh about the same


def weights(size: int, *texts: Words) -> Weights:
    """The weight of each of the `size` words of the vocabulary."""
    counts = np.zeros(size, np.int64)
    for words in texts:
        counts += np.bincount(_members(words, size) % size, minlength=size)
    return np.asarray(np.log((sum(map(len, texts)) + TEXTS_BEFORE) / (counts + 1)))


def shares(messages: Words, items: Words, shared: Shared, weighing: Weights) -> tuple[Weights, Weights]:
    """For each pair, the weight of the common words as a share of the item's weight, and of the message's."""
    size = len(weighing)
    chosen = np.unique(shared.message)
    spoken, row = messages.take(chosen), np.searchsorted(chosen, shared.message)
    ours, theirs = _members(spoken, size), _members(items, size)
    starts = np.searchsorted(theirs, np.arange(len(items) + 1) * size)
    sizes = np.diff(starts)[shared.item]
    ends = np.cumsum(sizes)
    pair = np.repeat(np.arange(len(row)), sizes)
    word = theirs[np.repeat(starts[shared.item] - (ends - sizes), sizes) + np.arange(ends[-1] if len(ends) else 0)] % size
    wanted = row[pair] * size + word
    there = ours[np.minimum(np.searchsorted(ours, wanted), max(len(ours) - 1, 0))] == wanted if len(ours) else np.zeros(0, bool)
    both = np.bincount(pair, weighing[word] * there, len(row))
    return both / _masses(items, weighing)[shared.item], both / _masses(spoken, weighing)[row]


def _masses(words: Words, weighing: Weights) -> Weights:
    """The weight of each text; a word that no item has weighs as much as the rarest."""
    members = _members(words, len(weighing))
    known = np.bincount(members // len(weighing), weighing[members % len(weighing)], len(words))
    unknown = np.bincount(words.rows[words.ids == UNKNOWN], minlength=len(words))
    return np.asarray(known + weighing.max() * unknown, np.float64)


def _members(words: Words, size: int) -> Places:
    """Each text's distinct known words, as row * size + word, sorted."""
    ids = words.ids.astype(np.int64)
    return sorted_once((words.rows * size + ids)[ids != UNKNOWN])
