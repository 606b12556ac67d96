"""Counting votes about couples of answers, and how sure the count makes us.

A vote of reliability a (how often such an act is right) weighs log(a / (1 - a)), at least 0: what it adds to the log odds. Weights are
whole millionths, so that their sums do not depend on any order. A couple is decided when the weight for one side is strictly above that
for the other and above that of the ties; its confidence is 1 / (1 + exp(-(won - lost))), in (0.5, 1]: the probability that the side is
right when mistakes are independent. Else it is a `tie`, or `unreliable` when nobody's word has any weight.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from tasks.common.arrays import Floats, Mask, Rows, distinct_keys, first_holding
from tasks.common.vocabulary.reasons import pair as why
from tasks.pair.evidence import Evidence

MICRO = 1_000_000
DIGITS = 9  # figures are rounded to so many: processors differ in the last bits of exp and log
# Why a proposal is no pair. 0: it is one.
REASONS = (
    "", why.UNRELIABLE, why.TIE, why.BELOW_MARGIN, why.TOO_SMALL_EDIT, why.REWRITTEN, why.NEARLY_EQUAL, why.IDENTITY_TOLD, why.EQUAL_TEXT,
    why.LOW_CONFIDENCE, why.CONTRADICTED, why.REPEATED, why.CYCLE, why.OVER_USER_CAP, why.OVER_CAP, why.DISLIKED, why.SUPERSEDED,
)  # fmt: skip
CODE = {reason: code for code, reason in enumerate(REASONS)}
Codes = npt.NDArray[np.int8]


def coded(*reasons: tuple[str, Mask]) -> Codes:
    """For each row the code of the first reason that holds, 0 where none does."""
    found = first_holding(*(holds for _, holds in reasons))
    return np.asarray(np.where(found < 0, 0, np.array([CODE[reason] for reason, _ in reasons])[found]), np.int8)


@dataclass(frozen=True)
class Findings:
    """What a recipe finds: one row a couple of answers to one prompt."""

    item: Rows
    chosen: Rows  # answers
    rejected: Rows
    margin: Floats  # in (0, 1]
    log_odds: Floats  # that the chosen answer is the better one
    apart: Floats  # places between the two, on average of the acts about them; 0 where acts give no places
    votes_for: Rows
    votes_against: Rows
    votes_tied: Rows
    distance: Floats  # NaN where it is not an edit
    reason: Codes  # of REASONS
    behind: tuple[Rows, Rows]  # item and vote, one row a vote behind an item, each once


def concatenate(one: Findings, other: Findings) -> Findings:
    """The findings one below the other."""
    start = int(one.item.max(initial=-1)) + 1
    columns = {field.name: np.concatenate([getattr(one, field.name), getattr(other, field.name)]) for field in fields(Findings)[:-1]}
    columns["item"][len(one.item) :] += start
    behind = np.concatenate([one.behind[0], other.behind[0] + start]), np.concatenate([one.behind[1], other.behind[1]])
    return Findings(**columns, behind=behind)


@dataclass(frozen=True)
class Acts:
    """Acts about two answers to one prompt."""

    first: Rows
    second: Rows
    sign: Rows  # 1: the first one is better, -1: the second one, 0: neither
    weight: Rows
    apart: Rows  # places between the two, at least 0
    behind: tuple[Rows, Rows]  # act and vote


def weights(evidence: Evidence, votes: Rows, assumed: float) -> Rows:
    """The weight of each of these votes; `assumed` is the reliability where none was estimated."""
    return weights_of(np.asarray(evidence.votes["reliability"].to_numpy(zero_copy_only=False)).astype(float)[votes], assumed)


def weights_of(given: Floats, assumed: float) -> Rows:
    """The weights of votes of these reliabilities, NaN where none was estimated."""
    right = np.clip(np.where(np.isnan(given), assumed, given), 1 / MICRO, 1 - 1 / MICRO)
    return np.asarray(np.maximum(np.rint(np.log(right / (1 - right)) * MICRO), 0)).astype(np.int64)


def total(places: Rows, values: npt.NDArray[np.int64] | Mask, count: int) -> Rows:
    """Sums of whole numbers by place; exact below 2^53."""
    return np.bincount(places, weights=values, minlength=count).astype(np.int64)


def couples(first: Rows, second: Rows) -> tuple[Rows, Rows, Rows]:
    """The item of each couple of answers, whichever comes first: the couples, numbered; and the two answers of each item."""
    width = int(max(first.max(initial=0), second.max(initial=0))) + 1
    key, item = np.unique(np.minimum(first, second) * width + np.maximum(first, second), return_inverse=True)
    return item.astype(np.int64), key // width, key % width


def count_votes(acts: Acts) -> Findings:
    """What acts about two answers come to; the acts about one couple are counted together."""
    item, low, high = couples(acts.first, acts.second)
    count = len(low)
    sign = np.where(acts.first == low[item], acts.sign, -acts.sign) if len(item) else acts.sign
    won, lost, level = (total(item, np.where(sign == side, acts.weight, 0), count) for side in (1, -1, 0))
    ups, downs, ties = (total(item, sign == side, count) for side in (1, -1, 0))
    forward = won > lost  # the first answer leads
    lead, everything = np.abs(won - lost), won + lost + level
    act, vote = acts.behind
    places = np.abs(total(item, np.where(sign >= 0, acts.apart, -acts.apart), count))
    return Findings(
        item=np.arange(count),
        chosen=np.where(forward, low, high),
        rejected=np.where(forward, high, low),
        margin=np.round(lead / np.maximum(everything, 1), DIGITS),
        log_odds=lead / MICRO,
        apart=np.round(places / np.maximum(ups + downs + ties, 1), DIGITS),
        votes_for=np.where(forward, ups, downs),
        votes_against=np.where(forward, downs, ups),
        votes_tied=ties,
        distance=np.full(count, np.nan),
        reason=coded((why.UNRELIABLE, everything == 0), (why.TIE, (won == lost) | (np.maximum(won, lost) <= level))),
        behind=once(item[act], vote),
    )


def once(item: Rows, vote: Rows) -> tuple[Rows, Rows]:
    """Item and vote, sorted, each couple once."""
    width = int(vote.max(initial=0)) + 1
    key = distinct_keys(item * width + vote)
    return key // width, key % width


def confidence(log_odds: Floats) -> Floats:
    """Log odds above 0 as a probability in (0.5, 1]."""
    return np.maximum(np.round(1 / (1 + np.exp(-log_odds)), DIGITS), 0.5 + 10.0**-DIGITS)
