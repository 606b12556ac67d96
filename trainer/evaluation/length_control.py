"""What is left of an accuracy when the longer answer is no longer a hint. Lengths are characters of the answer.

Three figures, in the spirit of length-controlled AlpacaEval (Dubois et al. 2024), here with people as the judges:

- `balanced`: the accuracy where the chosen answer is the longer one and where it is the shorter one, each counting one half. A judge
  who takes the longer (or the shorter) answer gets exactly 0.5. Pairs of equal length are left out.
- `equal_length`: a logistic regression of "is the judge right" on an intercept and tanh(difference / its root mean square), as
  AlpacaEval has it; the figure is what it predicts for answers of equal length. `pull` is the weight of the difference: above 0 the
  judge is right more often where the chosen answer is longer, so it leans to length more than people do.
- `preference`: a logistic regression, without intercept, of people's choice on the judge's margin and that same difference: what the
  margin tells (log-odds for one root mean square of margins) when length is known, and the other way round.

Regressions carry a weak prior (normal, deviation 10 in log-odds), so that a judge without a fault has finite weights; intervals are
Wald's with standard errors that are robust to groups (Liang & Zeger 1986).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

from trainer.data.release_reader import Messages, Pair
from trainer.evaluation.bootstrap import Bootstrap, interval, ratio
from trainer.evaluation.proportions import Z95, rounded

F = TypeVar("F", float, np.ndarray)  # a number or an array, as given
PRIOR = 1 / 10.0**2  # precision of every weight


@dataclass(frozen=True)
class Fit:
    """Weights of a logistic regression and their standard errors."""

    weights: np.ndarray
    errors: np.ndarray

    def weight(self, at: int) -> dict[str, float]:
        """One weight with its interval and the p-value of its being 0."""
        value, error = float(self.weights[at]), float(self.errors[at])
        p = math.erfc(abs(value) / error / math.sqrt(2)) if error > 0 else float(value == 0)
        return {
            "weight": rounded(value),
            "low": rounded(value - Z95 * error),
            "high": rounded(value + Z95 * error),
            "p": float(f"{p:.4g}"),
        }


def characters(messages: Messages) -> int:
    """Characters of an answer, all its messages together; as the release counts them."""
    return sum(len(message["content"]) for message in messages)


def differences(pairs: Sequence[Pair]) -> np.ndarray:
    """Characters of the chosen answer less those of the rejected one."""
    return np.array([characters(pair.chosen) - characters(pair.rejected) for pair in pairs], dtype=np.float64)


def controlled(marks: np.ndarray, difference: np.ndarray, bootstrap: Bootstrap) -> dict[str, Any]:
    """A judge's balanced accuracy, and the accuracy that is to be expected of it for answers of equal length."""
    return {"balanced": balanced(marks, difference, bootstrap), "equal_length": equal_length(marks, difference, bootstrap.groups)}


def balanced(marks: np.ndarray, difference: np.ndarray, bootstrap: Bootstrap) -> dict[str, Any]:
    """The mean of the accuracy on both sides; None where one side has no pair."""
    sides = (difference > 0, difference < 0)
    counts = [int(side.sum()) for side in sides]
    balance: dict[str, Any] = {"longer": counts[0], "shorter": counts[1], "equal": int((difference == 0).sum())}
    if not all(counts):
        return balance | {"accuracy": None, "low": 0.0, "high": 1.0}
    shares = [float(marks[side].mean()) for side in sides]
    sums = bootstrap.sums(np.stack([column for side in sides for column in (marks * side, side)], axis=1).astype(np.float64))
    low, high = interval((ratio(sums[:, 0], sums[:, 1]) + ratio(sums[:, 2], sums[:, 3])) / 2)
    balance |= {"accuracy": rounded(sum(shares) / 2), "low": rounded(low), "high": rounded(high)}
    return balance | {"accuracy_longer": rounded(shares[0]), "accuracy_shorter": rounded(shares[1])}


def equal_length(marks: np.ndarray, difference: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """The predicted accuracy at equal length, its interval, and the pull of length on the judge."""
    fit = logistic(np.stack([np.ones(len(marks)), squashed(difference)], axis=1), marks, groups)
    value, error = fit.weights[0], fit.errors[0]
    at, low, high = (rounded(_probability(place)) for place in (value, value - Z95 * error, value + Z95 * error))
    return {"accuracy": at, "low": low, "high": high, "pull": fit.weight(1)}


def preference(margins: np.ndarray, difference: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """What margin and length tell of people's choice, each beside the other."""
    fit = logistic(np.stack([scaled(margins), squashed(difference)], axis=1), np.ones(len(margins)), groups)
    return {"margin": fit.weight(0), "length": fit.weight(1)}


def scaled(values: np.ndarray) -> np.ndarray:
    """Values in units of their root mean square: zero stays zero."""
    size = math.sqrt(float(np.mean(values**2))) if len(values) else 0.0
    return values / size if size else values


def squashed(difference: np.ndarray) -> np.ndarray:
    """Differences of length as AlpacaEval takes them: the hyperbolic tangent of the scaled difference."""
    squash: np.ndarray = np.tanh(scaled(difference))
    return squash


def logistic(features: np.ndarray, outcomes: np.ndarray, groups: np.ndarray) -> Fit:
    """The most likely weights under the prior; outcomes may be shares. Standard errors are robust to groups."""
    from scipy.optimize import minimize

    def loss(weights: np.ndarray) -> float:
        odds = features @ weights
        return float(np.sum(np.logaddexp(0, odds) - outcomes * odds) + PRIOR / 2 * weights @ weights)

    def slope(weights: np.ndarray) -> np.ndarray:
        change: np.ndarray = features.T @ (_probability(features @ weights) - outcomes) + PRIOR * weights
        return change

    def bend(weights: np.ndarray) -> np.ndarray:
        share = _probability(features @ weights)
        curve: np.ndarray = (features.T * (share * (1 - share))) @ features + PRIOR * np.eye(features.shape[1])
        return curve

    start = np.zeros(features.shape[1])
    weights = minimize(loss, start, jac=slope, hess=bend, method="trust-exact", options={"gtol": 1e-9}).x
    each = features * (outcomes - _probability(features @ weights))[:, None]
    count = int(groups.max()) + 1 if len(groups) else 0
    scores = np.stack([np.bincount(groups, column, count) for column in each.T], axis=1)
    inverse = np.linalg.inv(bend(weights))
    spread = inverse @ (scores.T @ scores * (count / max(1, count - 1))) @ inverse
    return Fit(weights, np.sqrt(np.diag(spread)))


def _probability(odds: F) -> F:
    from scipy.special import expit

    return cast("F", expit(odds))
