"""Which messages hold a benchmark item, which item, and how it was found.

In: messages and items (as `tasks.decontaminate.benchmarks` reads them). Out: for each message that holds an item the best find.
The methods, surest first, and what their similarity is:

- `ngram`: the share of the item's n-grams of `ngram.words` words that the message has; an item of fewer words must be in there
  whole, word by word.
- `near`: the Jaccard similarity of the two sets of n-grams of `near.words` words.
- `reworded`: the share of the item's words, by weight, that the message has, in whatever order. A guard keeps chance out: the message
  must also have a share of the item's phrases, which are its pairs of neighbouring words that few items have, and the item's words
  must be a share of its own: a long text has some of everything.
- `embedding`: the cosine of the two embeddings. The guards are both shares of words, as above.

Reference solutions are looked for in answers by a `Verbatim` of their own, as method `answer`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common.embeddings import Embeddings
from tasks.common.similarity.near_copies import jaccard
from tasks.core.params import StageParams
from tasks.decontaminate.ngrams import Index, Shared
from tasks.decontaminate.verbatim import Ngrams, Verbatim, finds_of
from tasks.decontaminate.weights import Weights, shares, weights
from tasks.decontaminate.words import BETWEEN, Words, plain

PHRASE = 2  # words of a phrase
COMMON = 50  # a phrase that more items have tells nothing
LEAST_PHRASES = 0.1  # share of an item's phrases below which no rewording of it is looked for at all


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


class Answers(StageParams):
    """When an answer holds a reference solution."""

    use: bool
    min_words: int = Field(ge=1)  # a solution with fewer words is not looked for


class Settings(StageParams):
    """When a message counts as holding an item."""

    min_words: int = Field(ge=1)  # an item, or a turn of one, with fewer words is not looked for
    ngram: Ngrams
    near: NearCopy
    reworded: Reworded
    embedding: Embedding
    answers: Answers


class Search(Verbatim):
    """Benchmark items, ready to be looked for by all methods."""

    def __init__(self, items: pa.Array, settings: Settings) -> None:
        super().__init__(items, settings.ngram, settings.min_words)
        self.settings = settings
        self.near = Index.of(self.words, settings.near.words, self.sought)
        self.phrases = Index.of(self.words, PHRASE, self.sought, COMMON)
        self.embeddings = Embeddings(settings.embedding.model, "decontaminate.embedding.model") if settings.embedding.model else None
        self.vectors = self.embeddings.of(items.to_pylist()) if self.embeddings else None

    def weigh(self, words: list[Words]) -> Weights:
        """The weight of each word, by how many messages and items have it."""
        return weights(len(self.vocabulary), self.words, *words)

    def finds(self, messages: pa.Array, words: Words, weighing: Weights) -> Iterator[pa.Table]:
        """All finds in some messages, method by method."""
        yield from super().finds(messages, words, weighing)
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
