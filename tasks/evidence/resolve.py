"""Which proposals become pairs: no equal texts, no pair with its reverse, no pair twice, no more a prompt than the cap.

In: one row a proposal (RESOLVED without the last column), with keys that are equal where texts are. Out: the same rows with the reason:

    tie, below_margin   from the recipe
    equal_text          chosen and rejected differ in case and spacing at most
    contradicted        a stronger recipe prefers the other answer
    repeated            a stronger recipe gives the same pair
    over_cap            the prompt has enough stronger pairs

Works on ids and numbers alone, as whole arrays.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.tables import TEXT
from tasks.evidence.lists import Column, absent, flat
from tasks.evidence.recipes import RECIPES


def resolve(proposals: pa.Table, cap: int) -> pa.Table:
    """The proposals with `dropped` complete. Columns: those of PROPOSAL, and pair_id, text_key, chosen_key, rejected_key, augmented."""
    rank = pc.index_in(proposals["recipe"], pa.array(list(RECIPES), TEXT)).to_numpy()
    confidence, margin, augmented = -number(proposals, "confidence"), -number(proposals, "margin"), number(proposals, "augmented")
    pair, prompt, text = (codes(proposals[name]) for name in ("pair_id", "prompt_id", "text_key"))
    chosen, rejected = np.split(codes(pa.chunked_array([*proposals["chosen_key"].chunks, *proposals["rejected_key"].chunks], TEXT)), 2)
    low, high = np.minimum(chosen, rejected), np.maximum(chosen, rejected)
    dropped = np.array([*proposals["dropped"].to_pylist(), None], object)[:-1]
    drop(dropped, chosen == rejected, "equal_text")

    order = live(dropped, (pair, confidence, rank, augmented, high, low, text))
    leader = first_of(order, text, low, high)
    drop(dropped, order[chosen[order] != chosen[leader]], "contradicted")

    order = live(dropped, (pair, confidence, rank, rejected, chosen, prompt))
    leader = first_of(order, prompt, chosen, rejected)
    drop(dropped, order[order != leader], "repeated")

    order = live(dropped, (pair, margin, confidence, rank, prompt))
    place = np.arange(len(order)) - starts(order, prompt)
    drop(dropped, order[place >= cap], "over_cap")
    return proposals.set_column(proposals.schema.get_field_index("dropped"), "dropped", pa.array(dropped.tolist(), TEXT))


def live(dropped: Column, keys: tuple[Column, ...]) -> Column:
    """Rows that are not dropped, in the order of the keys, the last key first."""
    rows = np.flatnonzero(absent(dropped))
    return rows[np.lexsort([key[rows] for key in keys])]


def starts(order: Column, *group: Column) -> Column:
    """For each place in the order, the place where its group starts; groups stand together."""
    change = np.ones(len(order), bool)
    if len(order):
        change[1:] = np.any([key[order][1:] != key[order][:-1] for key in group], axis=0)
    return np.maximum.accumulate(np.where(change, np.arange(len(order)), 0))


def first_of(order: Column, *group: Column) -> Column:
    """For each place in the order, the row that leads its group."""
    return order[starts(order, *group)]


def drop(dropped: Column, rows: Column, reason: str) -> None:
    """Give the reason to rows (numbers, or a mask) that have none."""
    chosen = np.flatnonzero(rows) if rows.dtype == bool else rows
    dropped[chosen[absent(dropped[chosen])]] = reason


def codes(column: pa.ChunkedArray) -> Column:
    """Numbers that order as the texts do."""
    encoded = flat(column).dictionary_encode()
    rank = np.empty(len(encoded.dictionary), np.int64)
    rank[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(rank))
    return np.asarray(rank[encoded.indices.to_numpy(zero_copy_only=False)])


def number(table: pa.Table, name: str) -> Column:
    """The column as floats; null as 0."""
    return np.asarray(pc.fill_null(table[name].cast(pa.float64()), 0.0).to_numpy())
