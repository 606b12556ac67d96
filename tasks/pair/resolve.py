"""Which proposals become pairs: every proposal of every recipe, each with the reason why it is none, or without one.

    unreliable, tie, below_margin, too_small_edit, rewritten   from the recipe
    nearly_equal     chosen and rejected differ by a few letters (not asked of edits, which have their own bounds)
    identity_told    one of the two answers says which model it is: who chose did not judge blind (`tasks.pair.self_identification`)
    low_confidence   the evidence does not say it clearly enough, or says that it is rather the other way round
    disliked         from the recipe: who kept the answer called it worse than the other
    superseded       it rests on the word of one person, who said the opposite later, by an act of another kind
    contradicted     a stronger proposal prefers the other answer
    repeated         a stronger proposal is the same pair
    cycle            with stronger pairs it would close a circle: A over B, B over C, C over A
    over_user_cap    it rests on one person's votes alone, as enough stronger pairs do
    over_cap         the prompt has enough stronger pairs

Stronger is: people's votes before those of judging models, then the earlier recipe of RECIPES, then the higher confidence, then the
larger margin, then the more places of a ranking between the two answers; what is still equal stands in the order of its ids. Prompts that
read the same are one here, and so are their equal answers: what is preferred under one of them is held against what is preferred under the
other. What the caps take is told in a warning.

Works on row numbers alone, as whole arrays.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from tasks.common.arrays import Column, Floats, Mask, Rows
from tasks.core.params import StageParams
from tasks.pair import cycles, edit_distance, self_identification, superseded
from tasks.pair.evidence import Evidence
from tasks.pair.recipes import RECIPES
from tasks.pair.self_identification import Identity
from tasks.pair.vote_counts import CODE, Findings, confidence


class Confidence(StageParams):
    """What a pair's confidence decides."""

    min: float = Field(ge=0.5, lt=1)  # less is no pair
    margin: Literal["evidence", "log_odds"]  # what the column `margin` holds
    weight: bool  # whether it scales the row's weight, by 2 * confidence - 1


class Caps(StageParams):
    """How many pairs stay."""

    per_prompt: int = Field(ge=1)
    per_user: int = Field(ge=1)  # of pairs that rest on one person's votes alone


@dataclass
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
    reason: npt.NDArray[np.int8]  # codes of REASONS
    recipe: Rows  # place in RECIPES
    models: Mask  # whether judging models said so
    confidence: Floats
    basis: Rows  # what the confidence rests on: codes of `pairing.certainty.BASES`
    behind: tuple[Rows, Rows]  # item and vote

    def refuse(self, rows: Column, reason: str) -> None:
        """Give the reason to rows (numbers, or a mask) that have none."""
        chosen = np.flatnonzero(rows) if rows.dtype == bool else rows
        self.reason[chosen[self.reason[chosen] == 0]] = CODE[reason]

    def live(self, *keys: Rows) -> Rows:
        """Rows without a reason, in the order of the keys, the last key first."""
        rows = np.flatnonzero(self.reason == 0)
        return rows[np.lexsort([key[rows] for key in keys])]

    def ranked(self) -> Rows:
        """The place of each row among all, the strongest first."""
        strength = (self.item, self.rejected, self.chosen, -self.apart, -self.margin, -self.confidence, self.recipe, self.models)
        rank = np.empty(len(self.item), np.int64)
        rank[np.lexsort(strength)] = np.arange(len(rank))
        return rank


def propose(evidence: Evidence, settings: Mapping[str, Any], judges: bool) -> Proposals:
    """What the recipes that are on propose, for people's votes and, with `judges`, for those of models."""
    parts: list[tuple[int, bool, Findings]] = []
    for models in (False, True)[: 1 + judges]:
        for place, (name, recipe) in enumerate(RECIPES.items()):
            votes = evidence.cast(recipe.kind, models=models)
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
    "over_user_cap": ("max_pairs_per_user", "people whose votes alone stand behind more than"),
    "over_cap": ("max_pairs_per_prompt", "prompts with more than"),
}
EMPTY: dict[str, Any] = {"margin": np.float64, "log_odds": np.float64, "apart": np.float64, "distance": np.float64, "reason": np.int8}


