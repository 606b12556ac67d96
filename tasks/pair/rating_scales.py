"""Recipes that compare what was said about single answers: ratings by their means, thumbs by who likes and who does not.

All answers to a prompt are compared with each other, but of an often asked prompt only the `compared` answers with most to say:
beyond that the number of couples would grow with its square, and no prompt gives more pairs than the cap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy.special import log_ndtr

from tasks.common.arrays import Floats, Rows
from tasks.common.row_numbers import reach, stretches
from tasks.core.params import StageParams
from tasks.pair.evidence import Evidence
from tasks.pair.vote_counts import DIGITS, MICRO, Findings, couples, total, weights


class RatingMargin(StageParams):
    """When two mean ratings (0..1) are apart enough, and how much a rating is believed."""

    use: bool
    reliability: float = Field(gt=0.5, lt=1)  # how often the answer with the higher rating is the better one, until that is estimated
    min_margin: float = Field(gt=0, le=1)
    min_ratings: int = Field(ge=1)  # of each answer
    spread: float = Field(gt=0, le=1)  # standard deviation of ratings of one answer that is assumed
    spread_worth: float = Field(gt=0)  # how many ratings that assumption weighs as much as
    compared: int = Field(ge=2)  # answers of one prompt, those with most ratings, that are compared each with each


class ThumbContrast(StageParams):
    """When one answer is liked and the other is not."""

    use: bool
    reliability: float = Field(gt=0.5, lt=1)
    min_votes: int = Field(ge=1)  # thumbs of each answer
    compared: int = Field(ge=1)  # answers of one prompt, the most liked and the least liked, that are compared each with each


@dataclass(frozen=True)
class Votes:
    """Votes about answers: sorted by answer, so that those of one answer stand together."""

    answer: Rows
    vote: Rows

    def behind(self, low: Rows, high: Rows) -> tuple[Rows, Rows]:
        """Item and vote, one row a vote about one of the item's two answers."""
        start, count = zip(*(stretches(self.answer, side) for side in (low, high)), strict=True)
        side, place = reach(np.concatenate(start), np.concatenate(count))
        item = side % max(len(low), 1)
        order = np.argsort(item, kind="stable")
        return item[order], self.vote[place[order]]


def by_answer(evidence: Evidence, votes: Rows) -> Votes:
    """The votes by the answer that they are about."""
    about = evidence.about[votes]
    order = np.lexsort((votes, about))
    return Votes(about[order], votes[order])


@dataclass(frozen=True)
class Means:
    """Ratings of each answer, as whole millionths."""

    ratings: Rows
    score: Rows  # their sum
    variance: float  # of ratings of one answer, the same for all

    @property
    def mean(self) -> Floats:
        """The mean rating of each answer, on 0..1."""
        return np.asarray(self.score / np.maximum(self.ratings, 1) / MICRO)

    def error(self, one: Rows, other: Rows) -> Floats:
        """Standard error of the difference of two answers' means."""
        shares = 1 / np.maximum(self.ratings[one], 1) + 1 / np.maximum(self.ratings[other], 1)
        return np.asarray(np.sqrt(self.variance * shares))


def means(evidence: Evidence, said: Votes, settings: RatingMargin) -> Means:
    """Means, and the variance within answers: the assumed one and that of all answers with several ratings, pooled."""
    count = len(evidence.home)
    value = np.rint(evidence.value(said.vote) * MICRO).astype(np.int64)
    ratings, score = np.bincount(said.answer, minlength=count), total(said.answer, value, count)
    squares = ((value - (score / np.maximum(ratings, 1))[said.answer]) / MICRO) ** 2
    freedom = settings.spread_worth + int(np.maximum(ratings - 1, 0).sum())
    return Means(ratings, score, (settings.spread_worth * settings.spread**2 + math.fsum(squares.tolist())) / freedom)


