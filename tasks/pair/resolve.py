"""Which proposals become pairs: every proposal of every recipe, each with the reason why it is none, or without one.

The reasons and their meanings stand in the vocabulary's reasons of `pair`. Some come from the recipes; the others are given here, in the
order of `resolve`.

Stronger is: people's votes before those of judging models, then the earlier recipe of RECIPES, then the higher confidence, then the
larger margin, then the more places of a ranking between the two answers; what is still equal stands in the order of its ids. Prompts that
read the same are one here, and so are their equal answers: what is preferred under one of them is held against what is preferred under the
other. What the caps take is told in a warning.

Each step names the rows that it refuses among those that no step before it refused. Works on row numbers alone, as whole arrays.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from pydantic import Field

from tasks.common.arrays import Column, Floats, Mask, Rows
from tasks.common.vocabulary.reasons import pair as why
from tasks.core.params import StageParams
from tasks.pair import cycles, edit_distance, self_identification, superseded
from tasks.pair.evidence import Evidence
from tasks.pair.recipes import RECIPES, Settings
from tasks.pair.self_identification import Identity
from tasks.pair.vote_counts import CODE, Codes, Findings, confidence


class Confidence(StageParams):
    """What a pair's confidence decides."""

    min: float = Field(ge=0.5, lt=1)  # less is no pair
    margin: Literal["evidence", "log_odds"]  # what the column `margin` holds
    weight: bool  # whether it scales the row's weight, by 2 * confidence - 1


class Caps(StageParams):
    """How many pairs stay."""

    per_prompt: int = Field(ge=1)
    per_user: int = Field(ge=1)  # of pairs that rest on one person's votes alone


@dataclass(frozen=True)
class Proposals:
    """One row a proposal, of all recipes."""

    item: Rows
    chosen: Rows
    rejected: Rows
    margin: Floats
    log_odds: Floats
    apart: Floats
    votes_for: Rows
    votes_against: Rows
    votes_tied: Rows
    distance: Floats
    reason: Codes  # of REASONS; 0: none yet
    recipe: Rows  # place in RECIPES
    models: Mask  # whether judging models said so
    confidence: Floats
    basis: Rows  # what the confidence rests on: codes of `tasks.pair.calibration.BASES`
    behind: tuple[Rows, Rows]  # item and vote

    def ranked(self) -> Rows:
        """The place of each row among all, the strongest first."""
        strength = (self.item, self.rejected, self.chosen, -self.apart, -self.margin, -self.confidence, self.recipe, self.models)
        rank = np.empty(len(self.item), np.int64)
        rank[np.lexsort(strength)] = np.arange(len(rank))
        return rank


def propose(evidence: Evidence, settings: Mapping[str, Settings], judges: bool) -> Proposals:
    """What the recipes that are on propose, for people's votes and, with `judges`, for those of models."""
    parts: list[tuple[int, bool, Findings]] = []
    for models in (False, True)[: 1 + judges]:
        for place, (name, recipe) in enumerate(RECIPES.items()):
            votes = evidence.votes_of_kind(recipe.kind, models=models)
            if settings[name].use and len(votes):
                parts.append((place, models, recipe.propose(evidence, votes, settings[name])))
    return gathered(parts)


def gathered(parts: list[tuple[int, bool, Findings]]) -> Proposals:
    """The findings one below the other, their items numbered through."""
    starts = np.cumsum([0, *(int(found.item.max(initial=-1)) + 1 for _, _, found in parts)])
    joined: dict[str, Any] = {}
    for name in (field.name for field in fields(Findings) if field.name not in ("item", "behind")):
        joined[name] = np.concatenate([getattr(found, name) for _, _, found in parts]) if parts else np.zeros(0, EMPTY.get(name, np.int64))
    sizes = [len(found.item) for _, _, found in parts]
    items = [found.item + start for start, (_, _, found) in zip(starts, parts, strict=False)]
    behind = [found.behind[0] + start for start, (_, _, found) in zip(starts, parts, strict=False)]
    none = np.zeros(0, np.int64)
    return Proposals(
        item=np.concatenate([none, *items]),
        recipe=np.repeat([place for place, _, _ in parts], sizes).astype(np.int64),
        models=np.repeat([models for _, models, _ in parts], sizes).astype(bool),
        confidence=confidence(joined["log_odds"]),
        basis=np.zeros(sum(sizes), np.int64),
        behind=(np.concatenate([none, *behind]), np.concatenate([none, *(found.behind[1] for _, _, found in parts)])),
        **joined,
    )


