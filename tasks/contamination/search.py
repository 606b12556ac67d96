"""Which messages hold a benchmark item, which item, and how it was found.

In: messages and items (as `tasks.contamination.items` reads them). Out: for each message that holds an item the best find.
The methods, surest first, and what their similarity is:

- `ngram`: the share of the item's n-grams of `ngram.words` words that the message has; an item of fewer words must be in there
  whole, word by word.
- `near`: the Jaccard similarity of the two sets of n-grams of `near.words` words.
- `reworded`: the share of the item's words, by weight, that the message has, in whatever order. A guard keeps chance out: the message
  must also have a share of the item's phrases, which are its pairs of neighbouring words that few items have, and the item's words
  must be a share of its own: a long text has some of everything.
- `embedding`: the cosine of the two embeddings. The guards are both shares of words, as above.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.contamination.embeddings import Embeddings
from tasks.contamination.grams import Index, Shared
from tasks.contamination.weights import Weights, shares, weights
from tasks.contamination.words import BETWEEN, Words, known, plain, vocabulary
from tasks.core.params import StageParams
from tasks.core.tables import TEXT
from tasks.similar.pairs import jaccard

FINDS = pa.schema([("message", pa.int64()), ("item", pa.int64()), ("method", TEXT), ("similarity", pa.float64())])
METHODS = ("ngram", "near", "reworded", "embedding")
CHUNK = 65_536  # messages compared at a time
PHRASE = 2  # words of a phrase
COMMON = 50  # a phrase that more items have tells nothing
LEAST_PHRASES = 0.1  # share of an item's phrases below which no rewording of it is looked for at all
DIGITS = 6  # of a similarity: what follows may differ between machines


class Ngrams(StageParams):
    """When a message holds an item as it stands."""

    words: int = Field(ge=2, le=64)  # words of an n-gram
    share: float = Field(gt=0, le=1)  # of the item's n-grams that the message has


class NearCopy(StageParams):
    """When a message is nearly an item."""

    words: int = Field(ge=1, le=64)  # words of an n-gram
    threshold: float = Field(gt=0, le=1)  # Jaccard similarity of the two sets of n-grams


class Reworded(StageParams):
    """When a message says an item in partly other words or in another order."""

    words: float = Field(gt=0, le=1)  # share of the item's words, by weight
    phrases: float = Field(ge=LEAST_PHRASES, le=1)  # share of the item's phrases
    message: float = Field(ge=0, le=1)  # share of the message's words, by weight, that the item has


class Embedding(StageParams):
    """When a message means what an item means."""

    model: str  # "" is off; or the folder of a model2vec model, or its name on the Hugging Face hub
    similarity: float = Field(gt=0, le=1)  # cosine
    words: float = Field(ge=0, le=1)  # share of the item's words, by weight
    message: float = Field(ge=0, le=1)  # share of the message's words, by weight, that the item has


class Settings(StageParams):
    """When a message counts as holding an item."""

    min_words: int = Field(ge=1)  # an item, or a turn of one, with fewer words is not looked for
    ngram: Ngrams
    near: NearCopy
    reworded: Reworded
    embedding: Embedding


class Search:
    """Benchmark items, ready to be looked for."""

    def __init__(self, items: pa.Array, settings: Settings) -> None:
        self.settings, self.texts = settings, items
        self.vocabulary = vocabulary(items)
        self.words = known(items, self.vocabulary)
        self.sought = self.words.lengths >= settings.min_words
        self.verbatim = list(self._verbatim_indices())
        self.near = Index.of(self.words, settings.near.words, self.sought)
        self.phrases = Index.of(self.words, PHRASE, self.sought, COMMON)
        self.embeddings = Embeddings(settings.embedding.model) if settings.embedding.model else None
        self.vectors = self.embeddings.of(items.to_pylist()) if self.embeddings else None

    def _verbatim_indices(self) -> Iterator[Index]:
        """The n-grams of all items that have some; then the items of fewer words, each as one n-gram of all its words."""
        size, lengths = self.settings.ngram.words, self.words.lengths
        yield Index.of(self.words, size, self.sought & (lengths >= size))
        for length in np.unique(lengths[self.sought & (lengths < size)]).tolist():
            yield Index.of(self.words, length, self.sought & (lengths == length))

    def find(self, messages: pa.Array) -> pa.Table:
        """The best find of each message that holds an item, sorted by message."""
        chunks = [messages.slice(start, CHUNK) for start in range(0, len(messages), CHUNK)]
        words = [known(chunk, self.vocabulary) for chunk in chunks]
        weighing = weights(len(self.vocabulary), self.words, *words)
        found = [FINDS.empty_table()]
        for number, (chunk, spoken) in enumerate(zip(chunks, words, strict=True)):
            finds = best(pa.concat_tables(self._finds(chunk, spoken, weighing)), "message")
            found.append(finds.set_column(0, FINDS.field("message"), pc.add(finds["message"], number * CHUNK)))
        return pa.concat_tables(found)

    def _finds(self, messages: pa.Array, words: Words, weighing: Weights) -> Iterator[pa.Table]:
        """All finds of each method."""
        for index in self.verbatim:
            shared = index.shared(words)
            least = self.settings.ngram.share if index.size == self.settings.ngram.words else 1.0
            yield finds_of("ngram", shared, shared.grams / index.totals[shared.item], least)
        shared, least = self.near.shared(words), self.settings.near.threshold
        shared = shared.only(shared.grams >= least * self.near.totals[shared.item])  # the item's own are a part of their union
        yield finds_of("near", shared, self._jaccard(messages, shared), least)
        shared = self.phrases.shared(words)
        phrases = shared.grams / self.phrases.totals[shared.item]
        shared, phrases = shared.only(phrases >= LEAST_PHRASES), phrases[phrases >= LEAST_PHRASES]
        said, own = shares(words, self.words, shared, weighing)
        rule, meant = self.settings.reworded, self.settings.embedding
        chosen = (phrases >= rule.phrases) & (own >= rule.message)
        yield finds_of("reworded", shared.only(chosen), said[chosen], rule.words)
        if self.embeddings:
            shared = shared.only((said >= meant.words) & (own >= meant.message))
            yield finds_of("embedding", shared, self._cosine(self.embeddings, messages, shared), meant.similarity)

    def _jaccard(self, messages: pa.Array, shared: Shared) -> Weights:
        """Exact similarity of the sets of n-grams."""
        left, places = np.unique(shared.message, return_inverse=True)
        right, others = np.unique(shared.item, return_inverse=True)
        texts = plain(pa.concat_arrays([messages.take(pa.array(left)), self.texts.take(pa.array(right))]))
        return jaccard(pc.replace_substring_regex(texts, BETWEEN, " "), places, others + len(left), self.settings.near.words)

    def _cosine(self, embeddings: Embeddings, messages: pa.Array, shared: Shared) -> Weights:
        rows, places = np.unique(shared.message, return_inverse=True)
        vectors = embeddings.of(messages.take(pa.array(rows)).to_pylist())
        return np.asarray(np.einsum("ij,ij->i", vectors[places], self.vectors[shared.item], dtype=np.float64))  # type: ignore[index]


def finds_of(method: str, shared: Shared, similarity: npt.NDArray[np.float64], least: float) -> pa.Table:
    """The pairs that are at least so similar."""
    similarity = np.round(similarity, DIGITS)
    high = similarity >= least
    shared = shared.only(high)
    methods = pa.array([method] * len(shared.item), TEXT)
    return pa.table([pa.array(shared.message), pa.array(shared.item), methods, pa.array(similarity[high])], schema=FINDS)


def best(finds: pa.Table, by: str) -> pa.Table:
    """One find for each value of `by`: of the surest method, of those the most similar, of those the first item."""
    surety = pc.index_in(finds["method"], value_set=pa.array(METHODS, TEXT))
    order = [(by, "ascending"), ("surety", "ascending"), ("similarity", "descending"), ("item", "ascending")]
    finds = finds.append_column("surety", surety).sort_by(order).drop_columns(["surety"])
    values = finds[by].to_numpy()
    return finds.filter(pa.array(np.diff(values, prepend=-1) != 0))
