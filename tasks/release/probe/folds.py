"""Groups of linked pairs, and folds of whole groups, so that no model is tested on what it was trained on.

In: the table of pairs. Out: a group for each pair, and folds that no group crosses.

A group is a connected component: pairs that share a cluster of near-duplicate prompts or a conversation, directly or through others.
Assignments follow from hashes of names, not from the order of the rows.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import strings
from tasks.core.ids import stable_id

Places = np.ndarray[Any, np.dtype[np.int64]]


def written(pairs: pa.Table) -> pa.Table:
    """The original pairs in the order of their ids: variants and repeats are no evidence of their own."""
    return pairs.filter(pc.is_null(pairs["augmented_from"])).sort_by("pair_id")


def sample(pairs: pa.Table, most: int, seed: int) -> pa.Table:
    """At most `most` pairs, drawn by hashes of their ids; in the order of their ids."""
    if len(pairs) <= most:
        return pairs
    return pairs.take(np.sort(_shuffled(strings(pairs["pair_id"]), seed)[:most]))


def groups(pairs: pa.Table) -> tuple[Places, list[str]]:
    """For each pair the number of its group, and a name for each group: the smallest id in it."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    conversations = pairs["conversations"]
    names: list[pa.Array[Any]] = [*_cast(pc.coalesce(pairs["cluster_id"], pairs["prompt_id"])), *_cast(pc.list_flatten(conversations))]
    keys: pa.ChunkedArray[Any] = pa.chunked_array(names)
    owners = np.concatenate([np.arange(len(pairs)), pc.list_parent_indices(conversations).to_numpy()])
    # a cluster and a conversation with the same name are different keys
    kinds = np.concatenate([np.zeros(len(pairs), np.int64), np.ones(len(owners) - len(pairs), np.int64)])
    encoded = cast("pa.DictionaryArray[Any, Any]", pc.dictionary_encode(keys).combine_chunks())
    codes = 2 * encoded.indices.to_numpy().astype(np.int64) + kinds
    size = len(pairs) + (int(codes.max()) + 1 if len(codes) else 0)
    edges = coo_matrix((np.ones(len(owners), np.int8), (owners, len(pairs) + codes)), shape=(size, size))
    _, labels = connected_components(edges, directed=False)
    _, first, numbers = np.unique(labels[: len(pairs)], return_index=True, return_inverse=True)
    ids = pairs["pair_id"].to_pylist()  # sorted, so the first of a group is the smallest
    return numbers.astype(np.int64), [ids[place] for place in first]


def folds(numbers: Places, names: list[str], count: int, seed: int) -> Places:
    """For each pair its fold. Groups are assigned in a random order, large ones first, each to the fold with the fewest pairs."""
    sizes = np.bincount(numbers, minlength=len(names))
    drawn = _shuffled(names, seed)
    dealt, filled = np.zeros(len(names), np.int64), np.zeros(count, np.int64)
    for group in drawn[np.argsort(-sizes[drawn], kind="stable")]:
        dealt[group] = int(np.argmin(filled))
        filled[dealt[group]] += sizes[group]
    fold: Places = dealt[numbers]
    return fold


def part(numbers: Places, names: list[str], places: Places, share: float, seed: int) -> Places:
    """About this share of the rows at `places`, by whole groups in a random order: a smaller share is contained in a larger one."""
    order = np.argsort(_shuffled(names, seed))[numbers[places]]  # rank of each row's group in the random order
    ranked = np.sort(order)
    last = ranked[max(0, round(share * len(places)) - 1)]
    chosen: Places = places[order <= last]
    return chosen


def _shuffled(names: list[str], seed: int) -> Places:
    """Permutation of the names that depends on each name and the seed only."""
    return np.argsort(np.array([stable_id(str(seed), name) for name in names]), kind="stable")


def _cast(column: pa.Array[Any] | pa.ChunkedArray[Any]) -> list[pa.Array[Any]]:
    return [chunk.cast(pa.large_string()) for chunk in (column.chunks if isinstance(column, pa.ChunkedArray) else [column])]
