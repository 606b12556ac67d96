"""Which held-out pairs are one piece of evidence: those with near-equal prompts, or of one conversation, directly or over others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.data.release_reader import Pair


def connected(pairs: Sequence[Pair]) -> np.ndarray:
    """The number of each pair's group, from 0 in the order in which groups first appear."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    known: dict[tuple[str, str], int] = {}
    links = [
        (place, len(pairs) + known.setdefault(key, len(known)))
        for place, pair in enumerate(pairs)
        for key in [("cluster", pair.cluster_id), *(("conversation", name) for name in pair.conversations)]
    ]
    if not links:
        return np.zeros(0, dtype=np.int64)
    ones, size = np.ones(len(links)), len(pairs) + len(known)
    _, found = connected_components(coo_matrix((ones, tuple(zip(*links, strict=True))), shape=(size, size)), directed=False)
    _, firsts, inverse = np.unique(found[: len(pairs)], return_index=True, return_inverse=True)
    numbers: np.ndarray = np.argsort(np.argsort(firsts))[inverse]
    return numbers
