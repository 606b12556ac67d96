"""What became of every vote that people's prompts hold: the table `votes`.

A vote stands behind pairs, or its answer has a row in unpaired, or it is dropped: for the reason of the strongest proposal that
it stands behind; without a proposal for that of its answer (`middle`, `contradicted`); else for one of ALONE, whose meanings stand in the
vocabulary's reasons of `pair`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import Rows, nest, reach, stretches
from tasks.common.vocabulary.kinds import MODEL, PERSON
from tasks.common.vocabulary.reasons import pair as why
from tasks.core.tables import TEXT, VOTE, Votes
from tasks.pair.evidence import Evidence
from tasks.pair.recipes import RECIPES
from tasks.pair.resolve import Proposals
from tasks.pair.unpaired_labels import OUTCOMES, SIGNALS, UnpairedLabels

ALONE = (why.JUDGE, why.NO_RECIPE, why.RECIPE_OFF, why.ALONE, why.OUTRANKED)


def table(
    evidence: Evidence,
    proposals: Proposals,
    pair_ids: pa.ChunkedArray[Any],
    reasons: pa.Array[Any],
    liked: UnpairedLabels,
    examples: pa.ChunkedArray[Any],
    used: Collection[str],
) -> pa.Table:
    """The table with its dropped rows; `reasons` are those of the proposals, `examples` the ids of liked answers' rows."""
    count = len(evidence.votes)
    behind_pairs = pairs_of(proposals, pair_ids, reasons, count)
    row = np.full(count, -1)
    row[liked.behind[1]] = liked.behind[0]
    at = pa.array(row, pa.int64(), mask=row < 0)
    label_outcome = OUTCOMES.take(liked.outcome).take(at)
    example = pc.if_else(pc.is_null(label_outcome), examples.take(at), pa.scalar(None, TEXT))
    idle = pc.and_(pc.equal(pc.list_value_length(behind_pairs), pa.scalar(0)), pc.is_null(example))
    reason = pc.coalesce(strongest_reason(proposals, reasons, count), label_outcome, unproposed(evidence, used))
    columns: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {name: evidence.votes[name] for name in VOTE.names if name in Votes.names()}
    columns |= {
        "prompt_id": evidence.prompts["prompt_id"].take(evidence.place),
        "split": evidence.prompts["split"].take(evidence.place),
        "pairs": behind_pairs,
        "example_id": example,
        "dropped": pc.if_else(idle, reason, pa.scalar(None, TEXT)),
    }
    return pa.table([columns[name] for name in [*Votes.names(), "dropped"]], names=[*Votes.names(), "dropped"])


def pairs_of(proposals: Proposals, pair_ids: pa.ChunkedArray[Any], reasons: pa.Array[Any], votes: int) -> pa.Array[Any]:
    """The pairs that each vote stands behind, as lists of sorted ids."""
    kept = np.flatnonzero(pc.is_null(reasons).to_numpy(zero_copy_only=False))
    item, vote = proposals.behind
    pair = np.full(int(max(proposals.item.max(initial=-1), item.max(initial=-1))) + 1, -1)
    pair[proposals.item[kept]] = kept  # of one item at most one is kept: the others are `repeated`
    used = pair[item] >= 0
    found = pa.Table.from_pydict({"vote": vote[used], "pair": pair_ids.take(pair[item[used]])})
    found = found.sort_by([("vote", "ascending"), ("pair", "ascending")])
    return nest(found["vote"].to_numpy(), votes, found["pair"])


def strongest_reason(proposals: Proposals, reasons: pa.Array[Any], votes: int) -> pa.Array[Any]:
    """The reason of the strongest proposal that each vote stands behind; null without one."""
    item, vote = proposals.behind
    rank = proposals.ranked()
    last = len(rank)
    best = np.full(int(max(proposals.item.max(initial=-1), item.max(initial=-1))) + 1, last)
    np.minimum.at(best, proposals.item, rank)
    found = np.full(votes, last)
    np.minimum.at(found, vote, best[item])
    row = np.append(np.argsort(rank), -1)[found]
    return reasons.take(pa.array(row, pa.int64(), mask=row < 0))


def unproposed(evidence: Evidence, used: Collection[str]) -> pa.ChunkedArray[Any]:
    """Why a vote without a proposal has none; `used` are the recipes in use, and "judges" and "signals"."""
    kinds = {recipe.kind: name in used for name, recipe in RECIPES.items()} | dict.fromkeys(SIGNALS, "signals" in used)
    signal = pc.is_in(evidence.votes["kind"], value_set=pa.array(list(SIGNALS), TEXT))
    kind = evidence.votes["kind"]
    read = pc.is_in(kind, value_set=pa.array(list(kinds), TEXT))
    on = pc.is_in(kind, value_set=pa.array([name for name, use in kinds.items() if use], TEXT))
    judge = pc.equal(evidence.votes["annotator_kind"].fill_null(pa.scalar(PERSON)), pa.scalar(MODEL))
    by_judge = pc.and_(judge, pa.scalar("judges" not in used))
    reasons = [pa.scalar(reason, TEXT) for reason in ALONE]
    proposed = pc.if_else(signal, reasons[4], reasons[3])
    told = pc.if_else(by_judge, reasons[0], pc.if_else(read, pc.if_else(on, proposed, reasons[2]), reasons[1]))
    return cast("pa.ChunkedArray[Any]", told)


def rows_behind(proposals: Proposals, chosen: Rows) -> tuple[Rows, Rows]:
    """The votes behind each of these proposals: place in `chosen`, and vote, both ascending."""
    item, vote = proposals.behind
    order = np.lexsort((vote, item))
    owner, place = reach(*stretches(item[order], proposals.item[chosen]))
    return owner, vote[order[place]]
