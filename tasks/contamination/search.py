"""Which messages hold a benchmark item, which item, and how it was found.

In: messages and items (as `tasks.contamination.items` reads them). Out: for each message that holds an item the best find.
Methods, surest first:

- `ngram`: the message has at least the share `ngram.share` of the item's n-grams of `ngram.words` words; an item of fewer words
  must be in there whole, word by word. The similarity is that share.
- `near`: the two sets of n-grams of `near.words` words have at least the Jaccard similarity `near.threshold`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.contamination.grams import Index, Shared
from tasks.contamination.words import BETWEEN, Words, known, plain, vocabulary
from tasks.core.params import StageParams
from tasks.core.tables import TEXT
from tasks.similar.pairs import jaccard

FINDS = pa.schema([("message", pa.int64()), ("item", pa.int64()), ("method", TEXT), ("similarity", pa.float64())])
Similarities = npt.NDArray[np.float64]
CHUNK = 65_536  # messages compared at a time


class Ngrams(StageParams):
    """When a message holds an item as it stands."""

    words: int = Field(ge=2, le=64)  # words of an n-gram
    share: float = Field(gt=0, le=1)  # of the item's n-grams that the message has


class NearCopy(StageParams):
    """When a message is nearly an item."""

    words: int = Field(ge=1, le=64)  # words of an n-gram
    threshold: float = Field(gt=0, le=1)  # Jaccard similarity of the two sets of n-grams


class Settings(StageParams):
    """When a message counts as holding an item."""

    min_words: int = Field(ge=1)  # an item, or a turn of one, with fewer words is not looked for
    ngram: Ngrams
    near: NearCopy


METHODS = ("ngram", "near")


class Search:
    """Benchmark items, ready to be looked for."""

    def __init__(self, items: pa.Array, settings: Settings) -> None:
        self.settings = settings
        self.texts = items
        self.vocabulary = vocabulary(items)
        self.words = known(items, self.vocabulary)
        self.sought = self.words.lengths >= settings.min_words
        self.verbatim = self._indices()
        self.near = Index.of(self.words, settings.near.words, self.sought)

    def _indices(self) -> list[Index]:
        """One index of the n-grams of all items that have some, and one for each number of words of the shorter items."""
        size, lengths = self.settings.ngram.words, self.words.lengths
        shorter = np.unique(lengths[self.sought & (lengths < size)]).tolist()
        return [
            Index.of(self.words, size, self.sought & (lengths >= size)),
            *(Index.of(self.words, length, self.sought & (lengths == length)) for length in shorter),
        ]

    def find(self, messages: pa.Array) -> pa.Table:
        """The best find of each message that holds an item, sorted by message."""
        found = []
        for start in range(0, len(messages), CHUNK):
            chunk = messages.slice(start, CHUNK)
            finds = self._find(chunk)
            found.append(finds.set_column(0, "message", pc.add(finds["message"], start)))
        return pa.concat_tables([FINDS.empty_table(), *found])

    def _find(self, messages: pa.Array) -> pa.Table:
        words = known(messages, self.vocabulary)
        finds = [self._verbatim(words), self._near(messages, words)]
        return best(pa.concat_tables(finds), "message")

    def _verbatim(self, words: Words) -> pa.Table:
        found = []
        for index in self.verbatim:
            shared = index.shared(words)
            share = shared.grams / index.totals[shared.item]
            found.append(finds_of(shared, share, "ngram", self.settings.ngram.share if index.size == self.settings.ngram.words else 1.0))
        return pa.concat_tables(found)

    def _near(self, messages: pa.Array, words: Words) -> pa.Table:
        shared, least = self.near.shared(words), self.settings.near.threshold
        chosen = shared.grams >= least * self.near.totals[shared.item]  # of their union, the item's own are a part
        shared = Shared(*(column[chosen] for column in shared))
        return finds_of(shared, self.jaccard(messages, shared, self.settings.near.words), "near", least)

    def jaccard(self, messages: pa.Array, shared: Shared, size: int) -> Similarities:
        """Exact Jaccard similarity of pairs of messages and items."""
        left, places = np.unique(shared.message, return_inverse=True)
        right, others = np.unique(shared.item, return_inverse=True)
        texts = pa.concat_arrays([plain(messages.take(pa.array(left))), plain(self.texts.take(pa.array(right)))])
        texts = pc.replace_substring_regex(texts, BETWEEN, " ")
        return jaccard(texts, places, others + len(left), size)


def finds_of(shared: Shared, similarity: Similarities, method: str, least: float) -> pa.Table:
    """The pairs whose similarity is at least so high."""
    high = similarity >= least
    methods = pa.array([method] * int(high.sum()), TEXT)
    return pa.table([pa.array(shared.message[high]), pa.array(shared.item[high]), methods, pa.array(similarity[high])], schema=FINDS)


def best(finds: pa.Table, by: str) -> pa.Table:
    """One find for each value of `by`: of the surest method, of those the most similar, of those the first item."""
    surety = pc.index_in(finds["method"], value_set=pa.array(METHODS, TEXT))
    order = [(by, "ascending"), ("surety", "ascending"), ("similarity", "descending"), ("item", "ascending")]
    finds = finds.append_column("surety", surety).sort_by(order).drop_columns(["surety"])
    first = finds[by].combine_chunks().dictionary_encode().indices.to_numpy()
    return finds.filter(pa.array(np.diff(first, prepend=-1) != 0))
