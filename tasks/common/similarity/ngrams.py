"""Text as the comparison sees it, and the hashes of its word n-grams.

In: an Arrow array of texts, or of lists of texts (a list reads as its parts joined by one space, without joining them).
Out: blocks of 64-bit hashes of each text's word n-grams, and one hash of each whole text.

Texts compare after NFKC, without zero-width characters, with white space folded and in lower case; a letter of a script without blanks
between words counts as a word. Plain ASCII texts
(most of a log) are never rewritten for that: the hash gives both cases of a letter one value and skips white space.

The hash of a word is a polynomial over its bytes, taken as the difference of two prefix sums, so that a whole block of text
is hashed by a handful of numpy operations. Two different n-grams share a hash about once in 2^56 times: a Jaccard
similarity of the hashes is what this package calls exact.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import Rows, filled, replaced
from tasks.common.unseen import JOINERS, UNSEEN

Hashes = npt.NDArray[np.uint64]  # of n-grams, of words, or of whole texts
Places = Rows  # numbers of rows, or bounds of stretches

# Thai, Lao, Myanmar, Khmer, kana, Chinese characters
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
INVISIBLE = re.compile(f"[{UNSEEN}{JOINERS}]")
BLOCK = 1 << 18  # bytes hashed at a time: the working arrays then stay in the cache
MULTIPLIER = 0x5851F42D4C957F2D  # odd, and 5 modulo 8: its powers repeat only after 2^62 steps


def normalise(texts: pa.Array[Any]) -> pa.Array[Any]:
    """The texts as they compare: NFKC, without zero-width characters, white space folded, lower case, `spaced`; null stays null."""
    return pa.array([None if text is None else spaced(fold(text)) for text in texts.to_pylist()], pa.large_string())


def spaced(text: str) -> str:
    """The text with blanks around each letter of a script that writes none between words: there a letter counts as a word."""
    return " ".join(UNSPACED.sub(r" \g<0> ", text).split()) if UNSPACED.search(text) else text


def fold(text: str) -> str:
    """One text as it compares; folding twice is folding once."""
    if text.isascii():
        return " ".join(text.split()).lower()
    plain = text if unicodedata.is_normalized("NFKC", text) else unicodedata.normalize("NFKC", text)
    folded = " ".join(INVISIBLE.sub("", plain).split()).lower()
    # without a zero-width character, or in lower case, letters can meet that NFKC would compose
    return folded if unicodedata.is_normalized("NFKC", folded) else fold(folded)


@dataclass(frozen=True)
class Block:
    """The n-grams of some texts in a row: those of text i are `grams[bounds[i]:bounds[i + 1]]`, in reading order, with repeats."""

    start: int  # row of the first text
    grams: Hashes
    bounds: Places
    whole: Hashes  # one hash a text: equal where the normalised texts are equal

    @property
    def stop(self) -> int:
        """Row after the last text."""
        return self.start + len(self.whole)


def folded(texts: pa.Array[Any]) -> pa.Array[Any]:
    """What `blocks` reads: texts equal to the hash where `normalise` makes them equal; plain ASCII is left as it is, null is ""."""
    if _is_list(texts.type):
        lists = cast("pa.LargeListArray[Any]", texts)
        offsets = lists.offsets.cast(pa.int64())
        return pa.LargeListArray.from_arrays(cast("pa.Int64Array", pc.subtract(offsets, offsets[0])), folded(lists.flatten()))
    texts = filled(texts.cast(pa.large_string()), "")
    foreign = pc.invert(pc.string_is_ascii(texts))
    if not pc.any(foreign).as_py():
        return texts
    return replaced(texts, foreign, normalise(texts.filter(foreign)))


def blocks(texts: pa.Array[Any], words: int) -> Iterator[Block]:
    """The word n-grams of `folded` texts, block by block. A text of fewer words is one n-gram, an empty one none."""
    for start, data, edges, ends in _pieces(texts):
        yield _block(start, data, edges, ends, words)


def digests(texts: pa.Array[Any]) -> Hashes:
    """One 64-bit hash a text: equal where `normalise` makes the texts equal."""
    return measured(folded(texts))[0]


def measured(texts: pa.Array[Any]) -> tuple[Hashes, Places]:
    """The `digests` of `folded` texts, and how many words each has."""
    hashes, words = np.empty(len(texts), np.uint64), np.empty(len(texts), np.int64)
    for start, data, edges, ends in _pieces(texts):
        _, first, whole = _wholes(data, edges, ends)
        hashes[start : start + len(whole)], words[start : start + len(whole)] = whole, np.diff(first)
    return hashes, words


def _pieces(texts: pa.Array[Any]) -> Iterator[tuple[int, npt.NDArray[np.uint8], Places, Places]]:
    """The `folded` texts in pieces of about BLOCK bytes: row of the first, bytes, edges of their parts, and where each text starts."""
    parts, rows = texts, np.arange(len(texts) + 1)
    if _is_list(texts.type):
        lists = cast("pa.LargeListArray[Any]", texts)
        parts, rows = lists.flatten(), lists.offsets.to_numpy()
    _, offsets, data = parts.buffers()
    edges = (
        np.frombuffer(cast("memoryview", offsets), np.int64)[parts.offset : parts.offset + len(parts) + 1]
        if len(parts)
        else np.zeros(1, np.int64)
    )
    letters = np.frombuffer(cast("memoryview", data), np.uint8) if data is not None else np.empty(0, np.uint8)
    rows = rows - rows[0]
    ends = edges[rows]  # where each text starts among the bytes
    start = 0
    while start < len(texts):
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + BLOCK, side="right")) - 1)
        inner = edges[rows[start] : rows[stop] + 1] - ends[start]
        yield start, letters[ends[start] : ends[stop]], inner, ends[start : stop + 1] - ends[start]
        start = stop


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


@functools.lru_cache(maxsize=2)
def _powers(count: int) -> tuple[Hashes, Hashes]:
    """1, m, m^2, ... modulo 2^64 for the multiplier m, and the same for its inverse."""
    up, down = np.ones(count, np.uint64), np.ones(count, np.uint64)
    up[1:], down[1:] = MULTIPLIER, pow(MULTIPLIER, -1, 1 << 64)
    return np.multiply.accumulate(up), np.multiply.accumulate(down)


def _block(start: int, data: npt.NDArray[np.uint8], edges: Places, ends: Places, words: int) -> Block:
    """Hash the texts `data[ends[i]:ends[i + 1]]`; no word reaches over an edge."""
    hashes, first, whole = _wholes(data, edges, ends)
    lengths = np.diff(first)
    counts = np.where(lengths < words, np.minimum(lengths, 1), lengths - words + 1)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    grams = _grams(hashes, words)[np.repeat(first[:-1] - bounds[:-1], counts) + np.arange(bounds[-1])]
    short = np.flatnonzero((lengths > 0) & (lengths < words))
    grams[bounds[short]] = whole[short]
    return Block(start, grams, bounds, whole)


def _wholes(data: npt.NDArray[np.uint8], edges: Places, ends: Places) -> tuple[Hashes, Places, Hashes]:
    """The hash of each word, the first word of each text, and the hash of each whole text."""
    heads, tails = _words(data, edges)
    hashes = _spans(_lower(data).astype(np.uint64), heads, tails)
    first = np.searchsorted(heads, ends)
    return hashes, first, _spans(hashes, first[:-1], first[1:]) ^ mixed(np.diff(first).astype(np.uint64))


def _words(data: npt.NDArray[np.uint8], edges: Places) -> tuple[Places, Places]:
    """Where words start and end."""
    inside = (data - np.uint8(9) > 4) & (data - np.uint8(28) > 4)  # bytes wrap: all but 9-13 and 28-32, white space to `str.split`
    change = np.zeros(len(data) + 1, np.bool_)
    change[1:-1] = inside[1:] != inside[:-1]
    change[edges] = True
    return np.flatnonzero(change[:-1] & inside), np.flatnonzero(change[1:] & inside) + 1


def _lower(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The bytes with ASCII letters in lower case, and 1 more: no byte counts as nothing."""
    return (data | ((data - np.uint8(ord("A")) < 26).view(np.uint8) << np.uint8(5))) + np.uint8(1)


