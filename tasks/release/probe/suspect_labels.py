"""Labels that are probably flipped, and how far that suspicion can be trusted.

In: pairs and their out-of-fold margins. Out: the suspects, least likely first; and how well labels that were flipped on purpose are
detected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.common.tfidf_bradley_terry import Numbers
from tasks.core.ids import stable_id

Mask = np.ndarray[Any, np.dtype[np.bool_]]

DIGITS = 4
MOST_LOG_ODDS = 30.0


@dataclass(frozen=True)
class Suspect:
    """One pair with a suspected label."""

    pair_id: str  # the pair
    split: str  # its split
    recipe: str  # its recipe
    probability: float  # out-of-fold probability that its label is correct


@dataclass(frozen=True)
class Suspects:
    """All suspects."""

    count: int  # labels suspected
    share: float  # of the pairs looked at
    threshold: float  # probability below which a label is suspected
    listed: tuple[Suspect, ...]  # the least likely ones


@dataclass(frozen=True)
class Planted:
    """How well labels that were flipped on purpose are detected."""

    share: float  # of the labels that were flipped
    auc: float  # area under the curve of the suspicion: 0.5 is chance
    found: float  # share of the flipped labels that are suspected
    others: float  # share of the other labels that are suspected


def probabilities(margins: Numbers) -> Numbers:
    """The probability that each label is correct. A regularized model's margins are too small: one scale factor corrects them."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    turned = np.where(np.arange(len(margins)) % 2, 1.0, -1.0)
    with threadpool_limits(limits=1):
        scale = LogisticRegression(C=np.inf, fit_intercept=False).fit((turned * margins)[:, None], turned).coef_[0, 0]
    return 1 / (1 + np.exp(-np.clip(max(float(scale), 0.0) * margins, -MOST_LOG_ODDS, MOST_LOG_ODDS)))


def threshold(likely: Numbers, most: float) -> float:
    """As in confident learning: the opposite label must be as likely as labels are on average; never above `most`."""
    return float(min(1 - likely.mean(), most))


def suspects(pairs: pa.Table, margins: Numbers, most: float, listed: int) -> Suspects:
    """The pairs whose label is less likely than the threshold."""
    likely = probabilities(margins)
    below = threshold(likely, most)
    places = np.flatnonzero(likely < below)
    places = places[np.argsort(np.round(likely[places], DIGITS), kind="stable")]
    rows: list[dict[str, Any]] = pairs.select(["pair_id", "split", "recipe"]).take(places[:listed]).to_pylist()
    listing = tuple(
        Suspect(**row, probability=round(float(likely[place]), DIGITS)) for row, place in zip(rows, places[:listed], strict=True)
    )
    return Suspects(len(places), round(len(places) / len(likely), DIGITS), round(below, DIGITS), listing)


def drawn(ids: Sequence[str], share: float, seed: int) -> Mask:
    """Mask of the labels to flip: this share of them, drawn by hashes of their ids."""
    order = np.argsort(np.array([stable_id("turned", str(seed), name) for name in ids]), kind="stable")
    turned = np.zeros(len(ids), bool)
    turned[order[: round(share * len(ids))]] = True
    return turned


def detection(turned: Mask, margins: Numbers, most: float) -> Planted:
    """How well the flipped labels are detected among the others."""
    likely = probabilities(margins)
    below = likely < threshold(likely, most)
    shares = (round(float(below[part].mean()), DIGITS) for part in (turned, ~turned))
    return Planted(round(float(turned.mean()), DIGITS), auc(-likely, turned), *shares)


def auc(scores: Numbers, positive: Mask) -> float:
    """Area under the ROC curve: how often a positive row has the higher score; ties count half."""
    from sklearn.metrics import roc_auc_score

    return round(float(roc_auc_score(positive, scores)), DIGITS)