CAPS = {
    why.OVER_USER_CAP: ("max_pairs_per_user", "people whose votes alone stand behind more than"),
    why.OVER_CAP: ("max_pairs_per_prompt", "prompts with more than"),
}
EMPTY: dict[str, Any] = {"margin": np.float64, "log_odds": np.float64, "apart": np.float64, "distance": np.float64, "reason": np.int8}


def reasons_against(
    evidence: Evidence, proposals: Proposals, limits: Confidence, similarity: float, identity: Identity, caps: Caps
) -> Codes:
    """The reason of every proposal that cannot be a pair, a code of REASONS; 0 where it becomes one."""
    held = Contest.of(evidence, proposals)
    sure = (proposals.confidence >= limits.min) & (proposals.confidence > 0.5)
    steps: dict[str, Callable[[Rows], Rows]] = {
        why.NEARLY_EQUAL: lambda rows: copies(evidence, proposals, rows, similarity),
        why.IDENTITY_TOLD: lambda rows: unblinded(evidence, proposals, rows, identity),
        why.LOW_CONFIDENCE: lambda rows: rows[~sure[rows]],
        why.SUPERSEDED: lambda rows: overtaken(evidence, proposals, held, rows),
        why.CONTRADICTED: held.contradicted,
        why.REPEATED: held.repeated,
        why.CYCLE: held.closing_a_cycle,
        why.OVER_USER_CAP: lambda rows: held.beyond(rows, held.person, caps.per_user, why.OVER_USER_CAP),
        why.OVER_CAP: lambda rows: held.beyond(rows, evidence.home[proposals.chosen], caps.per_prompt, why.OVER_CAP),
    }
    reasons = proposals.reason.copy()
    for reason, refused in steps.items():
        reasons[refused(np.flatnonzero(reasons == 0))] = CODE[reason]
    return reasons


@dataclass(frozen=True)
class Contest:
    """What proposals are held against each other by: how strong each is, and which of two answers it prefers."""

    rank: Rows  # of each proposal, the strongest first
    good: Rows  # the better answer; equal answers have one number
    bad: Rows
    person: Rows  # on whose votes alone it rests, or -1

    @classmethod
    def of(cls, evidence: Evidence, proposals: Proposals) -> Contest:
        """The proposals as they stand."""
        good, bad = evidence.twin[proposals.chosen], evidence.twin[proposals.rejected]
        return cls(proposals.ranked(), good, bad, sole_person(evidence, proposals))

    @property
    def couple(self) -> tuple[Rows, Rows]:
        """The two answers of each proposal, whichever is the better one."""
        return np.minimum(self.good, self.bad), np.maximum(self.good, self.bad)

    def by_strength(self, rows: Rows, *group: Rows) -> Rows:
        """The rows group by group, the strongest of each first."""
        return rows[np.lexsort([key[rows] for key in (self.rank, *reversed(group))])]

    def contradicted(self, rows: Rows) -> Rows:
        """Which of the rows prefer the other answer than the strongest about the same two."""
        rows = self.by_strength(rows, *self.couple)
        return np.asarray(rows[self.good[rows] != self.good[first_of(rows, *self.couple)]])

    def repeated(self, rows: Rows) -> Rows:
        """Which of the rows say what a stronger one says."""
        rows = self.by_strength(rows, self.good, self.bad)
        return np.asarray(rows[rows != first_of(rows, self.good, self.bad)])

    def closing_a_cycle(self, rows: Rows) -> Rows:
        """Which of the rows close a circle of stronger ones."""
        rows = self.by_strength(rows)
        return rows[cycles.closing(self.good[rows], self.bad[rows])]

    def beyond(self, rows: Rows, owner: Rows, most: int, reason: str) -> Rows:
        """Which of the rows each owner (-1: none) has beyond the `most` strongest; a warning tells them."""
        rows = self.by_strength(rows, owner)
        over = rows[(np.arange(len(rows)) - starts(rows, owner) >= most) & (owner[rows] >= 0)]
        if len(over):
            owners, (name, what) = len(np.unique(owner[over])), CAPS[reason]
            message = f"{reason}: {len(over):,} of {len(rows):,} pairs dropped, the least sure of {owners:,} {what} {most:,} pairs"
            warnings.warn(f"{message} (pair.{name})", stacklevel=4)
        return over


