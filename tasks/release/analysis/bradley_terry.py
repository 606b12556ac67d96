"""Bradley-Terry: scores of players from the outcomes of comparisons, which may be reported wrongly.

In: comparisons as columns. Out: a score (log-odds) and a standard error for each player. The model says that i wins against j with
probability p = 1 / (1 + exp(score j - score i)), and that a report is right with a probability of its own, so that "i won" is reported with
probability right * p + (1 - right) * (1 - p). Reports that are always right give the plain model. Scores are the maximum a posteriori
estimate, by Fisher scoring; standard errors come from the same information matrix.

Only players that are connected by a chain of comparisons can be compared: others are in different groups. Each player also has `prior`
pseudo-comparisons with a player of score 0, half of them won: otherwise a player that never lost would have no finite score (Hunter 2004,
assumption 1).

Bradley, R. A. and Terry, M. E. (1952): Rank analysis of incomplete block designs. Biometrika 39. Hunter, D. R. (2004): MM algorithms for
generalized Bradley-Terry models. Annals of Statistics 32. Chen, X. et al. (2013): Pairwise ranking aggregation in a crowdsourced setting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tasks.common.annotator_labels import codes
from tasks.common.arrays import Rows, filled

Floats = npt.NDArray[np.float64]
PRIOR = 1.0  # pseudo-comparisons per model in `rank_models`
DIGITS = 6  # as in `consensus`
SETTLED = 1e-10
STEPS = 100  # scoring takes about six


@dataclass(frozen=True)
class Scores:
    """Scores of the players, in their order."""

    score: Floats  # mean 0 in each group
    error: Floats  # standard error of the score; NaN for a player without comparisons
    group: Rows  # players of one group are connected; 0 is the largest group


def bradley_terry(winner: Rows, loser: Rows, right: Floats, players: int, prior: float) -> Scores:
    """Scores of players 0, 1, ... from comparisons; `right` is the probability that each is reported correctly, above 0.5."""
    group = groups(winner, loser, players)
    levels, level = np.unique(np.round(right, DIGITS), return_inverse=True)
    outcomes, times = np.unique((winner * players + loser) * len(levels) + level, return_counts=True)
    (first, second), sure = np.divmod(outcomes // max(len(levels), 1), players), levels[outcomes % max(len(levels), 1)]
    score, fit = np.zeros(players), -np.inf
    step = np.zeros(players)
    for _ in range(STEPS):
        now, slope, information = likelihood(first, second, sure, times, score + step, prior)
        if now < fit - abs(fit) * 1e-12:
            step = step / 2
            continue
        score, fit = score + step, now
        step = np.linalg.pinv(information, hermitian=True) @ slope
        if np.abs(step).max(initial=0.0) < SETTLED:
            break
    middle = np.eye(players) - (group[:, None] == group) / np.bincount(group)[group]  # subtracts the mean of the group
    spread = np.diag(middle @ np.linalg.pinv(information, hermitian=True) @ middle)
    alone = np.bincount(group)[group] == 1
    return Scores(middle @ score, np.where(alone, np.nan, np.sqrt(np.maximum(spread, 0))), group)


def likelihood(first: Rows, second: Rows, sure: Floats, times: Rows, score: Floats, prior: float) -> tuple[float, Floats, Floats]:
    """Log-likelihood of the scores, its gradient, and the expected information."""
    players = len(score)
    wins = 1 / (1 + np.exp(score[second] - score[first]))
    reported = sure * wins + (1 - sure) * (1 - wins)
    change = (2 * sure - 1) * wins * (1 - wins)
    slope = np.bincount(first, times * change / reported, players) - np.bincount(second, times * change / reported, players)
    weight = times * change * change / (reported * (1 - reported))
    pairwise = np.bincount(first * players + second, weight, players * players).reshape(players, players)
    pairwise = pairwise + pairwise.T
    even = 1 / (1 + np.exp(-score))
    information = np.diag(pairwise.sum(axis=1) + prior * even * (1 - even)) - pairwise
    imagined = prior / 2 * (np.log(even) + np.log(1 - even)).sum()
    return float((times * np.log(reported)).sum() + imagined), slope + prior * (0.5 - even), np.asarray(information, float)


def groups(winner: Rows, loser: Rows, players: int) -> Rows:
    """Connected components of the comparisons; group 0 has the most players (on a tie: the first player)."""
    _, labels = connected_components(coo_array((np.ones(len(winner)), (winner, loser)), shape=(players, players)), directed=False)
    _, first, size = np.unique(labels, return_index=True, return_counts=True)
    place = np.empty(len(size), np.int64)
    place[np.lexsort((first, -size))] = np.arange(len(size))
    return np.asarray(place[labels])


def rank_models(pairs: pa.Table) -> list[dict[str, Any]]:
    """Models by how often their answers were preferred, best first; `pairs` has chosen_model, rejected_model and confidence.

    One row per model: model, score (log-odds against the average model of its group), error, pairs, won (their share), group.
    Pairs whose answers are by one model, or by an unknown one, are ignored.
    """
    (chosen, rejected), models = codes(*(pairs[name].cast(pa.large_string()) for name in ("chosen_model", "rejected_model")))
    known = (chosen >= 0) & (rejected >= 0) & (chosen != rejected)
    met, numbers = np.unique(np.concatenate([chosen[known], rejected[known]]), return_inverse=True)
    winner, loser = np.split(numbers, 2)
    names = models.take(pa.array(met)).to_pylist()
    sure = np.asarray(filled(pairs["confidence"], 1.0).to_numpy())[known]
    scores = bradley_terry(winner, loser, sure, len(names), PRIOR)
    wins, seen = np.bincount(winner, minlength=len(names)), np.bincount(numbers, minlength=len(names))
    figures = {"score": scores.score, "error": scores.error, "pairs": seen, "won": wins / np.maximum(seen, 1), "group": scores.group}
    columns = [names, *(figure.round(DIGITS).tolist() for figure in figures.values())]
    rows = [dict(zip(("model", *figures), row, strict=True)) for row in zip(*columns, strict=True)]
    return sorted(rows, key=lambda row: (row["group"], -row["score"], row["model"]))
