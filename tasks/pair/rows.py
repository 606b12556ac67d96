"""Proposals as rows of the pairs table: people's, and the same pairs under the variants of their prompts.

A variant repeats its parent's answers, reworded or not, and its parent's votes: so its pairs are its parent's, without a count of
their own. What rewording made equal, or nearly equal, is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import col

from tasks.common.arrays import Mask, Rows, find, flat, nest, reach, stretches
from tasks.common.vocabulary.reasons import pair as why
from tasks.common.vocabulary.roles import ASSISTANT
from tasks.core import engine
from tasks.core.ids import stable_id
from tasks.core.tables import MESSAGE, RESPONSE, TEXT, Pairs
from tasks.pair import calibration, edit_distance
from tasks.pair.evidence import ANSWER, Evidence, spread_out
from tasks.pair.recipes import RECIPES
from tasks.pair.resolve import Confidence, Proposals
from tasks.pair.unpaired_labels import BASES, OUTCOMES, UnpairedLabels
from tasks.pair.vote_counts import DIGITS, REASONS
from tasks.pair.vote_outcomes import rows_behind

STRATA = ("language", "topic", "source", "cluster_id", "split")
ABOUT = ("prompt", *STRATA, "weight", "augmented_from", "augmenter")


@dataclass(frozen=True)
class Variants:
    """The candidates that augmenting and rebalancing made."""

    prompts: pa.Table  # prompt_id
    parent: Rows  # row of each one's parent among people's prompts; -1: it is not there
    answers: pa.Table  # ANSWER
    home: Rows  # of each answer: row of its prompt here
    origin: Rows  # of each answer: row of the parent's answer that it stands for


def variants(candidates: daft.DataFrame, evidence: Evidence) -> Variants:
    """The variants among the candidates."""
    made = candidates.where(col("augmented_from").not_null()).select("prompt_id", "augmented_from", "responses")
    rows = engine.sort(made.to_arrow(), ("prompt_id",))
    home, answers = spread_out(rows["responses"], RESPONSE, ANSWER)
    parent = find(rows["augmented_from"], evidence.prompts["prompt_id"])
    return Variants(rows.select(["prompt_id"]), parent, answers, home, find(answers["response_id"], evidence.answers["response_id"]))


def written(evidence: Evidence, proposals: Proposals, limits: Confidence) -> pa.Table:
    """All proposals about people's prompts, with `dropped`."""
    sides = {side: evidence.answers.take(rows) for side, rows in (("chosen", proposals.chosen), ("rejected", proposals.rejected))}
    prompt_ids = evidence.prompts["prompt_id"].take(evidence.home[proposals.chosen])
    reasons = pa.array(REASONS, TEXT)
    dropped = pc.if_else(pa.array(proposals.reason == 0), pa.scalar(None, TEXT), reasons.take(proposals.reason))
    return laid_out(evidence, proposals, np.arange(len(proposals.item)), prompt_ids, sides, dropped, limits)


def inherited(evidence: Evidence, proposals: Proposals, made: Variants, limits: Confidence, similarity: float) -> pa.Table:
    """The pairs of variants: those that stayed of their parents', with `dropped`."""
    kept = np.flatnonzero(proposals.reason == 0)
    home = evidence.home[proposals.chosen[kept]]
    order = np.argsort(home, kind="stable")
    kept = kept[order]
    variant, place = reach(*stretches(home[order], made.parent))
    pair = kept[place]
    width = len(evidence.home) + 1
    known = pa.array(made.home * width + made.origin)
    ends = [find(pa.array(variant * width + side[pair]), known) for side in (proposals.chosen, proposals.rejected)]
    there = (ends[0] >= 0) & (ends[1] >= 0)
    variant, pair = variant[there], pair[there]
    sides = {side: made.answers.take(rows[there]) for side, rows in zip(("chosen", "rejected"), ends, strict=True)}
    texts = [sides[side]["content"] for side in sides]
    by_distance = np.array([recipe.by_distance for recipe in RECIPES.values()])[proposals.recipe[pair]]
    near = edit_distance.alike(texts[0], texts[1], similarity) & ~by_distance
    reason = np.where(edit_distance.equal(texts[0], texts[1]), why.EQUAL_TEXT, np.where(near, why.NEARLY_EQUAL, ""))
    dropped = pa.array(reason, TEXT, mask=reason == "")
    return laid_out(evidence, proposals, pair, made.prompts["prompt_id"].take(variant), sides, dropped, limits)