def copies(evidence: Evidence, proposals: Proposals, rows: Rows, similarity: float) -> Rows:
    """Which of the rows are about two answers that are nearly the same; recipes that go by the distance judge that themselves."""
    by_distance = np.array([recipe.by_distance for recipe in RECIPES.values()])
    rows = rows[~by_distance[proposals.recipe[rows]]]
    left, right = (evidence.answers["content"].take(side[rows]) for side in (proposals.chosen, proposals.rejected))
    return rows[edit_distance.alike(left, right, similarity)]


def unblinded(evidence: Evidence, proposals: Proposals, rows: Rows, settings: Identity) -> Rows:
    """Which of the rows are people's comparisons in which an answer says which model it is; none where that is only counted."""
    none = rows[:0]
    if settings.action == "ignore":
        return none
    blind = np.array([name in settings.recipes for name in RECIPES])
    rows = rows[blind[proposals.recipe[rows]]]
    sides = proposals.chosen[rows], proposals.rejected[rows]
    answers = np.unique(np.concatenate(sides))
    telling = answers[self_identification.named(evidence.answers["content"].take(answers).combine_chunks(), settings)]
    over = rows[np.isin(sides[0], telling) | np.isin(sides[1], telling)]
    if len(over):
        done = "dropped" if settings.action == "drop" else "kept"
        message = f"identity_told: {len(over):,} of {len(rows):,} comparisons {done}: an answer says which model it is: not blind"
        warnings.warn(f"{message} (pair.identity)", stacklevel=4)
    return over if settings.action == "drop" else none


def overtaken(evidence: Evidence, proposals: Proposals, held: Contest, rows: Rows) -> Rows:
    """Which of the rows one person alone said of two answers who said the opposite later; only acts done on purpose overtake."""
    on_purpose = ~np.isin(proposals.recipe[rows], [list(RECIPES).index(name) for name in ("regeneration", "retry")])
    said_at = superseded.latest(evidence, proposals.behind)[proposals.item]
    known = rows[on_purpose & (held.person[rows] >= 0) & (said_at[rows] != superseded.UNKNOWN)]
    low, high = held.couple
    known = known[np.lexsort((-said_at[known], held.person[known], high[known], low[known]))]
    last = first_of(known, low, high, held.person)
    return np.asarray(known[(held.good[known] != held.good[last]) & (said_at[known] < said_at[last])])


def sole_person(evidence: Evidence, proposals: Proposals) -> Rows:
    """The person on whose votes alone a proposal rests; -1 where there are several, or one is unknown, or models judged."""
    item, vote = proposals.behind
    count = int(proposals.item.max(initial=-1)) + 1
    least, most = np.full(count, len(evidence.votes)), np.full(count, -1)
    np.minimum.at(least, item, evidence.person[vote])
    np.maximum.at(most, item, evidence.person[vote])
    return np.where((least == most)[proposals.item] & ~proposals.models, least[proposals.item], -1)


def starts(order: Rows, *group: Column) -> Rows:
    """For each place in the order, the place where its group starts; groups stand together."""
    change = np.ones(len(order), bool)
    if len(order):
        change[1:] = np.any([key[order][1:] != key[order][:-1] for key in group], axis=0)
    return np.asarray(np.maximum.accumulate(np.where(change, np.arange(len(order)), 0)))


def first_of(order: Rows, *group: Column) -> Rows:
    """For each place in the order, the row that leads its group."""
    return np.asarray(order[starts(order, *group)])