def rating_margin(evidence: Evidence, votes: Rows, settings: RatingMargin) -> Findings:
    """Answers whose mean ratings differ; the confidence is the probability that the difference has this sign (normal approximation)."""
    said = by_answer(evidence, votes)
    known = means(evidence, said, settings)
    enough = np.flatnonzero(known.ratings >= settings.min_ratings)
    first, second = each_with_each(evidence, strongest(evidence, enough, known.ratings, settings.compared))
    item, low, high = couples(first, second)
    # Whole numbers decide, so that equal means are a tie whatever their division leaves.
    ahead = known.score[first] * known.ratings[second] - known.score[second] * known.ratings[first]
    good, bad = np.where(ahead >= 0, first, second), np.where(ahead >= 0, second, first)
    gap = np.asarray(np.round(known.mean[good] - known.mean[bad], DIGITS))
    z = gap / known.error(good, bad)
    behind = said.behind(low, high)
    agreeing = sides(evidence, behind, good, bad, item, known.mean)
    found = Findings(
        item=item,
        chosen=good,
        rejected=bad,
        margin=gap,
        log_odds=np.round(log_ndtr(z) - log_ndtr(-z), DIGITS),
        apart=np.zeros(len(item)),
        votes_for=agreeing[0],
        votes_against=agreeing[1],
        votes_tied=agreeing[2],
        distance=np.full(len(item), np.nan),
        reason=np.zeros(len(item), np.int8),
        behind=behind,
    )
    found.refuse(ahead == 0, "tie")
    found.refuse(gap < settings.min_margin, "below_margin")
    return found


def sides(evidence: Evidence, behind: tuple[Rows, Rows], good: Rows, bad: Rows, item: Rows, mean: Floats) -> tuple[Rows, Rows, Rows]:
    """Ratings for, against and neither, of each couple: whether each lies on its answer's side of the middle between the two means."""
    of, vote = behind
    count = int(item.max(initial=-1)) + 1
    middle, favoured = np.zeros(count), np.zeros(count, np.int64)
    middle[item], favoured[item] = (mean[good] + mean[bad]) / 2, good
    lies = np.sign(np.round(evidence.value(vote) - middle[of], DIGITS))
    agrees = np.where(evidence.about[vote] == favoured[of], lies, -lies)
    ayes, noes, neither = (total(of, agrees == side, count)[item] for side in (1, -1, 0))
    return ayes, noes, neither


def thumb_contrast(evidence: Evidence, votes: Rows, settings: ThumbContrast) -> Findings:
    """An answer with more weight of thumbs up than down against one with more down than up.

    A thumb up and a thumb down are one comparison of two answers, not two votes: n and m thumbs are 2nm / (n + m), the harmonic mean.
    """
    said, count = by_answer(evidence, votes), len(evidence.home)
    up, weight = evidence.value(said.vote) > 0, weights(evidence, said.vote, settings.reliability)
    ups, downs = total(said.answer, up, count), total(said.answer, ~up, count)
    lead = total(said.answer, np.where(up, weight, -weight), count)
    everything = np.maximum(total(said.answer, weight, count), 1)
    said_of = ups + downs
    enough = said_of >= settings.min_votes
    liked, not_liked = (
        strongest(evidence, np.flatnonzero(enough & mask), np.abs(lead), settings.compared) for mask in (lead > 0, lead < 0)
    )
    chosen, rejected = each_with_other(evidence, liked, not_liked)
    item, low, high = couples(chosen, rejected)
    return Findings(
        item=item,
        chosen=chosen,
        rejected=rejected,
        margin=np.round((lead[chosen] / everything[chosen] - lead[rejected] / everything[rejected]) / 2, DIGITS),
        log_odds=np.round(
            (lead[chosen] * said_of[rejected] - lead[rejected] * said_of[chosen]) / (said_of[chosen] + said_of[rejected]) / MICRO, DIGITS
        ),
        apart=np.zeros(len(item)),
        votes_for=ups[chosen] + downs[rejected],
        votes_against=downs[chosen] + ups[rejected],
        votes_tied=np.zeros(len(item), np.int64),
        distance=np.full(len(item), np.nan),
        reason=np.zeros(len(item), np.int8),
        behind=said.behind(low, high),
    )


def strongest(evidence: Evidence, rows: Rows, strength: Rows, most: int) -> Rows:
    """Of each prompt's answers among `rows` the `most` with most to say, in the order of rows."""
    home = evidence.home[rows]
    order = np.lexsort((rows, -strength[rows], home))
    start = np.searchsorted(home[order], home[order], side="left")
    return np.sort(rows[order[np.arange(len(rows)) - start < most]])


def each_with_each(evidence: Evidence, rows: Rows) -> tuple[Rows, Rows]:
    """Every two of the rows (sorted) that answer one prompt."""
    home = evidence.home[rows]
    after = np.arange(len(rows)) + 1
    first, second = reach(after, np.searchsorted(home, home, side="right") - after)
    return rows[first], rows[second]


def each_with_other(evidence: Evidence, left: Rows, right: Rows) -> tuple[Rows, Rows]:
    """Every row of `left` with every row of `right` (both sorted) that answers the same prompt."""
    first, second = reach(*stretches(evidence.home[right], evidence.home[left]))
    return left[first], right[second]
