"""A judge of words as a second annotator: what words say of couples of answers, never by a judge that learnt from the couple's own group.

In: the evidence and couples. Out: for each couple that is judged a margin, above 0 where the lower answer's words are those of preferred
answers, in deviations and on a grid; NaN for the others; and how often it agrees with the people whom it did not learn from.

It learns from the train split alone, from at most `most` couples, by folds of near-equal prompts and of who chats; couples of other
splits are judged by all folds' couples. The judge is a ridge regression of who was preferred on the difference of the two answers' words
(TF-IDF of the FEATURES terms that stand in most texts): solved in one step, so that there is no last iteration to differ by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow.compute as pc

from tasks.common.arrays import Floats, Mask, Rows, codes, distinct_keys
from tasks.common.similarity import components
from tasks.common.tfidf_bradley_terry import TOKEN
from tasks.core.ids import stable_id
from tasks.pair.evidence import Evidence

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

FEATURES = 1024
CHARACTERS = 1000  # of an answer that are read
STRENGTH = 2.0  # of the ridge
FOLDS = 5
STEPS = 20  # of the margins' grid, in a deviation
FARTHEST = 3.0  # deviations
SURE = 2.5  # standard errors by which agreement must be above one half
LEAST = 50  # couples to learn from


@dataclass(frozen=True)
class Judge:
    """What words say."""

    margins: Floats  # of each couple
    asked: int  # couples of the train split that people decided, judged out of fold
    agreement: float  # the share of them in which words say the same

    @property
    def counts(self) -> bool:
        """Whether the judge agrees with people more often than chance would."""
        return self.asked > 0 and self.agreement - SURE * (0.25 / self.asked) ** 0.5 > 0.5


@dataclass(frozen=True)
class Couples:
    """Couples to judge: rows of their answers, and whom people prefer."""

    low: Rows
    high: Rows
    lead: Rows  # above 0: the lower one
    train: Mask  # of the train split


def judge(evidence: Evidence, couples: Couples, judged: Rows, most: int) -> Judge:
    """What words say of the couples `judged`; it learns from at most `most` of those."""
    low, high, lead, train = couples.low[judged], couples.high[judged], couples.lead[judged], couples.train[judged]
    taught = spaced(np.flatnonzero(train & (lead != 0)), most)
    rows = features(evidence, low, high, taught) if len(taught) >= LEAST else None
    margin = np.zeros(len(judged)) if rows is None else out_of_fold(rows, np.sign(lead).astype(float), train, taught, folds(evidence, low))
    deviation = float(np.round(np.sqrt(np.square(margin[taught]).mean()), 6)) if len(taught) else 0.0
    margins = np.full(len(couples.low), np.nan)
    if not deviation:
        return Judge(margins, 0, 0.0)
    margins[judged] = np.round(np.clip(margin / deviation, -FARTHEST, FARTHEST) * STEPS) / STEPS
    agreement = ((np.sign(margin[taught]) * np.sign(lead[taught]) + 1) / 2).mean()
    return Judge(margins, len(taught), float(agreement))


def out_of_fold(rows: csr_matrix, labels: Floats, train: Mask, taught: Rows, fold: Rows) -> Floats:
    """What each couple is told by those that learnt from other folds; what is not of the train split, by all."""
    whole, margins = Normal.of(rows[taught], labels[taught]), np.zeros(len(labels))
    for one in range(FOLDS):
        own = taught[fold[taught] == one]
        held = np.flatnonzero((fold == one) & train)
        margins[held] = rows[held] @ whole.less(Normal.of(rows[own], labels[own])).solve()
    held = np.flatnonzero(~train)
    if len(held):
        margins[held] = rows[held] @ whole.solve()
    return np.asarray(np.round(margins, 9))


@dataclass(frozen=True)
class Normal:
    """The normal equations of a ridge regression."""

    squares: Floats
    moments: Floats

    @classmethod
    def of(cls, rows: csr_matrix, labels: Floats) -> Normal:
        """Those of these rows."""
        return cls((rows.T @ rows).toarray(), rows.T @ labels)

    def less(self, other: Normal) -> Normal:
        """Without the other's rows."""
        return Normal(self.squares - other.squares, self.moments - other.moments)

    def solve(self) -> Floats:
        """What each term is worth."""
        from scipy.linalg import solve
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1):
            return np.asarray(solve(self.squares + STRENGTH * np.eye(len(self.moments)), self.moments, assume_a="pos"))


