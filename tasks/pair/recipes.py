"""Recipes: from one kind of evidence to proposed preferences. A new recipe is one function and one line in RECIPES.

In: the evidence, and the votes of one kind, of people or of judging models, never of both. Out: `tally.Findings`: what these votes
say of couples of answers, each with the reason why it can be no pair, or none. A recipe's `version` goes up when the pairs that it makes
of the same votes change: pairs of two versions are not the same evidence.

A recipe's `reliability` is how often an act of its kind is right, where nobody has estimated it for the annotator (VOTE.reliability).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from tasks.common.arrays import Floats, Mask, Rows, reach
from tasks.common.vocabulary.kinds import CHOICE, CORRECTION, EDIT, RANKING, RATING, REGENERATE, RETRY, THUMB
from tasks.common.vocabulary.reasons import pair as why
from tasks.core.params import StageParams
from tasks.pair import edit_distance, rating_scales, superseded
from tasks.pair.evidence import Evidence
from tasks.pair.vote_counts import Acts, Findings, coded, concatenate, count_votes, weights


class Switch(StageParams):
    """A recipe without numbers of its own."""

    use: bool
    reliability: float = Field(gt=0.5, lt=1)  # how often an act of the kind is right, where nobody has estimated it for the person


class Ranking(Switch):
    """Which pairs of one ranking are proposed."""

    which: Literal["all", "adjacent", "best_vs_rank"]  # all couples of a ranking, neighbours, or the best against one rank
    rank: int = Field(ge=2)  # of best_vs_rank: the place that the best is put against, the last one in a shorter ranking


class Rewriting(Switch):
    """How far an answer may be from what a person made of it: edit distance over the longer length."""

    min_distance: float = Field(ge=0, le=1)  # less is a typo, not a preference
    max_distance: float = Field(gt=0, le=1)  # more is another answer, not an edit

    @model_validator(mode="after")
    def _some_room(self) -> Rewriting:
        if self.min_distance >= self.max_distance:
            raise ValueError("min_distance must be below max_distance")
        return self


Settings = Switch | rating_scales.RatingMargin | rating_scales.ThumbContrast
Propose = Callable[[Evidence, Rows, Any], Findings]  # the settings are the recipe's own


@dataclass(frozen=True)
class Recipe:
    """A named way from votes of one kind to preferences."""

    version: int
    kind: str  # of the votes that it reads
    propose: Propose
    by_distance: bool = False  # judges by itself how alike two answers may be


def comparison(evidence: Evidence, votes: Rows, settings: Switch) -> Findings:
    """Acts that name a better and a worse answer; a choice may also say that neither is better."""
    value = evidence.value(votes)
    sign = np.where(np.isnan(value) | (value > 0), 1, 0)
    acts = Acts(
        evidence.better[votes],
        evidence.worse[votes],
        sign,
        weights(evidence, votes, settings.reliability),
        np.zeros(len(votes), np.int64),
        (np.arange(len(votes)), votes),
    )
    return count_votes(acts)


def regeneration(evidence: Evidence, votes: Rows, settings: Switch) -> Findings:
    """Answers that were kept, over those discarded, but not where who asked again disliked the kept one, and more than the other.

    That an answer was kept is read out of a log; a thumb, or a rating, is what its user says. Such acts are `disliked`.
    """
    kept, other = (superseded.own(evidence, votes, answers[votes]) for answers in (evidence.better, evidence.worse))
    against = (kept < 0) & (kept < other)
    found = comparison(evidence, votes[~against], settings)
    if not against.any():
        return found
    refused = comparison(evidence, votes[against], settings)
    return concatenate(found, replace(refused, reason=coded((why.DISLIKED, np.ones(len(refused.item), bool)))))


def rewriting(evidence: Evidence, votes: Rows, settings: Rewriting) -> Findings:
    """Acts by which a person gave a better text for an answer, neither nearly the same nor another one altogether."""
    found = comparison(evidence, votes, settings)
    distance = edit_distance.distances(evidence, found.chosen, found.rejected)
    bounds = coded((why.TOO_SMALL_EDIT, distance < settings.min_distance), (why.REWRITTEN, distance > settings.max_distance))
    return replace(found, distance=distance, reason=np.where(found.reason, found.reason, bounds))


def ranking(evidence: Evidence, votes: Rows, settings: Ranking) -> Findings:
    """Answers that one person put in order; each ranking that holds both answers is one act about them."""
    group = np.asarray(evidence.votes["group"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False))[votes]
    value = evidence.value(votes)
    order = np.lexsort((evidence.about[votes], value, group, evidence.place[votes]))
    votes, value, group, place = votes[order], value[order], group[order].astype(np.int64), evidence.place[votes][order]
    fresh = np.ones(len(votes), bool)
    fresh[1:] = (place[1:] != place[:-1]) | (group[1:] != group[:-1])
    rank = dense_rank(fresh, value)
    ends = np.append(np.flatnonzero(fresh), len(votes))
    size = np.diff(ends)
    last = np.repeat(rank[ends[1:] - 1], size) if len(votes) else rank
    one, other = reach(np.arange(len(votes)) + 1, np.repeat(ends[1:], size) - np.arange(len(votes)) - 1)
    gap = rank[other] - rank[one]
    if settings.which == "adjacent":
        kept = gap <= 1
    elif settings.which == "best_vs_rank":
        kept = (rank[one] == 1) & (rank[other] == np.minimum(settings.rank, last[other]))
    else:
        kept = np.ones(len(one), bool)
    one, other, gap = one[kept], other[kept], gap[kept]
    weight = np.minimum(*(weights(evidence, votes[side], settings.reliability) for side in (one, other)))
    act = np.arange(len(one))
    behind = np.concatenate([act, act]), votes[np.concatenate([one, other])]
    return count_votes(Acts(evidence.about[votes[one]], evidence.about[votes[other]], np.sign(gap), weight, gap, behind))


def dense_rank(fresh: Mask, value: Floats) -> Rows:
    """Places from 1, without gaps, of values sorted inside groups that begin where `fresh` holds."""
    step = np.ones(len(value), np.int64)
    step[1:] = (value[1:] != value[:-1]) | fresh[1:]
    count = np.cumsum(step)
    return np.asarray(count - np.maximum.accumulate(np.where(fresh, count, 0)) + 1)


# Strongest evidence first: where two recipes contradict each other the earlier one holds, and of equal pairs it gives the one.
RECIPES: dict[str, Recipe] = {
    CORRECTION: Recipe(2, CORRECTION, rewriting, by_distance=True),
    EDIT: Recipe(3, EDIT, rewriting, by_distance=True),
    CHOICE: Recipe(3, CHOICE, comparison),
    RANKING: Recipe(3, RANKING, ranking),
    "rating_margin": Recipe(3, RATING, rating_scales.rating_margin),
    "thumb_contrast": Recipe(4, THUMB, rating_scales.thumb_contrast),
    "regeneration": Recipe(4, REGENERATE, regeneration),
    RETRY: Recipe(2, RETRY, comparison),
}
