"""A Bradley-Terry judge on words: which of two answers to a prompt is better, told from the words that they use.

In: prompts and pairs of answers. Out: a margin for each pair, above 0 where the first answer is judged better.

Each answer is its TF-IDF vector (words and pairs of words; sublinear counts) and how far it and its prompt share words; with
embeddings, also what it means. The judge is a logistic regression without intercept on the difference of the two answers' vectors, the
Bradley-Terry model (1952). So it is antisymmetric: swapping the answers turns the sign of every margin, exactly.

Equal input gives equal bytes whatever the number of cores: sums are made by one thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = np.ndarray[Any, np.dtype[np.float64]]
Places = np.ndarray[Any, Any]
Counts = Any  # scipy.sparse.csr_matrix: one row a text, one column a term
Embed = Callable[[Sequence[str]], np.ndarray[Any, Any]]

STRENGTH = 0.5  # of the regression: scikit-learn's C. On the sample and on Anthropic's harmless pairs 0.1 to 1 differ by less than noise
LEAST_TEXTS = 2  # texts that a term must stand in: what stands in one tells of no other
FEW_TEXTS = 100  # of fewer texts all terms are read
CHARACTERS = 4000  # of a text that are read: what decides is said by then, and cost stays bounded
# Words, single characters of scripts that do not part words by spaces (Thai, kana, Han), and single marks.
ALONE = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
TOKEN = rf"[{ALONE}]|[^\W{ALONE}]+|[^\w\s]"
WORD = re.compile(rf"[{ALONE}]|[^\W{ALONE}]+")


@dataclass(frozen=True)
class Rows:
    """Pairs of answers as numbers."""

    first: Counts
    second: Counts
    dense: Numbers  # one row a pair: differences of what is no word

    def take(self, places: Places) -> Rows:
        """Some of the rows."""
        return Rows(self.first[places], self.second[places], self.dense[places])

    def turned(self, which: Places) -> Rows:
        """The same rows, with the two answers swapped where `which` says so."""
        from scipy.sparse import diags

        swap, stay = diags(which.astype(np.float64)), diags((~which).astype(np.float64))
        first, second = stay @ self.first + swap @ self.second, stay @ self.second + swap @ self.first
        return Rows(first.tocsr(), second.tocsr(), np.where(which[:, None], -self.dense, self.dense))

    def __len__(self) -> int:
        return int(self.first.shape[0])


@dataclass(frozen=True)
class Judge:
    """What was learned: the rarity of each term, and the worth of each term and of each dense feature."""

    rarity: Any  # scikit-learn's TfidfTransformer
    worth: Numbers

    def margins(self, rows: Rows) -> Numbers:
        """For each row how much better the first answer is, in log-odds."""
        found: Numbers = differences(rows, self.rarity) @ self.worth if len(rows) else np.zeros(0)
        return found


@dataclass(frozen=True)
class Probe:
    """A judge that takes texts."""

    terms: tuple[str, ...]
    judge: Judge
    embed: Embed | None = None

    @classmethod
    def fit(
        cls,
        prompts: Sequence[str],
        chosen: Sequence[str],
        rejected: Sequence[str],
        weights: Sequence[float] | Numbers | None = None,
        embed: Embed | None = None,
    ) -> Probe:
        """A judge that learned from these pairs, each counting by its weight."""
        terms = vocabulary([*chosen, *rejected])
        rows = count(terms, prompts, chosen, rejected, embed)
        return cls(terms, learn(rows, np.ones(len(rows)) if weights is None else np.asarray(weights, np.float64)), embed)

    def margins(self, prompts: Sequence[str], chosen: Sequence[str], rejected: Sequence[str]) -> Numbers:
        """For each pair the log-odds that `chosen` is the better answer; 0 where nothing tells them apart."""
        return self.judge.margins(count(self.terms, prompts, chosen, rejected, self.embed))


def vocabulary(texts: Sequence[str]) -> tuple[str, ...]:
    """The words and pairs of words that stand in at least two of the texts; of few texts, all."""
    counter = _counter()
    try:
        counts = counter.fit_transform(_cut(texts))
    except ValueError:  # no text has a word
        return ()
    names = counter.get_feature_names_out()
    return tuple(names if len(texts) < FEW_TEXTS else names[counts.getnnz(axis=0) >= LEAST_TEXTS])


def count(terms: Sequence[str], prompts: Sequence[str], first: Sequence[str], second: Sequence[str], embed: Embed | None = None) -> Rows:
    """The pairs as numbers; words that are not in `terms` are not seen."""
    from scipy.sparse import csr_matrix

    sides = [_cut(side) for side in (first, second)]
    asked = [_words(text) for text in _cut(prompts)]
    echo = np.subtract(*(np.array([_echo(words, _words(text)) for words, text in zip(asked, side, strict=True)]) for side in sides))
    parts = [echo.reshape(len(asked), 2)]
    if embed is not None:
        parts.append(np.subtract(*(np.asarray(embed(side), np.float64) for side in sides)))
    counter = _counter(vocabulary={term: place for place, term in enumerate(terms)}) if terms else None
    counted = [counter.transform(side) if counter else csr_matrix((len(asked), 0)) for side in sides]
    return Rows(counted[0], counted[1], np.hstack(parts))


def learn(rows: Rows, weights: Numbers) -> Judge:
    """The judge under which the first answers are most likely the better ones; it knows nothing where there are no rows."""
    from scipy.sparse import diags, vstack
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    rarity = TfidfTransformer(sublinear_tf=True)
    if len(rows) and rows.first.shape[1]:
        rarity.fit(vstack([rows.first, rows.second]))
    features = differences(rows, rarity)
    if not len(rows):
        return Judge(rarity, np.zeros(features.shape[1]))
    if len(rows) == 1:  # the regression wants rows of both classes
        features, weights = vstack([features, features]).tocsr(), np.repeat(weights, 2)
    # "The first is better" and "the second is better, of the two swapped" are one statement: every other row is turned.
    turned = np.where(np.arange(features.shape[0]) % 2, 1.0, -1.0)
    regression = LogisticRegression(C=STRENGTH, fit_intercept=False, max_iter=200)
    with threadpool_limits(limits=1):
        regression.fit(diags(turned) @ features, turned, sample_weight=weights)
    return Judge(rarity, regression.coef_[0])


def differences(rows: Rows, rarity: Any) -> Any:  # noqa: ANN401  (scikit-learn and scipy have no types)
    """TF-IDF vectors of the first answers less those of the second ones, and the dense differences."""
    from scipy.sparse import csr_matrix, hstack

    known = hasattr(rarity, "idf_")
    words = rarity.transform(rows.first) - rarity.transform(rows.second) if known else csr_matrix(rows.first.shape)
    return hstack([words, csr_matrix(rows.dense)]).tocsr()


def _counter(**more: object) -> Any:  # noqa: ANN401
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(ngram_range=(1, 2), token_pattern=TOKEN, **more)


def _cut(texts: Sequence[str]) -> list[str]:
    return [text[:CHARACTERS] for text in texts]


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text.lower()))


def _echo(asked: frozenset[str], said: frozenset[str]) -> tuple[float, float]:
    """Which part of the answer's words the prompt has, and which part of the prompt's words the answer has."""
    shared = len(asked & said)
    return shared / max(1, len(said)), shared / max(1, len(asked))
