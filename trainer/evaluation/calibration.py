"""Whether the reward model is as sure as it is right: sigmoid(reward of one answer - reward of the other) is read as a probability.

In: the margins of pairs, chosen - rejected. A pair has no first answer by nature, so confidence is that in the answer with the
higher reward, from 0.5 to 1, and the model is right if people chose that one too. Out: the reliability table, the expected calibration
error over its bins (Naeini et al. 2015), Brier's score and the log loss (both the same whichever answer stands first). One temperature
is fitted on validation (Guo et al. 2017) and judged on test. People's own mistakes are in the labels: where a tenth is turned, 0.9 is
the most that anyone may be sure of.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trainer.evaluation import proportions
from trainer.evaluation.proportions import rounded

RANGE = (-6.0, 6.0)  # of the temperature's logarithm


def figures(validation: np.ndarray, test: np.ndarray, bins: int) -> dict[str, Any]:
    """Calibration of both splits as it is, and of test under the temperature that suits validation best."""
    heat = temperature(validation)
    return {
        "temperature": rounded(heat),
        "validation": summarize(validation, bins),
        "test": summarize(test, bins),
        "test_tempered": summarize(test / heat, bins),
    }


def summarize(margins: np.ndarray, bins: int) -> dict[str, Any]:
    """The figures of one set of margins; 0 errors of no pairs."""
    table = reliability(margins, bins)
    total = max(1, len(margins))
    return {
        "pairs": len(margins),
        "ece": rounded(sum(row["n"] / total * abs(row["accuracy"] - row["confidence"]) for row in table if row["n"])),
        "brier": rounded(_mean(_other(margins) ** 2)),
        "log_loss": rounded(_mean(np.logaddexp(0, -margins))),
        "confidence": rounded(_mean(confidence(margins))),
        "accuracy": rounded(_mean(proportions.correctness(margins))),
        "table": table,
    }


def confidence(margins: np.ndarray) -> np.ndarray:
    """How sure the model is of the answer that it puts first."""
    sure: np.ndarray = 1 - _other(np.abs(margins))
    return sure


def reliability(margins: np.ndarray, bins: int) -> list[dict[str, float]]:
    """For bins of equal width between 0.5 and 1: pairs, mean confidence, and the share that is right with Wilson's interval."""
    sure, marks = confidence(margins), proportions.correctness(margins)
    place = np.minimum((sure - 0.5) * 2 * bins, bins - 1).astype(np.int64)
    rows = []
    for at in range(bins):
        inside = place == at
        edges = {"from": rounded(0.5 + at / bins / 2), "to": rounded(0.5 + (at + 1) / bins / 2)}
        rows.append(edges | proportions.proportion(marks[inside]) | {"confidence": rounded(_mean(sure[inside]))})
    return rows


def temperature(margins: np.ndarray) -> float:
    """The divisor of margins under which people's choices are most likely; 1 where there is nothing to fit it on."""
    from scipy.optimize import minimize_scalar

    if not len(margins) or not np.any(margins):
        return 1.0
    found = minimize_scalar(lambda log: float(np.mean(np.logaddexp(0, -margins * math.exp(-log)))), bounds=RANGE, method="bounded")
    return math.exp(found.x)


def _other(margins: np.ndarray) -> np.ndarray:
    """The probability that is left to the other answer."""
    from scipy.special import expit

    share: np.ndarray = expit(-margins)
    return share


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
