"""Near copies: exact and near-equal texts, found through MinHash-LSH and settled by their exact Jaccard similarity.

In: keys and texts. Out: pairs of keys with their similarity, and the components that such pairs form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.similarity.minhash import Near, candidates, signatures
from tasks.common.similarity.ngrams import Hashes, Places, blocks, distinct, folded, mixed

CHUNK = 256  # sets or pairs that are sorted together: their number goes into 8 of the 64 bits of a sorting key


def near_pairs(keys: pa.Array[Any], texts: pa.Array[Any], near: Near) -> pa.Table:
    """Pairs of near copies: `left` < `right` (keys, unique), `similarity`; sorted, whatever the order of the rows.

    The similarity is the Jaccard index of the two sets of word n-grams (a text of fewer words is one n-gram), and at least the
    threshold. Texts are taken as `normalise` leaves them; a list of texts stands for its parts joined by one space.
    Equal texts come as a star: each with the smallest key among them, similarity 1; only that one is compared with others.
    """
    order = pc.sort_indices(keys)
    ordered = pc.not_equal(order, pa.array(np.arange(len(keys)), order.type))
    if pc.any(ordered).as_py():
        keys, texts = keys.take(order), texts.take(order)
    found = near_rows(folded(texts), near)
    left, right = (keys.take(pa.array(side, pa.int64())) for side in (found.left, found.right))
    return pa.table({"left": left, "right": right, "similarity": pa.array(found.similarity)})


@dataclass(frozen=True)
class Pairs:
    """Near copies by their rows, sorted: left[i] < right[i]."""

    left: Places
    right: Places
    similarity: npt.NDArray[np.float64]
    whole: Hashes  # one hash a text, equal where the texts are


def near_rows(texts: pa.Array[Any], near: Near, settings: Hashes | None = None) -> Pairs:
    """`near_pairs` of `folded` texts, by row; texts are equal only where their `settings` are, too."""
    signed = signatures(texts, near)
    whole = signed[:, 0] ^ mixed(settings) if settings is not None else signed[:, 0].copy()
    _, rows, group = np.unique(whole, return_index=True, return_inverse=True)
    first = rows[group]  # the first row with the same text
    copies = np.flatnonzero(first != np.arange(len(first)))
    rows.sort()
    left, right = candidates(signed[rows, 1:], near.largest_bucket)
    left, right = rows[left], rows[right]
    similarity = jaccard(texts, left, right, near.shingle_words)
    close = similarity >= near.threshold
    left, right = np.concatenate([left[close], first[copies]]), np.concatenate([right[close], copies])
    similarity = np.concatenate([similarity[close], np.ones(len(copies))])
    order = np.lexsort((right, left))
    return Pairs(left[order], right[order], similarity[order], whole)


def jaccard(texts: pa.Array[Any], left: Places, right: Places, words: int) -> npt.NDArray[np.float64]:
    """Exact Jaccard similarity of the word n-grams of the `folded` texts in rows left[i] and right[i]."""
    rows = np.unique(np.concatenate([left, right]))
    members, bounds = _sets(texts.take(pa.array(rows)), words)
    left, right = np.searchsorted(rows, left), np.searchsorted(rows, right)
    chunks = [slice(at, at + CHUNK) for at in range(0, len(left), CHUNK)]
    shared = np.concatenate([np.empty(0, np.int64), *(_shared(members, bounds, left[chunk], right[chunk]) for chunk in chunks)])
    sizes = np.diff(bounds)
    together = sizes[left] + sizes[right] - shared
    similarity = np.ones(len(left))  # of two empty texts
    np.divide(shared, together, out=similarity, where=together > 0)
    return similarity


def _sets(texts: pa.Array[Any], words: int) -> tuple[Hashes, Places]:
    """Each text's set of n-grams (56 bits of their hashes), one after the other, and their bounds."""
    members, sizes = [], []
    for block in blocks(texts, words):
        for at in range(0, len(block.whole), CHUNK):
            bounds = block.bounds[at : at + CHUNK + 1]
            keys = distinct(_tagged(block.grams[bounds[0] : bounds[-1]], np.diff(bounds)))
            sizes.append(np.bincount((keys >> np.uint64(56)).astype(np.int64), minlength=len(bounds) - 1))
            members.append(keys & np.uint64((1 << 56) - 1))
    return np.concatenate([np.empty(0, np.uint64), *members]), np.cumsum(np.concatenate([[0], *sizes])).astype(np.int64)


def _tagged(hashes: Hashes, sizes: Places) -> Hashes:
    """Hashes of up to 256 groups in a row, with the group's number in the top bits."""
    tags: Hashes = np.repeat(np.arange(len(sizes), dtype=np.uint64) << np.uint64(56), sizes)
    tags |= hashes >> np.uint64(8)
    return tags


def _shared(members: Hashes, bounds: Places, left: Places, right: Places) -> Places:
    """Number of members that the sets left[i] and right[i] share, for up to 256 pairs."""
    keys = np.concatenate([_gathered(members, bounds, left), _gathered(members, bounds, right)])
    keys.sort()
    twice = keys[1:][keys[1:] == keys[:-1]]
    return np.bincount((twice >> np.uint64(56)).astype(np.int64), minlength=len(left))


def _gathered(members: Hashes, bounds: Places, chosen: Places) -> Hashes:
    """The members of the chosen sets, each with its place among the chosen in the top bits."""
    sizes = bounds[chosen + 1] - bounds[chosen]
    ends = np.cumsum(sizes)
    places = np.repeat(bounds[chosen] - (ends - sizes), sizes) + np.arange(ends[-1] if len(ends) else 0)
    tags: Hashes = np.repeat(np.arange(len(chosen), dtype=np.uint64) << np.uint64(56), sizes)
    tags |= members[places]
    return tags


def components(n: int, left: Places, right: Places) -> Places:
    """Connected components of n rows under the edges left[i] - right[i]: each row's label is the smallest row of its component.

    Iterated joins: every round hooks each component to its smallest neighbour and shortens the paths, so the number of rounds grows
    with the logarithm of the longest chain.
    """
    label = np.arange(n)
    while True:
        least = np.minimum(label[left], label[right])
        hooked = label.copy()
        np.minimum.at(hooked, label[left], least)
        np.minimum.at(hooked, label[right], least)
        while not np.array_equal(hooked, hooked[hooked]):
            hooked = hooked[hooked]
        if np.array_equal(hooked, label):
            return label
        label = hooked