def resolve(evidence: Evidence, proposals: Proposals, limits: Confidence, similarity: float, identity: Identity, caps: Caps) -> None:
    """Give every proposal that cannot be a pair its reason."""
    refuse_copies(evidence, proposals, similarity)
    refuse_unblinded(evidence, proposals, identity)
    proposals.refuse((proposals.confidence < limits.min) | (proposals.confidence <= 0.5), "low_confidence")
    rank = proposals.ranked()
    good, bad = evidence.twin[proposals.chosen], evidence.twin[proposals.rejected]
    low, high = np.minimum(good, bad), np.maximum(good, bad)
    refuse_overtaken(evidence, proposals, low, high, good)

    rows = proposals.live(rank, high, low)
    leader = first_of(rows, low, high)
    proposals.refuse(rows[good[rows] != good[leader]], "contradicted")
    rows = proposals.live(rank, bad, good)
    proposals.refuse(rows[rows != first_of(rows, good, bad)], "repeated")

    rows = proposals.live(rank)
    proposals.refuse(rows[cycles.closing(good[rows], bad[rows])], "cycle")

    cap(proposals, rank, sole_person(evidence, proposals), caps.per_user, "over_user_cap")
    cap(proposals, rank, evidence.home[proposals.chosen], caps.per_prompt, "over_cap")


def cap(proposals: Proposals, rank: Rows, owner: Rows, most: int, reason: str) -> None:
    """Refuse what each owner (-1: none) has beyond the `most` strongest, and tell it."""
    rows = proposals.live(rank, owner)
    over = rows[(np.arange(len(rows)) - starts(rows, owner) >= most) & (owner[rows] >= 0)]
    proposals.refuse(over, reason)
    if len(over):
        owners, (name, what) = len(np.unique(owner[over])), CAPS[reason]
        told = f"{reason}: {len(over):,} of {len(rows):,} pairs dropped, the least sure of {owners:,} {what} {most:,} pairs"
        warnings.warn(f"{told} (pair.{name})", stacklevel=3)


def refuse_copies(evidence: Evidence, proposals: Proposals, similarity: float) -> None:
    """Refuse proposals of two answers that are nearly the same; recipes that go by the distance judge that themselves."""
    by_distance = np.array([recipe.by_distance for recipe in RECIPES.values()])
    rows = np.flatnonzero((proposals.reason == 0) & ~by_distance[proposals.recipe])
    left, right = (evidence.answers["content"].take(pa.array(side[rows])) for side in (proposals.chosen, proposals.rejected))
    proposals.refuse(rows[edit_distance.alike(left, right, similarity)], "nearly_equal")


def refuse_unblinded(evidence: Evidence, proposals: Proposals, settings: Identity) -> None:
    """Refuse, or only count, people's comparisons in which an answer says which model it is."""
    if settings.action == "ignore":
        return
    blind = np.array([name in settings.recipes for name in RECIPES])
    rows = np.flatnonzero((proposals.reason == 0) & blind[proposals.recipe])
    sides = proposals.chosen[rows], proposals.rejected[rows]
    answers = np.unique(np.concatenate(sides))
    telling = answers[self_identification.named(evidence.answers["content"].take(pa.array(answers)).combine_chunks(), settings)]
    over = rows[np.isin(sides[0], telling) | np.isin(sides[1], telling)]
    if settings.action == "drop":
        proposals.refuse(over, "identity_told")
    if len(over):
        done = "dropped" if settings.action == "drop" else "kept"
        told = f"identity_told: {len(over):,} of {len(rows):,} comparisons {done}: an answer says which model it is: not blind"
        warnings.warn(f"{told} (pair.identity)", stacklevel=3)


def refuse_overtaken(evidence: Evidence, proposals: Proposals, low: Rows, high: Rows, good: Rows) -> None:
    """Refuse what one person alone said of two answers where that person said the opposite later; only acts done on purpose overtake."""
    on_purpose = ~np.isin(proposals.recipe, [list(RECIPES).index(name) for name in ("regeneration", "retry")])
    person, said = sole_person(evidence, proposals), superseded.latest(evidence, proposals.behind)[proposals.item]
    known = np.flatnonzero((proposals.reason == 0) & on_purpose & (person >= 0) & (said != superseded.UNKNOWN))
    rows = known[np.lexsort((-said[known], person[known], high[known], low[known]))]
    last = first_of(rows, low, high, person)
    proposals.refuse(rows[(good[rows] != good[last]) & (said[rows] < said[last])], "superseded")


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
