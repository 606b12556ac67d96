"""The order in which a method sees its rows: decided here, once, so that no library's sampler has a say.

Each epoch shows every row once; a row of weight 2 in a set whose mean weight is 1 is shown twice. (DPO's loss takes no
row weight; how often a row is seen has the same effect on the expected gradient.)
Rows of like length share a batch, which spares padding; the batches of one pool are shuffled again. A pool is never larger than an
epoch: copies of a row have one length, so they would fill a batch by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

POOL = 16  # batches sorted by length together, at most


def plan(lengths: Sequence[int], weights: Sequence[float], batch: int, steps: int, seed: int) -> list[list[int]]:
    """Row numbers of `steps` batches of `batch` rows each."""
    generator = np.random.default_rng(seed)
    size = np.asarray(lengths)
    batches: list[list[int]] = []
    stream = np.empty(0, dtype=np.int64)
    together = max(1, min(POOL, len(size) // batch))
    while len(batches) < steps:
        while len(stream) < batch * together:
            stream = np.concatenate([stream, epoch(weights, generator)])
        pool, stream = stream[: batch * together], stream[batch * together :]
        pool = pool[np.argsort(size[pool], kind="stable")].reshape(together, batch)
        batches += generator.permutation(pool, axis=0).tolist()
    return batches[:steps]


def epoch(weights: Sequence[float], generator: np.random.Generator) -> np.ndarray:
    """Row numbers of one epoch in random order, each as often as its weight says (systematic sampling: off by less than one)."""
    order = generator.permutation(len(weights))
    shares = np.asarray(weights, dtype=np.float64)[order]
    marks = np.round(np.cumsum(shares * (len(shares) / shares.sum())), 9) + generator.random()  # rounded: a sum of ones stays whole
    copies = np.diff(np.floor(marks), prepend=0.0).astype(np.int64)
    return generator.permutation(np.repeat(order, copies))


def steps(rows: int, batch: int, epochs: float, most: int) -> int:
    """Optimizer steps of so many epochs, at least one and at most `most`."""
    return max(1, min(most, -(-int(rows * epochs) // batch)))
