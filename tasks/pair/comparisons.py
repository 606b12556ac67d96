"""Votes as opinions: who prefers which of two answers, in one form for all recipes, so that they can be held against each other.

In: the evidence and people's proposals. Out: `Opinions`, one row an opinion of a couple of answers, whichever recipe reads it. A couple is
two answers to one prompt, the lower row number first.

- An act that names two answers is one opinion, and so are one person's rank, rating or thumb of the one beside the other.
- Two strangers' thumbs, one up and one down, are together one opinion of the two answers, not two: n and m thumbs of strangers about the
  two answers are 2nm / (n + m) opinions (the harmonic mean). Ratings likewise.
- What one person says of both answers is a way of its own (`same`): how strict the person is cancels out.
- Two people's thumbs about one answer are opinions about that answer alone, and tell how far such thumbs agree (`Opinions.alone`).

Ties are no opinions: they say that the answers are alike, not who is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.common.arrays import Column, Floats, Mask, Rows
from tasks.pair.evidence import Evidence
from tasks.pair.recipes import RECIPES
from tasks.pair.resolve import Proposals

NAMES = list(RECIPES)
GRADED = {"ranking": -1, "rating_margin": 1, "thumb_contrast": 1}  # recipes of votes about single answers: is a greater value better
RANKING, THUMBS = NAMES.index("ranking"), NAMES.index("thumb_contrast")
STRANGERS = (NAMES.index("rating_margin"), THUMBS)  # recipes that hold two people's votes about two answers against each other
# A way is a recipe (its place in RECIPES); what one person said of both answers by ratings or thumbs is a way of its own after those.
SAME = {recipe: len(NAMES) + place for place, recipe in enumerate(STRANGERS)}
WAYS = [*NAMES, *(f"{NAMES[recipe]}:same" for recipe in STRANGERS)]
RECIPE_OF = np.array([*range(len(NAMES)), *STRANGERS])
NOBODY = -1


@dataclass(frozen=True)
class Opinions:
    """Opinions of couples, sorted by couple, then item; `alone` are thumbs about single answers, in the same columns."""

    item: Rows  # of the proposal that it stands behind; -1 in `alone`
    couple: Rows  # numbered from 0; of `alone`: the answer
    way: Rows  # place in WAYS
    side: Rows  # 1: for the couple's lower answer (of `alone`: up), -1: for the other one
    weight: Floats  # opinions that it counts as
    person: Rows  # number of the annotator (whoever the log does not name is another one each time); NOBODY: several
    shown: Rows  # 1: the lower answer was shown first, -1: the other one, 0: not known
    lean: Floats  # of strangers' thumbs: log odds by which those who judged the lower answer are more lenient

    def take(self, rows: Rows | Mask) -> Opinions:
        """Some of the rows."""
        return Opinions(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True)
class Read:
    """All opinions of people."""

    opinions: Opinions
    alone: Opinions  # thumbs about answers that several people judged
    low: Rows  # of each couple: its answers
    high: Rows
    couple: Rows  # of each proposal: its couple; -1 where models judged


def read(evidence: Evidence, proposals: Proposals) -> Read:
    """The opinions behind people's proposals."""
    rows = np.flatnonzero(~proposals.models)
    low, high = (pick(proposals.chosen[rows], proposals.rejected[rows]) for pick in (np.minimum, np.maximum))
    width = len(evidence.home) + 1
    keys, number = np.unique(low * width + high, return_inverse=True)
    couple = np.full(len(proposals.item), -1)
    couple[rows] = number
    people = who(evidence)
    lenient = leniency(evidence)
    parts = [named(evidence, proposals, rows, couple, people)]
    parts += [graded(evidence, proposals, rows, couple, people, lenient, recipe) for recipe in map(NAMES.index, GRADED)]
    joined = Opinions(*(np.concatenate([getattr(part, name) for part in parts]) for name in Opinions.__dataclass_fields__))
    order = np.lexsort((joined.person, joined.side, joined.item, joined.couple))
    return Read(joined.take(order), thumbs_alone(evidence, people, lenient), keys // width, keys % width, couple)


def who(evidence: Evidence) -> Rows:
    """A number for the person of each vote; whom the log does not name is the person of the conversation."""
    most = int(evidence.person.max(initial=-1)) + 1
    talk = evidence.sources.of_votes
    return np.where(
        evidence.person >= 0, evidence.person, most + np.where(talk >= 0, talk, np.arange(len(talk)) + int(talk.max(initial=0)) + 1)
    )


def leniency(evidence: Evidence) -> Floats:
    """Of each vote, how much more often than all people its annotator gives other thumbs up, in log odds; few thumbs tell little."""
    votes = evidence.cast("thumb", models=False)
    up, person = evidence.value(votes) > 0, evidence.person[votes]
    found = np.zeros(len(evidence.votes))
    if not len(votes) or up.all() or not up.any():
        return found
    share = np.clip(up.mean(), 0.02, 0.98)
    count = np.bincount(person + 1, minlength=int(evidence.person.max(initial=-1)) + 2).astype(float)
    ups = np.bincount(person + 1, up, minlength=len(count))
    given = (ups[person + 1] - up + PRIOR_THUMBS * share) / (count[person + 1] - 1 + PRIOR_THUMBS)  # the thumb itself is what is explained
    found[votes] = np.where(person < 0, 0.0, np.log(given / (1 - given)) - np.log(share / (1 - share)))
    return found


PRIOR_THUMBS = 4.0  # thumbs that the share of all is worth beside a person's own


def named(evidence: Evidence, proposals: Proposals, rows: Rows, couple: Rows, people: Rows) -> Opinions:
    """Acts that name a better and a worse answer."""
    own = rows[~np.isin(proposals.recipe[rows], [NAMES.index(name) for name in GRADED])]
    at, vote = votes_behind(proposals, own)
    better, worse = evidence.better[vote], evidence.worse[vote]
    value = evidence.value(vote)
    kept = np.isnan(value) | (value > 0)
    at, vote, better, worse = at[kept], vote[kept], better[kept], worse[kept]
    first = shown_first(evidence)[vote]
    lower = np.minimum(better, worse)
    shown = np.where(first < 0, 0, np.where(first == lower, 1, -1))
    side = np.where(better == lower, 1, -1)
    return Opinions(proposals.item[at], couple[at], proposals.recipe[at], side, np.ones(len(at)), people[vote], shown, np.zeros(len(at)))


def shown_first(evidence: Evidence) -> Rows:
    """Of each vote the answer that was shown first; -1 where it is not known."""
    from tasks.common.row_numbers import find

    return find(evidence.votes["shown_first"], evidence.answers["response_id"])


def votes_behind(proposals: Proposals, rows: Rows) -> tuple[Rows, Rows]:
    """Proposal and vote, one row a vote behind one of these proposals."""
    item, vote = proposals.behind
    row = np.full(int(max(proposals.item.max(initial=-1), item.max(initial=-1))) + 1, -1)
    row[proposals.item[rows]] = rows
    kept = row[item] >= 0
    return row[item[kept]], vote[kept]


def graded(evidence: Evidence, proposals: Proposals, rows: Rows, couple: Rows, people: Rows, lenient: Floats, recipe: int) -> Opinions:
    """Ranks, ratings or thumbs of single answers: what one person says of both, and what strangers say of either."""
    own = rows[proposals.recipe[rows] == recipe]
    at, vote = votes_behind(proposals, own)
    lower = np.minimum(proposals.chosen[at], proposals.rejected[at])
    is_low = evidence.about[vote] == lower
    value = evidence.value(vote) * GRADED[NAMES[recipe]]
    mate = group_of(evidence)[vote] if recipe == RANKING else people[vote]
    order = np.lexsort((~is_low, mate, at))
    at, vote, is_low, value, mate = at[order], vote[order], is_low[order], value[order], mate[order]
    joined = (at[:-1] == at[1:]) & (mate[:-1] == mate[1:]) & is_low[:-1] & ~is_low[1:] if len(at) else np.zeros(0, bool)
    first = np.flatnonzero(joined)
    alone = np.ones(len(at), bool)
    alone[first] = alone[first + 1] = False
    gap = np.sign(value[first] - value[first + 1]).astype(np.int64) if len(first) else np.zeros(0, np.int64)
    first = first[gap != 0]
    way = SAME.get(recipe, recipe)
    both = Opinions(
        proposals.item[at[first]], couple[at[first]], np.full(len(first), way), gap[gap != 0], np.ones(len(first)), people[vote[first]],
        np.zeros(len(first), np.int64), np.zeros(len(first)),
    )  # fmt: skip
    if recipe not in STRANGERS:
        return both
    rest = strangers(proposals, couple, at[alone], is_low[alone], value[alone], lenient[vote[alone]], recipe)
    return Opinions(*(np.concatenate([getattr(both, name), getattr(rest, name)]) for name in Opinions.__dataclass_fields__))


def strangers(proposals: Proposals, couple: Rows, at: Rows, is_low: Mask, value: Column, lenient: Floats, recipe: int) -> Opinions:
    """Of each proposal one opinion of all who said something of one of its answers only."""
    count = len(proposals.item)
    many = [np.bincount(at[side], minlength=count).astype(float) for side in (is_low, ~is_low)]
    mean = [
        total / np.maximum(size, 1)
        for size, total in zip(many, (micro_sum(at[side], value[side], count) for side in (is_low, ~is_low)), strict=True)
    ]
    lean = [
        total / np.maximum(size, 1)
        for size, total in zip(many, (micro_sum(at[side], lenient[side], count) for side in (is_low, ~is_low)), strict=True)
    ]
    gap = np.round(mean[0] - mean[1], 9)
    rows = np.flatnonzero((many[0] > 0) & (many[1] > 0) & (gap != 0))
    weight = (2 * many[0] * many[1] / np.maximum(many[0] + many[1], 1))[rows]
    if recipe == THUMBS:  # thumbs are -1 and 1: where strangers are divided about an answer, less is said of the two
        weight = weight * np.abs(gap[rows]) / 2
    tilt = np.round((lean[0] - lean[1])[rows], 6) if recipe == THUMBS else np.zeros(len(rows))
    side = np.sign(gap[rows]).astype(np.int64)
    zeros = np.zeros(len(rows), np.int64)
    return Opinions(proposals.item[rows], couple[rows], np.full(len(rows), recipe), side, weight, zeros + NOBODY, zeros, tilt)


def micro_sum(place: Rows, value: Column, count: int) -> Floats:
    """Sums of whole millionths by place: the same in any order."""
    return np.bincount(place, np.rint(value * 1e6), minlength=count) / 1e6


def group_of(evidence: Evidence) -> Rows:
    """The ranking that each vote belongs to, as a number."""
    from tasks.common.row_numbers import numbers

    return numbers(evidence.votes["group"])


def thumbs_alone(evidence: Evidence, people: Rows, lenient: Floats) -> Opinions:
    """People's thumbs about answers that several people judged."""
    votes = evidence.cast("thumb", models=False)
    about = evidence.about[votes]
    several = (np.bincount(about + 1, minlength=1) > 1)[about + 1] & (about >= 0)
    votes = votes[several]
    votes = votes[np.lexsort((votes, evidence.about[votes]))]
    zeros = np.zeros(len(votes), np.int64)
    side = np.where(evidence.value(votes) > 0, 1, -1)
    return Opinions(zeros - 1, evidence.about[votes], zeros + THUMBS, side, np.ones(len(votes)), people[votes], zeros, lenient[votes])
