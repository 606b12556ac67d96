"""The most similar held-out and training prompts, found by search over all such pairs.

In: the released rows and their user turns. Out: the pair with the highest similarity, and the parameters of the search.

Pairs that share a band of their MinHash signatures are compared by the exact Jaccard similarity of their word n-grams. With few rows per
band the search finds pairs far less similar than those that `split` links; its recall is stated.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import Mask, Rows, flat
from tasks.common.similarity import Near
from tasks.common.similarity.minhash import signatures
from tasks.common.similarity.near_copies import jaccard
from tasks.common.similarity.ngrams import Hashes, distinct, folded
from tasks.common.vocabulary.splits import TRAIN

METHOD = "MinHash-LSH over word n-grams of what users say; couples that share a band are compared by exact Jaccard similarity"


def nearest_pair(rows: pa.Table, user_turns: pa.LargeListArray[Any], search: Near, near: float) -> dict[str, object]:
    """`highest_similarity` and `search` of the certificate; warns of a pair as similar as those that the split links."""
    texts = folded(user_turns)
    signed = signatures(texts, search)
    train = pc.equal(flat(rows["split"]), pa.scalar(TRAIN)).to_numpy(zero_copy_only=False)
    left, right, cut = candidate_pairs(signed, train, search.largest_bucket)
    similarity = jaccard(texts, left, right, search.shingle_words)
    recall = {f"{level:.2f}": round(recall_at(level, search), 4) for level in sorted({search.threshold, near})}
    section = {"method": METHOD, **search.model_dump(), "recall_at": recall, "compared": len(left), "cut": cut}
    section["at_least_threshold"] = int((similarity >= search.threshold).sum())
    if not len(similarity):
        return {"highest_similarity": None, "search": section}
    best = int(np.argmax(similarity))
    held, trained, highest = _row_reference(rows, left[best]), _row_reference(rows, right[best]), round(float(similarity[best]), 4)
    if similarity[best] >= near:
        warnings.warn(f"similar prompts in two splits ({highest}): {held['id']} in {held['table']}, {trained['id']}", stacklevel=2)
    return {"highest_similarity": {"similarity": highest, "held_out": held, "train": trained}, "search": section}


def candidate_pairs(signed: Hashes, train: Mask, largest: int) -> tuple[Rows, Rows, int]:
    """Pairs of a held-out row and a training row that share a band, each once; and how many bands were cut off.

    Equal texts of one side count once. A held-out row is compared with at most `largest` training rows of a band.
    """
    _, first = np.unique(np.stack([signed[:, 0], train.astype(np.uint64)]), axis=1, return_index=True)
    spoken = np.sort(first[signed[first, 1:].any(axis=1)])  # a text without words has no bands
    held, trained = spoken[~train[spoken]], spoken[train[spoken]]
    keys, cut = np.empty(0, np.uint64), 0
    for band in signed.T[1:]:
        order = trained[np.argsort(band[trained], kind="stable")]
        low, high = (np.searchsorted(band[order], band[held], side=side) for side in ("left", "right"))
        sizes = np.minimum(high - low, largest)
        cut += int((high - low > largest).sum())
        ends = np.cumsum(sizes)
        others = order[np.repeat(low - (ends - sizes), sizes) + np.arange(ends[-1] if len(ends) else 0)]
        keys = distinct(np.concatenate([keys, np.repeat(held, sizes).astype(np.uint64) << np.uint64(32) | others.astype(np.uint64)]))
    return (keys >> np.uint64(32)).astype(np.int64), (keys & np.uint64(0xFFFFFFFF)).astype(np.int64), cut


def _row_reference(rows: pa.Table, at: int) -> dict[str, str]:
    """Table, split and id of a row."""
    return {name: rows[name][int(at)].as_py() for name in ("table", "split", "id")}


def recall_at(similarity: float, search: Near) -> float:
    """Probability that a pair with this similarity shares a band."""
    return float(1 - (1 - similarity**search.rows) ** search.bands)
