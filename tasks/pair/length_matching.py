"""Matched sampling: give up as few pairs as it takes so that the length of an answer alone no longer tells which one was chosen.

In: pairs, of which those that have a reason in a column `dropped` take no part. Out: for each null, or the reason `unmatched`.

Pairs are compared with pairs whose answers differ by about as much: bins of |characters of chosen - characters of rejected| whose
edges double (1, 2-3, 4-7, ...). In each bin of each stratum the side that is ahead (chosen longer, or chosen shorter) is thinned until
"the longer one wins" is right in half of the pairs, so length predicts nothing at any magnitude, not only on average. Pairs whose answers
are equally long take no part. A pair and its variants and repeats (same root prompt, recipe and lengths) stay or go together; variants
with reworded answers have lengths of their own and stand for themselves. Which families go is decided by their smallest `pair_id`, itself
a hash: no seed, and the order of the rows does not matter.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common.arrays import Mask, Rows
from tasks.common.lengths import length
from tasks.common.vocabulary.reasons import pair as why
from tasks.common.vocabulary.splits import Split
from tasks.core.params import StageParams
from tasks.core.tables import TEXT

ABOUT = ("pair_id", "prompt_id", "augmented_from", "recipe")


class Matching(StageParams):
    """Whether and how finely pairs are matched by length."""

    use: bool
    feature: Literal["characters", "words"]  # in which length is counted
    by: list[Literal["recipe", "source", "language", "topic", "chosen_model", "rejected_model"]]  # matched inside each stratum of these
    splits: list[Split]  # the others stay as people judged them
    tolerance: float = Field(ge=0, lt=0.5)  # how far from 0.5 the share of longer-chosen pairs may stay in a bin


def reasons(pairs: pa.Table, settings: Matching) -> pa.Array[Any]:
    """`unmatched` for every pair that is given up, null for all others; says in a warning what it cost."""
    given_up = np.zeros(len(pairs), bool)
    if settings.use:
        chosen, rejected = (length(pairs[side], settings.feature) for side in ("chosen", "rejected"))
        here = pc.is_in(pairs["split"], value_set=pa.array(settings.splits, TEXT)).to_numpy()
        asked = np.flatnonzero(in_play(pairs) & here & (chosen != rejected))
        named = pairs.select(sorted({*ABOUT, *settings.by})).take(asked)
        given_up[asked] = _surplus(named, chosen[asked], rejected[asked], settings)
        _tell((chosen > rejected)[asked], given_up[asked])
    return pa.array(np.where(given_up, why.UNMATCHED, ""), TEXT, mask=~given_up)


def in_play(pairs: pa.Table) -> Mask:
    """Which pairs have no reason to be dropped yet."""
    free: Mask = pc.is_null(pairs["dropped"]).to_numpy() if "dropped" in pairs.column_names else np.ones(len(pairs), bool)
    return free


def _surplus(pairs: pa.Table, chosen: Rows, rejected: Rows, settings: Matching) -> Mask:
    """Which of these pairs, whose answers have these lengths, are too many on their side of their bin."""
    longer = (chosen > rejected).astype(np.int64)
    bins = np.floor(np.log2(np.abs(chosen - rejected))).astype(np.int64)
    cells = _grouped([*(_codes(pairs[name]) for name in settings.by), bins])
    sides = cells * 2 + longer
    roots = pc.coalesce(pairs["augmented_from"], pairs["prompt_id"])
    families = _grouped([sides, _codes(roots), _codes(pairs["recipe"]), chosen, rejected])
    sizes = np.bincount(families)
    first = np.full(len(sizes), len(pairs), np.int64)
    np.minimum.at(first, families, pc.rank(pairs["pair_id"], tiebreaker="first").to_numpy().astype(np.int64))
    side_of = np.zeros(len(sizes), np.int64)
    side_of[families] = sides
    gone: Mask = _thinned(side_of, first, sizes, _excess(cells, longer, settings.tolerance))[families]
    return gone


def _excess(cells: Rows, longer: Rows, tolerance: float) -> Rows:
    """How many pairs each side (2 * cell: chosen shorter, 2 * cell + 1: chosen longer) has too many."""
    counts = np.bincount(cells * 2 + longer, minlength=2 * (int(cells.max(initial=-1)) + 1)).astype(np.int64)
    other = counts.reshape(-1, 2)[:, ::-1].ravel()
    most = np.floor(other * ((0.5 + tolerance) / (0.5 - tolerance)) + 1e-9).astype(np.int64)
    excess: Rows = np.maximum(counts - most, 0)
    return excess


def _thinned(sides: Rows, first: Rows, sizes: Rows, excess: Rows) -> Mask:
    """Which families go: in the order of `first` as long as they fit into their side's excess, then single ones for what is left."""
    gone = np.zeros(len(sides), bool)
    left = excess.copy()
    for most in (sizes.max(initial=1), 1):
        open_ = np.flatnonzero(~gone & (sizes <= most) & (left[sides] > 0))
        order = open_[np.lexsort((first[open_], sides[open_]))]
        total = np.cumsum(sizes[order])
        starts = np.flatnonzero(np.diff(sides[order], prepend=-1))
        before = np.repeat((total - sizes[order])[starts], np.diff(starts, append=len(order)))
        taken = order[total - before <= left[sides[order]]]
        gone[taken] = True
        left -= np.bincount(sides[taken], weights=sizes[taken], minlength=len(left)).astype(np.int64)
    return gone


def _codes(values: pa.ChunkedArray[Any]) -> Rows:
    """Equal numbers for equal values, null being one."""
    codes: Rows = values.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy().astype(np.int64)
    return codes


def _grouped(columns: Sequence[Rows]) -> Rows:
    """Numbers from 0, equal where the rows of all columns are."""
    joined = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        _, codes = np.unique(column, return_inverse=True)
        _, joined = np.unique(joined * (codes.max(initial=0) + 1) + codes, return_inverse=True)
    return joined.astype(np.int64)


def _tell(longer: Mask, given_up: Mask) -> None:
    """The price, in one line."""
    if not len(longer):
        return
    kept = longer[~given_up]
    after = f"{100 * kept.mean():.1f} %" if len(kept) else "no pairs"
    warnings.warn(
        f"share of longer chosen {100 * longer.mean():.1f} % -> {after}; "
        f"{given_up.sum():,} of {len(longer):,} pairs given up to match lengths",
        stacklevel=2,
    )