def spaced(rows: Rows, most: int) -> Rows:
    """At most so many of the rows, evenly spaced: they stand in the order of hashes."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def folds(evidence: Evidence, low: Rows) -> Rows:
    """The fold of each couple: near-equal prompts share one, and so do the prompts of one who chats."""
    cluster = pc.coalesce(evidence.prompts["cluster_id"], evidence.prompts["prompt_id"])
    names = pc.unique(cluster)
    order = pc.sort_indices(names).to_numpy()
    rank = np.argsort(order)[codes(cluster)]  # of each prompt: the place of its cluster among the sorted ones
    row, person = evidence.chatters
    first = cast("list[str]", names.take(order).take(together(len(names), rank[row], person)).to_pylist())
    fold = np.array([int(stable_id("fold", name)[:8], 16) % FOLDS for name in first], np.int64)
    return np.asarray(fold[rank][evidence.home[low]])


def together(count: int, cluster: Rows, person: Rows) -> Rows:
    """For each of `count` clusters the first of those that people who chat in several tie to it; `cluster` and `person`: who chats where.

    Who chats in more than a fold's share ties none; nor do those who chat in most, until no group is larger than that.
    """
    width = int(person.max(initial=-1)) + 1
    key = distinct_keys(person + width * cluster)
    cluster, person = key // max(width, 1), key % max(width, 1)
    order = np.lexsort((cluster, person))
    cluster, person = cluster[order], person[order]
    many, most = np.bincount(person, minlength=1)[person], count // FOLDS
    while most > 1:
        tied = (person[1:] == person[:-1]) & (many[1:] <= most)
        label = components(count, cluster[:-1][tied], cluster[1:][tied])
        if np.bincount(label, minlength=1).max() <= max(count // FOLDS, 1):
            return label
        most //= 2
    return np.arange(count)


def features(evidence: Evidence, low: Rows, high: Rows, taught: Rows) -> csr_matrix | None:
    """Differences of the TF-IDF vectors of each couple's answers: terms and rarity are those of the couples that are learnt from."""
    from scipy.sparse import diags

    used, back = np.unique(np.concatenate([low, high]), return_inverse=True)
    contents = cast("list[str]", evidence.answers["content"].take(used).to_pylist())
    texts = [text[:CHARACTERS].lower() for text in contents]
    sides = back[: len(low)], back[len(low) :]
    learnt = np.unique(np.concatenate([side[taught] for side in sides]))
    terms, seen = vocabulary([texts[row] for row in learnt])
    if not len(terms):
        return None
    found = counter(vocabulary={term: place for place, term in enumerate(terms)}).transform(texts).astype(float)
    found.data = 1 + np.log(found.data)
    found = found @ diags(np.log((1 + len(learnt)) / (1 + seen)) + 1)
    length = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)).ravel())
    found = diags(1 / np.where(length > 0, length, 1.0)) @ found
    return (found[sides[0]] - found[sides[1]]).tocsr()


def vocabulary(texts: list[str]) -> tuple[list[str], Rows]:
    """The FEATURES words and pairs of words that stand in most texts, in two at least; and in how many."""
    counting = counter()
    try:
        seen = counting.fit_transform(texts).getnnz(axis=0)
    except ValueError:  # no text has a word
        return [], np.zeros(0, np.int64)
    kept = np.sort(np.lexsort((np.arange(len(seen)), -seen))[:FEATURES])
    kept = kept[seen[kept] > 1]
    return counting.get_feature_names_out()[kept].tolist(), seen[kept].astype(np.int64)


def counter(**more: object) -> CountVectorizer:
    """What counts terms in a text."""
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(ngram_range=(1, 2), token_pattern=TOKEN, lowercase=False, **more)
