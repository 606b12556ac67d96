"""MinHash-LSH in the engine: which texts are worth comparing.

In: an array of texts. Out: `signatures`, one row a text, holding the hash of the whole text and one of each band;
`buckets`, the rows that share a band; `candidates`, the pairs of rows to compare.
"""

from __future__ import annotations

from typing import Any

from tasks.core import engine  # noqa: F401  (first: it switches the engine's usage reports off)

import daft  # isort: skip
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common.similarity.ngrams import Hashes, Places, blocks, distinct, mixed
from tasks.core.params import StageParams

BATCH = 16_384  # texts that a worker takes at a time


class Near(StageParams):
    """What counts as a near copy, and how hard to look for them."""

    shingle_words: int = Field(ge=1, le=64)  # words of an n-gram
    threshold: float = Field(gt=0, le=1)  # Jaccard similarity of two sets of n-grams, from which on they are copies
    bands: int = Field(ge=1, le=1024)  # more bands find more pairs: recall at similarity s is 1 - (1 - s^rows)^bands
    rows: int = Field(ge=1, le=64)  # more rows a band mean fewer vain comparisons
    largest_bucket: int = Field(ge=2)  # texts sharing a band that are compared each with each; beyond, with the first and the next
    seed: int = Field(ge=0)


def signatures(texts: pa.Array[Any], near: Near) -> Hashes:
    """One row a `folded` text: the hash of the whole text, then one hash a band."""
    width = 1 + near.bands
    frame = daft.from_arrow(pa.table({"text": texts}))

    @daft.func.batch(return_dtype=daft.DataType.list(daft.DataType.uint64()), batch_size=BATCH, use_process=False)
    def sign(column: daft.Series) -> pa.Array[Any]:
        signed = _sign(column.to_arrow(), near)
        offsets, values = pa.array(np.arange(0, signed.size + 1, width), pa.int64()), pa.array(signed.ravel(), pa.uint64())
        return pa.LargeListArray.from_arrays(offsets, values)

    column = frame.select(sign(daft.col("text")).alias("signature")).to_arrow()["signature"].combine_chunks()
    signed: Hashes = pc.list_flatten(column).to_numpy().reshape(len(texts), width)
    return signed


def _sign(texts: pa.Array[Any], near: Near) -> Hashes:
    factors = _factors(near)
    signed = np.zeros((len(texts), 1 + near.bands), np.uint64)
    for block in blocks(texts, near.shingle_words):
        rows = signed[block.start : block.stop]
        rows[:, 0] = block.whole
        filled = np.flatnonzero(np.diff(block.bounds))
        if len(filled):
            least = _minima((block.grams >> np.uint64(32)).astype(np.uint32), block.bounds[filled], factors)
            rows[filled, 1:] = _bands(least, near)
    return signed


def _factors(near: Near) -> npt.NDArray[np.uint32]:
    """Odd multipliers, one a hash function: the hashes of the n-grams are random already, so h -> h * factor permutes them."""
    return np.random.Generator(np.random.PCG64(near.seed)).integers(0, 1 << 32, near.bands * near.rows, np.uint32) | np.uint32(1)


def _minima(hashes: npt.NDArray[np.uint32], heads: Places, factors: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The least hash of each text under each hash function: one row a function, one column a text."""
    least = np.empty((len(factors), len(heads)), np.uint32)
    turned = np.empty_like(hashes)
    for row, factor in enumerate(factors):
        np.multiply(hashes, factor, out=turned)
        np.minimum.reduceat(turned, heads, out=least[row])
    return least


def _bands(least: npt.NDArray[np.uint32], near: Near) -> Hashes:
    """One hash a band and text, different for different bands."""
    grouped = least.reshape(near.bands, near.rows, -1)
    bands = np.broadcast_to(np.arange(near.bands, dtype=np.uint64)[:, None], (near.bands, least.shape[1]))
    for row in range(near.rows):
        bands = mixed(bands ^ (grouped[:, row].astype(np.uint64) + np.uint64(row << 32)))
    return bands.T


def buckets(bands: Hashes) -> tuple[Places, Places]:
    """Rows that share a band with another one: (bucket, row), sorted; bucket numbers mean nothing.

    One sort a band: a group-by of the engine over all bands at once takes four times as long, and more than a gigabyte for 420,000 rows.
    """
    found, rows, last = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for band in bands.T:
        order = np.argsort(band, kind="stable")
        same = np.concatenate([[False], band[order[1:]] == band[order[:-1]], [False]]) if len(order) else np.zeros(1, np.bool_)
        shared = same[:-1] | same[1:]
        bucket = np.cumsum(~same[:-1])[shared] + last
        found.append(bucket)
        rows.append(order[shared])
        last = int(bucket[-1]) if len(bucket) else last
    return np.concatenate(found), np.concatenate(rows)


def candidates(bands: Hashes, largest: int) -> tuple[Places, Places]:
    """Pairs of rows that share a band, each once, left < right: all pairs of a bucket up to the largest size, else a star and a chain."""
    bucket, row = buckets(bands)
    heads = np.flatnonzero(np.concatenate([[True], bucket[1:] != bucket[:-1]])) if len(row) else np.empty(0, np.int64)
    sizes = np.diff(np.append(heads, len(row)))
    first, behind = np.repeat(heads, sizes), np.repeat(heads + sizes, sizes)
    wide = np.repeat(sizes > largest, sizes)
    place = np.arange(len(row))
    pairs = [_keys(row[first[wide]], row[wide])]
    for step in range(1, int(min(largest, sizes.max(initial=1)))):
        near = place + step < behind if step == 1 else (place + step < behind) & ~wide
        pairs.append(_keys(row[place[near]], row[place[near] + step]))
    keys = distinct(np.concatenate(pairs))
    left, right = (keys >> np.uint64(32)).astype(np.int64), (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return left[left < right], right[left < right]


def _keys(left: Places, right: Places) -> Hashes:
    return distinct(left.astype(np.uint64) << np.uint64(32) | right.astype(np.uint64))
