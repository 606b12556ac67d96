"""Verbatim search for benchmark texts, and the table of matches of every method.

In: texts, and the texts to search for. Out: `FINDS`, the best match of each text. A text matches when at least the share `ngram.share` of
the item's n-grams of `ngram.words` words occurs in it; a shorter item must occur as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.core.params import StageParams
from tasks.core.tables import TEXT
from tasks.decontaminate.ngrams import Index, Shared
from tasks.decontaminate.words import Words, known, vocabulary

FIELDS: dict[str, pa.DataType] = {"message": pa.int64(), "item": pa.int64(), "method": TEXT, "similarity": pa.float64()}
FINDS = pa.schema(FIELDS)
METHODS = ("ngram", "near", "reworded", "embedding", "answer")  # most reliable first
CHUNK = 65_536  # messages compared at a time
DIGITS = 6  # of a similarity: further digits may differ between machines
Shares = npt.NDArray[np.float64]
Order = Literal["ascending", "descending"]


class Ngrams(StageParams):
    """Verbatim match of an item."""

    words: int = Field(ge=2, le=64)  # words of an n-gram
    share: float = Field(gt=0, le=1)  # of the item's n-grams that the text has


class Verbatim:
    """Texts, prepared for the verbatim search."""

    def __init__(self, items: pa.Array[Any], ngram: Ngrams, min_words: int, method: str = "ngram") -> None:
        self.texts, self.ngram, self.method = items, ngram, method
        self.vocabulary = vocabulary(items)
        self.words = known(items, self.vocabulary)
        self.searched = self.words.lengths >= min_words
        self.indices = list(self._indices())

    def _indices(self) -> Iterator[Index]:
        """Indices of the n-grams of long items; then of shorter items, each as one n-gram of all its words."""
        size, lengths = self.ngram.words, self.words.lengths
        yield Index.of(self.words, size, self.searched & (lengths >= size))
        for length in np.unique(lengths[self.searched & (lengths < size)]).tolist():
            yield Index.of(self.words, length, self.searched & (lengths == length))

    def find(self, messages: pa.Array[Any]) -> pa.Table:
        """The best match of each message that holds an item, sorted by message."""
        chunks = [messages.slice(start, CHUNK) for start in range(0, len(messages), CHUNK)]
        words = [known(chunk, self.vocabulary) for chunk in chunks]
        weighing = self.weigh(words)
        matches = [FINDS.empty_table()]
        for number, (chunk, spoken) in enumerate(zip(chunks, words, strict=True)):
            finds = best(pa.concat_tables(self.finds(chunk, spoken, weighing)), "message")
            matches.append(finds.set_column(0, FINDS.field("message"), pc.add(finds["message"], number * CHUNK)))
        return pa.concat_tables(matches)

    def weigh(self, words: list[Words]) -> Shares:
        """The weight of each word of the vocabulary, for methods that use it; `words` are those of all messages."""
        del words
        return np.ones(len(self.vocabulary))

    def finds(self, messages: pa.Array[Any], words: Words, weighing: Shares) -> Iterator[pa.Table]:
        """All finds in some messages, method by method."""
        del messages, weighing
        for index in self.indices:
            shared = index.shared(words)
            yield finds_of(self.method, shared, shared.grams / index.totals[shared.item], self.ngram.share)


def finds_of(method: str, shared: Shared, similarity: Shares, least: float) -> pa.Table:
    """The pairs that are at least so similar."""
    similarity = np.round(similarity, DIGITS)
    high = similarity >= least
    shared = shared.only(high)
    methods = pa.array([method] * len(shared.item), TEXT)
    return pa.table([pa.array(shared.message), pa.array(shared.item), methods, pa.array(similarity[high])], schema=FINDS)


def best(finds: pa.Table, by: str) -> pa.Table:
    """One match for each value of `by`: by the most reliable method, then the most similar, then the first item."""
    surety = pc.index_in(finds["method"], value_set=pa.array(METHODS, TEXT))
    order: list[tuple[str, Order]] = [(by, "ascending"), ("surety", "ascending"), ("similarity", "descending"), ("item", "ascending")]
    finds = finds.append_column("surety", surety).sort_by(order).drop_columns(["surety"])
    values = finds[by].combine_chunks().dictionary_encode().indices.to_numpy()
    return finds.filter(pa.array(np.diff(values, prepend=-1) != 0))