def _spans(values: Hashes, heads: Places, tails: Places) -> Hashes:
    """A hash of values[head:tail] for each span, which depends on their order but not on where the span lies."""
    up, down = _powers(1 << max(BLOCK, len(values)).bit_length())
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * up[: len(values)], out=sums[1:])
    return mixed((sums[tails] - sums[heads]) * down[heads])


def _grams(hashes: Hashes, words: int) -> Hashes:
    """A hash of the n words from each word on, whatever text they belong to."""
    factors = _powers(2 * BLOCK)[0][1 : words + 1]
    padded = np.concatenate([hashes, np.zeros(words, np.uint64)])
    sums = np.zeros(len(hashes), np.uint64)
    for place, factor in enumerate(factors):
        sums += padded[place : place + len(hashes)] * factor
    return mixed(sums)


def mixed(values: Hashes) -> Hashes:
    """A bijection that spreads every bit over all (the finaliser of MurmurHash3)."""
    values = values ^ (values >> np.uint64(33))
    values *= np.uint64(0xFF51AFD7ED558CCD)
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xC4CEB9FE1A85EC53)
    values ^= values >> np.uint64(33)
    return values


def distinct(values: Hashes) -> Hashes:
    """The distinct values, sorted; they are sorted in place (three times as fast as `np.unique` on 64-bit hashes)."""
    values.sort()
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values
