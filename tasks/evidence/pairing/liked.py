"""Answers that people called good or bad, one at a time: by their thumbs and their mean rating, in the votes on their own prompt.

An answer is liked or disliked when its thumbs, or its ratings, lie clearly on one side; where they lie on neither it is `middle`, where
thumbs say one thing and ratings the other, `contradicted`. Votes of judging models do not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pydantic import Field

from tasks.core.params import StageParams
from tasks.core.tables import TEXT
from tasks.evidence.lists import Mask, Rows
from tasks.evidence.pairing.flatten import Evidence
from tasks.evidence.pairing.tally import MICRO, total

FATES = pa.array([None, "middle", "contradicted"], TEXT)


class Clear(StageParams):
    """When an answer counts as liked or disliked."""

    min_votes: int = Field(ge=1)  # thumbs for one side beyond those for the other
    min_distance: float = Field(gt=0, le=0.5)  # of the mean rating (0..1) from the middle


@dataclass(frozen=True)
class Liked:
    """One row an answer that people gave thumbs or ratings."""

    answer: Rows  # ascending
    label: Mask  # liked
    evidence: Rows
    fate: Rows  # code of FATES
    behind: tuple[Rows, Rows]  # row and vote, ascending


def read(evidence: Evidence, clear: Clear) -> Liked:
    """The answers judged one at a time, and which side they are on."""
    count = len(evidence.node)
    thumbs, ratings = (evidence.cast(kind, models=False) for kind in ("thumb", "rating"))
    lead = total(evidence.about[thumbs], np.sign(evidence.value(thumbs)).astype(np.int64), count)
    score = total(evidence.about[ratings], np.rint(evidence.value(ratings) * MICRO).astype(np.int64), count)
    thumbed, rated = (np.bincount(evidence.about[votes], minlength=count) for votes in (thumbs, ratings))
    distance = np.where(rated > 0, score / np.maximum(rated, 1) / MICRO - 0.5, 0.0)
    by_thumbs = np.where(np.abs(lead) >= clear.min_votes, np.sign(lead), 0)
    by_ratings = np.where(np.abs(distance) >= clear.min_distance, np.sign(distance), 0).astype(np.int64)
    side = by_thumbs + by_ratings
    fate = np.where(by_thumbs * by_ratings < 0, 2, np.where(side == 0, 1, 0))
    rows = np.flatnonzero(thumbed + rated)
    votes = np.sort(np.concatenate([thumbs, ratings]))
    behind = np.searchsorted(rows, evidence.about[votes]), votes
    return Liked(rows, side[rows] > 0, (thumbed + rated)[rows], fate[rows], behind)
