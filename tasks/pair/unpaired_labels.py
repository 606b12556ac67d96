"""Answers that people called good or bad, one at a time: by their thumbs and their mean rating, in the votes on their own prompt.

An answer is liked or disliked when its thumbs, or its ratings, lie clearly on one side; where they lie on neither it is `middle`, where
thumbs say one thing and ratings the other, `contradicted`. Where nobody gave either, the user's own next turn may tell (`signals`: thanks
and complaints); the two are never counted together. Votes of judging models do not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pydantic import Field

from tasks.common.arrays import Mask, Rows
from tasks.core.params import StageParams
from tasks.core.tables import TEXT
from tasks.pair.evidence import Evidence
from tasks.pair.vote_counts import MICRO, total

FATES = pa.array([None, "middle", "contradicted"], TEXT)
BASES = pa.array(["signals", "thumbs", "ratings", "thumbs and ratings"], TEXT)
SIGNALS = {"thanks": 1, "complaint": -1}


class Clear(StageParams):
    """When an answer counts as liked or disliked."""

    min_votes: int = Field(ge=1)  # thumbs for one side beyond those for the other
    min_distance: float = Field(gt=0, le=0.5)  # of the mean rating (0..1) from the middle
    signals: bool  # whether thanks and complaints decide where there are neither thumbs nor ratings


@dataclass(frozen=True)
class Liked:
    """One row an answer that people judged."""

    answer: Rows  # ascending
    label: Mask  # liked
    evidence: Rows
    fate: Rows  # code of FATES
    basis: Rows  # code of BASES
    behind: tuple[Rows, Rows]  # row and vote, ascending


def read(evidence: Evidence, clear: Clear) -> Liked:
    """The answers judged one at a time, and which side they are on."""
    count = len(evidence.home)
    thumbs, ratings = (evidence.cast(kind, models=False) for kind in ("thumb", "rating"))
    lead = total(evidence.about[thumbs], np.sign(evidence.value(thumbs)).astype(np.int64), count)
    score = total(evidence.about[ratings], np.rint(evidence.value(ratings) * MICRO).astype(np.int64), count)
    thumbed, rated = (np.bincount(evidence.about[votes], minlength=count) for votes in (thumbs, ratings))
    distance = np.where(rated > 0, score / np.maximum(rated, 1) / MICRO - 0.5, 0.0)
    by_thumbs = np.where(np.abs(lead) >= clear.min_votes, np.sign(lead), 0)
    by_ratings = np.where(np.abs(distance) >= clear.min_distance, np.sign(distance), 0).astype(np.int64)
    heard, by_signals = signals(evidence, clear, thumbed + rated > 0)
    side = by_thumbs + by_ratings + by_signals
    fate = np.where(by_thumbs * by_ratings < 0, 2, np.where(side == 0, 1, 0))
    acts = thumbed + rated + np.bincount(evidence.about[heard], minlength=count)
    rows = np.flatnonzero(acts)
    votes = np.sort(np.concatenate([thumbs, ratings, heard]))
    behind = np.searchsorted(rows, evidence.about[votes]), votes
    basis = (thumbed > 0) + 2 * (rated > 0)
    return Liked(rows, side[rows] > 0, acts[rows], fate[rows], basis[rows], behind)


def signals(evidence: Evidence, clear: Clear, judged: Mask) -> tuple[Rows, Rows]:
    """The votes of thanks and complaints about answers that are not judged otherwise, and the side of each answer by them."""
    count = len(evidence.home)
    lead, heard = np.zeros(count, np.int64), [np.zeros(0, np.int64)]
    for kind, sign in SIGNALS.items() if clear.signals else ():
        votes = evidence.cast(kind, models=False)
        votes = votes[~judged[evidence.about[votes]]]
        lead += sign * np.bincount(evidence.about[votes], minlength=count)
        heard.append(votes)
    return np.concatenate(heard), np.where(np.abs(lead) >= clear.min_votes, np.sign(lead), 0)