def laid_out(
    evidence: Evidence,
    proposals: Proposals,
    rows: Rows,
    prompt_ids: pa.ChunkedArray[Any],
    sides: dict[str, pa.Table],
    dropped: pa.Array[Any],
    limits: Confidence,
) -> pa.Table:
    """Proposals with everything of Pairs that does not come from their prompt."""
    chosen, rejected = sides["chosen"], sides["rejected"]
    names = pa.array(list(RECIPES), TEXT).take(proposals.recipe[rows])
    annotators = pc.if_else(pa.array(proposals.models[rows]), pa.scalar("models", TEXT), pa.scalar("people", TEXT))
    margin = proposals.margin if limits.margin == "evidence" else proposals.log_odds
    versions = np.array([recipe.version for recipe in RECIPES.values()], np.int32)
    columns = {
        "pair_id": pair_ids(prompt_ids, chosen["response_id"], rejected["response_id"], names, proposals.models[rows]),
        "prompt_id": prompt_ids,
        "chosen": as_messages(chosen["content"]),
        "rejected": as_messages(rejected["content"]),
        "chosen_model": chosen["model"],
        "rejected_model": rejected["model"],
        "recipe": names,
        "version": versions[proposals.recipe[rows]],
        "annotators": annotators,
        "margin": np.maximum(margin[rows], 10.0**-DIGITS),
        "confidence": proposals.confidence[rows],
        "confidence_basis": pa.array(calibration.BASES, TEXT).take(proposals.basis[rows]),
        "distance": pa.array(proposals.distance[rows], from_pandas=True),
        **{name: getattr(proposals, name)[rows].astype(np.int32) for name in ("votes_for", "votes_against", "votes_tied")},
        "dropped": dropped,
        **acts_behind(evidence, proposals, rows),
    }
    columns["evidence"] = columns["votes_for"] + columns["votes_against"] + columns["votes_tied"]
    columns["factor"] = 2 * proposals.confidence[rows] - 1 if limits.weight else np.ones(len(rows))
    return pa.table(columns)


def acts_behind(evidence: Evidence, proposals: Proposals, rows: Rows) -> dict[str, pa.Array[Any]]:
    """The ids of the votes behind each row, and where it comes from: of a pair that stays also the records of its two answers."""
    owner, vote = rows_behind(proposals, rows)
    ids = pa.Table.from_pydict({"owner": owner, "id": evidence.votes["feedback_id"].take(vote)})
    if (evidence.place[vote] != evidence.home[proposals.chosen[rows]][owner]).any():
        raise AssertionError("a vote on one prompt stands behind a pair of another")
    kept = np.flatnonzero(proposals.reason[rows] == 0)
    answers = np.concatenate([kept, kept]), np.concatenate([proposals.chosen[rows[kept]], proposals.rejected[rows[kept]]])
    conversations, origins = evidence.sources.behind(len(rows), answers, (owner, vote))
    return {"votes": nest(owner, len(rows), ids["id"]), "conversations": conversations, "origins": origins}


def pair_ids(
    prompts: pa.ChunkedArray[Any], chosen: pa.ChunkedArray[Any], rejected: pa.ChunkedArray[Any], recipes: pa.Array[Any], models: Mask
) -> pa.Array[Any]:
    """Stable ids of pairs: by prompt, answers and recipe, and whether models judged."""
    parts = zip(*(cast("list[str]", column.to_pylist()) for column in (prompts, chosen, rejected, recipes)), strict=True)
    judged = zip(parts, models.tolist(), strict=True)
    return pa.array([stable_id(*ids, "models") if by_model else stable_id(*ids) for ids, by_model in judged], TEXT)


def as_messages(contents: pa.ChunkedArray[Any]) -> pa.LargeListArray[Any]:
    """Each text as a list of one assistant's message."""
    roles = pa.repeat(pa.scalar(ASSISTANT, TEXT), len(contents))
    messages = pa.StructArray.from_arrays([roles, flat(contents)], fields=list(MESSAGE))
    return pa.LargeListArray.from_arrays(pa.array(np.arange(len(contents) + 1), pa.int64()), messages)


def finished(rows: pa.Table, candidates: daft.DataFrame) -> pa.Table:
    """The rows with what their prompts say of them, as Pairs and `dropped`."""
    joined = daft.from_arrow(rows).join(candidates.select("prompt_id", *ABOUT), on="prompt_id", how="inner")
    whole = joined.with_column("weight", col("weight") * col("factor"))
    return whole.select(*Pairs.names(), "dropped").to_arrow().cast(pa.schema([*Pairs.schema(), ("dropped", TEXT)]))


def examples(evidence: Evidence, made: Variants, sided: UnpairedLabels) -> pa.Table:
    """Rows of unpaired without what comes from their prompts: people's, then those of variants."""
    count = len(sided.answer)
    every = np.arange(count)
    _, origins = evidence.sources.behind(count, (every, sided.answer), sided.behind)
    ids = evidence.prompts["prompt_id"].take(evidence.home[sided.answer])
    own = judged(ids, evidence.answers.take(sided.answer), sided, every, origins)
    place = np.full(len(evidence.home) + 1, -1)
    place[sided.answer] = every
    row = place[made.origin]
    answer = np.flatnonzero(row >= 0)
    ids = made.prompts["prompt_id"].take(made.home[answer])
    return pa.concat_tables([own, judged(ids, made.answers.take(answer), sided, row[answer], origins)])


def judged(prompt_ids: pa.ChunkedArray[Any], answers: pa.Table, sided: UnpairedLabels, rows: Rows, origins: pa.Array[Any]) -> pa.Table:
    """Answers judged one at a time as rows of unpaired; `rows` says which verdict is each one's."""
    parts = zip(*(cast("list[str]", column.to_pylist()) for column in (prompt_ids, answers["response_id"])), strict=True)
    return pa.Table.from_pydict(
        {
            "example_id": pa.array([stable_id(*ids) for ids in parts], TEXT),
            "prompt_id": prompt_ids,
            "completion": as_messages(answers["content"]),
            "label": sided.label[rows],
            "evidence": sided.evidence[rows].astype(np.int32),
            "basis": BASES.take(sided.basis[rows]),
            "model": answers["model"],
            "origins": origins.take(rows),
            "dropped": OUTCOMES.take(sided.outcome[rows]),
        }
    )
