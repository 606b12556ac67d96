"""Search for benchmark items in messages: which message, which item, by which method.

In: messages and items (from `tasks.decontaminate.benchmarks`). Out: the best match of each message with an item.
The methods, most reliable first, and their similarity:

- `ngram`: the share of the item's n-grams of `ngram.words` words that the message has; a shorter item must occur as a
  whole.
- `near`: the Jaccard similarity of the two sets of n-grams of `near.words` words.
- `reworded` (paraphrased): the weighted share of the item's words that the message has, in any order. To exclude chance, the message
  must also have a share of the item's phrases (pairs of neighbouring words that few items have), and the item's words must be a share of
  the message: a long text has some of everything.
- `embedding`: the cosine of the two embeddings; the shares of words are required as above.

Reference solutions are searched for in answers by a separate `Verbatim`, as method `answer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common.arrays import strings
from tasks.common.embeddings import Embeddings
from tasks.common.similarity.near_copies import jaccard
from tasks.core.params import StageParams
from tasks.decontaminate.ngrams import Index, Shared
from tasks.decontaminate.verbatim import Ngrams, Verbatim, finds_of
from tasks.decontaminate.weights import Weights, shares, weights
from tasks.decontaminate.words import SEPARATORS, Words, plain

PHRASE = 2  # words of a phrase
COMMON = 50  # phrases that more items have are ignored
LEAST_PHRASES = 0.1  # minimum share of an item's phrases for any paraphrase


class NearCopy(StageParams):
    """Near-verbatim match of an item."""

    words: int = Field(ge=1, le=64)  # words of an n-gram
    threshold: float = Field(gt=0, le=1)  # Jaccard similarity of the two sets of n-grams


class Reworded(StageParams):
    """Paraphrase of an item: partly other words, or another order."""

    words: float = Field(gt=0, le=1)  # share of the item's words, by weight
    phrases: float = Field(ge=LEAST_PHRASES, le=1)  # share of the item's phrases
    message: float = Field(ge=0, le=1)  # share of the message's words, by weight, that the item has


class Embedding(StageParams):
    """Match by meaning."""

    model: str  # "" is off; or the folder of a model2vec model, or its name on the Hugging Face hub
    similarity: float = Field(gt=0, le=1)  # cosine
    words: float = Field(ge=0, le=1)  # share of the item's words, by weight
    message: float = Field(ge=0, le=1)  # share of the message's words, by weight, that the item has


class Answers(StageParams):
    """Reference solutions in answers."""

    use: bool
    min_words: int = Field(ge=1)  # shorter solutions are ignored


class Settings(StageParams):
    """Parameters of the search."""

    min_words: int = Field(ge=1)  # shorter items, or turns of items, are ignored
    ngram: Ngrams
    near: NearCopy
    reworded: Reworded
    embedding: Embedding
    answers: Answers


class Search(Verbatim):
    """Benchmark items, prepared for the search by all methods."""

    def __init__(self, items: pa.Array[Any], settings: Settings) -> None:
        super().__init__(items, settings.ngram, settings.min_words)
        self.settings = settings
        self.near = Index.of(self.words, settings.near.words, self.searched)
        self.phrases = Index.of(self.words, PHRASE, self.searched, COMMON)
        self.embeddings = Embeddings(settings.embedding.model, "decontaminate.embedding.model") if settings.embedding.model else None
        self.vectors = self.embeddings.of(strings(items)) if self.embeddings else None

    def weigh(self, words: list[Words]) -> Weights:
        """The weight of each word, by how many messages and items have it."""
        return weights(len(self.vocabulary), self.words, *words)

    def finds(self, messages: pa.Array[Any], words: Words, weighing: Weights) -> Iterator[pa.Table]:
        """All matches in some messages, method by method."""
        yield from super().finds(messages, words, weighing)
        shared, least = self.near.shared(words), self.settings.near.threshold
        shared = shared.only(shared.grams >= least * self.near.totals[shared.item])  # the item's n-grams are a part of the union
        yield finds_of("near", shared, self._jaccard(messages, shared), least)
        shared = self.phrases.shared(words)
        phrases = shared.grams / self.phrases.totals[shared.item]
        shared, phrases = shared.only(phrases >= LEAST_PHRASES), phrases[phrases >= LEAST_PHRASES]
        item_share, message_share = shares(words, self.words, shared, weighing)
        rule, meant = self.settings.reworded, self.settings.embedding
        chosen = (phrases >= rule.phrases) & (message_share >= rule.message)
        yield finds_of("reworded", shared.only(chosen), item_share[chosen], rule.words)
        if self.embeddings:
            shared = shared.only((item_share >= meant.words) & (message_share >= meant.message))
            yield finds_of("embedding", shared, self._cosine(self.embeddings, messages, shared), meant.similarity)

    def _jaccard(self, messages: pa.Array[Any], shared: Shared) -> Weights:
        """Exact similarity of the sets of n-grams."""
        left, places = np.unique(shared.message, return_inverse=True)
        right, others = np.unique(shared.item, return_inverse=True)
        texts = plain(pa.concat_arrays([messages.take(left), self.texts.take(right)]))
        return jaccard(pc.replace_substring_regex(texts, SEPARATORS, " "), places, others + len(left), self.settings.near.words)

    def _cosine(self, embeddings: Embeddings, messages: pa.Array[Any], shared: Shared) -> Weights:
        rows, places = np.unique(shared.message, return_inverse=True)
        vectors = embeddings.of(strings(messages.take(rows)))
        return np.asarray(np.einsum("ij,ij->i", vectors[places], self.vectors[shared.item], dtype=np.float64))  # type: ignore[index]
