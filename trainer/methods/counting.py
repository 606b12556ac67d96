"""Fit the token counts of a reward model: ridge regression in the model of Bradley and Terry (1952), on counts of tokens.

In: encoded pairs. Out: the counts' weights, and for every pair what counts fitted without it say of its two answers.

The loss of a pair is -log sigmoid(score of the chosen - score of the rejected answer), times the pair's weight over the mean weight, and
`l2` / 2 times the sum of squared weights, which stands for what is believed before any pair was seen. It is convex, so neither a seed nor
a rate has a say, and takes seconds.

The body of the reward model learns what counts leave open, and must not take their word for pairs on which they were fitted: there they
are always right, and nothing would be left to learn. So each pair is scored by counts from the other folds (stacking, Wolpert 1992), whose
folds never part pairs with near-equal prompts. One factor, fitted on those scores, says what counts are worth: 1 where they tell
preferences, 0 where they tell nothing, as with thousands of tokens and few pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trainer.data.encode import EncodedPair
from trainer.models.token_counts import TokenCounts, features

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FOLDS = 5
MOST_STEPS = 500


@dataclass(frozen=True)
class Settings:
    """What the counts need to know."""

    most: int  # of one token in one answer
    l2: float


@dataclass(frozen=True)
class Fitted:
    """The counts, and what they say of the pairs that they were fitted on: an array of (chosen, rejected) x pairs, out of fold."""

    counts: TokenCounts
    known: np.ndarray
    worth: float  # the factor


def fit(pairs: Sequence[EncodedPair], vocabulary: int, settings: Settings, seed: int) -> Fitted:
    """Counts from all pairs, and out of fold; the mean score over both sides of all pairs is zero."""
    chosen, rejected = (
        features(side, settings.most, vocabulary) for side in zip(*((row.chosen, row.rejected) for row in pairs), strict=True)
    )
    weights = np.array([row.pair.weight for row in pairs]) / np.mean([row.pair.weight for row in pairs])
    gaps, fold = (chosen - rejected).tocsr(), folds(pairs, seed)
    known = np.zeros((2, len(pairs)))
    for number in range(FOLDS):
        mine = fold == number
        if mine.any() and not mine.all():
            learned = ridge(gaps[~mine], weights[~mine], settings.l2)
            known[:, mine] = chosen[mine] @ learned, rejected[mine] @ learned
    worth = factor(known[0] - known[1], weights)
    learned = worth * ridge(gaps, weights, settings.l2)
    constant = -float(np.mean([chosen @ learned, rejected @ learned]))
    known *= worth
    return Fitted(TokenCounts(learned, constant, settings.most), known - known.mean(), worth)


def folds(pairs: Sequence[EncodedPair], seed: int) -> np.ndarray:
    """The fold of each pair: whole clusters of near-equal prompts, by chance of the seed."""
    names, cluster = np.unique([row.pair.cluster_id for row in pairs], return_inverse=True)
    found: np.ndarray = np.random.default_rng(seed).permutation(len(names))[cluster] % FOLDS
    return found


def ridge(gaps: csr_matrix, weights: np.ndarray, l2: float) -> np.ndarray:
    """The weights of tokens that fit these gaps of counts best, one row a pair."""
    from scipy.optimize import minimize
    from scipy.special import expit

    def loss(learned: np.ndarray) -> tuple[float, np.ndarray]:
        found = gaps @ learned
        slope = l2 * learned - gaps.T @ (weights * expit(-found))
        return float(weights @ np.logaddexp(0, -found) + l2 / 2 * learned @ learned), slope

    learned: np.ndarray = minimize(loss, np.zeros(gaps.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS}).x
    return learned


def factor(gaps: np.ndarray, weights: np.ndarray) -> float:
    """What gaps are best multiplied with to be log odds: 0 where they say nothing, or the opposite, and never more than 1."""
    from scipy.optimize import minimize_scalar

    if not gaps.any():
        return 0.0
    return float(minimize_scalar(lambda by: weights @ np.logaddexp(0, -by * gaps), bounds=(0.0, 1.0), method="bounded").x)
