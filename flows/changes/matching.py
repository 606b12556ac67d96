"""Which pair of one version is which of another.

A pair is known by its id; where the id differs, since another recipe made it or since it turned round, by its prompt and its two answers.
Each pair of one version is matched with at most one of the other, so what is not matched is gone or added, and the counts add up.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import Mask, Rows, flat

STEP = 0.01  # change of a confidence, or of a weight, from which on a pair counts as weighed anew


@dataclass(frozen=True)
class Sides:
    """What the pairs of several tables are known by, as numbers that are equal where the pairs are, one array a table."""

    ids: list[Rows]
    directed: list[Rows]  # prompt, chosen, rejected
    unordered: list[Rows]  # prompt and both answers
    chosen: list[Rows]  # prompt and chosen answer


@dataclass(frozen=True)
class Matched:
    """Rows of the tables before and after: matched ones side by side, and those without a counterpart."""

    before: Rows
    after: Rows
    gone: Rows
    added: Rows
    flipped: Mask  # of the matched: chosen and rejected changed places
    moved: Mask  # lie in another split
    reweighed: Mask  # have another confidence or weight, and the same direction


def sides(*tables: pa.Table) -> Sides:
    """What the pairs of these tables are known by."""
    bounds = np.cumsum([0, *(len(table) for table in tables)])
    ids, prompts = (_codes([table[name] for table in tables]) for name in ("pair_id", "prompt_id"))
    answers = _codes([_texts(table[name]) for name in ("chosen", "rejected") for table in tables])
    chosen, rejected = answers[: bounds[-1]], answers[bounds[-1] :]
    low, high = np.minimum(chosen, rejected), np.maximum(chosen, rejected)
    keys = (ids, _joined(prompts, chosen, rejected), _joined(prompts, low, high), _joined(prompts, chosen))
    return Sides(*([key[start:end] for start, end in itertools.pairwise(bounds)] for key in keys))


def match(before: pa.Table, after: pa.Table, step: float = STEP) -> Matched:
    """Match the pairs of two versions: by id, then by direction, then by prompt and answers alone."""
    known = sides(before, after)
    left, right = np.arange(len(before)), np.arange(len(after))
    ours, theirs = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for first, second in (known.ids, known.directed, known.unordered):
        here, there = _common(first[left], second[right])
        ours.append(left[here])
        theirs.append(right[there])
        left, right = np.delete(left, here), np.delete(right, there)
    a, b = np.concatenate(ours), np.concatenate(theirs)
    order = np.argsort(b)
    return _judged(before, after, known, a[order], b[order], left, right, step)


def _judged(before: pa.Table, after: pa.Table, known: Sides, a: Rows, b: Rows, gone: Rows, added: Rows, step: float) -> Matched:
    flipped = known.chosen[0][a] != known.chosen[1][b]
    moved = ~_equal(before["split"], after["split"], a, b)
    differs = np.zeros(len(a), bool)
    for name in ("confidence", "weight"):
        first, second = (table[name].to_numpy()[rows] for table, rows in ((before, a), (after, b)))
        differs |= np.abs(np.nan_to_num(first) - np.nan_to_num(second)) > step
    return Matched(a, b, gone, added, flipped, moved, differs & ~flipped)


def _equal(first: pa.ChunkedArray[Any], second: pa.ChunkedArray[Any], a: Rows, b: Rows) -> Mask:
    codes = _codes([first, second])
    equal: Mask = codes[: len(first)][a] == codes[len(first) :][b]
    return equal


def _common(first: Rows, second: Rows) -> tuple[Rows, Rows]:
    """Places of equal values, each used once: of three equal ones here and two there, two are matched."""
    every = _joined(np.concatenate([first, second]), np.concatenate([_ordinals(first), _ordinals(second)]))
    _, here, there = np.intersect1d(every[: len(first)], every[len(first) :], assume_unique=True, return_indices=True)
    return here, there


def _ordinals(values: Rows) -> Rows:
    """How many equal values stand before each."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    new = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    found = np.empty(len(values), np.int64)
    found[order] = np.arange(len(values)) - np.repeat(new, np.diff(new, append=len(values)))
    return found


def _codes(columns: list[pa.ChunkedArray[Any]]) -> Rows:
    """The texts of all columns one after the other as numbers, equal where the texts are."""
    whole = pa.concat_arrays([flat(column).cast(pa.large_string()) for column in columns])
    coded = whole.dictionary_encode(null_encoding="encode")
    return np.asarray(coded.indices.to_numpy(zero_copy_only=False), np.int64)


def _joined(*keys: Rows) -> Rows:
    """Several numbers as one, equal where all are."""
    found = keys[0]
    for key in keys[1:]:
        found = np.unique(found * (int(key.max(initial=0)) + 1) + key, return_inverse=True)[1]
    return found


def _texts(messages: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    """The text of each list of messages."""
    lists = cast("pa.LargeListArray[Any]", flat(messages))
    parts = pa.LargeListArray.from_arrays(lists.offsets, pc.struct_field(lists.values, "content"))
    joined = pc.binary_join(parts, pa.scalar("\x1e", pa.large_string()))
    return pa.chunked_array([cast("pa.Array[Any]", joined)])
