"""A second search for prompts of two sides that are alike: by letters, and by none of the code that the split goes by.

In: the released rows and what users say in them. Out: the section `characters` of the certificate.

Texts are compared without signs, accents, case and the split's fillers ("please"), as sets of n-grams of characters, so that a typing
error, another ending, or a word more does not hide a copy. Couples that share a band of their MinHash signatures are compared; of these the
likeliest `SETTLED` by the exact Jaccard similarity of their n-grams.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common.arrays import Mask, Rows, flat
from tasks.common.similarity.ngrams import Hashes
from tasks.core.params import StageParams
from tasks.release import nearest_prompts

METHOD = "MinHash-LSH over n-grams of characters of what users say, without signs, accents, case and fillers"
BLOCK = 1 << 19  # characters hashed at a time
SETTLED = 20_000  # couples compared exactly, the likeliest first
PRIME = np.uint64(0x9E3779B97F4A7C15)
END = "\x03"


class Search(StageParams):
    """How couples are sought by characters."""

    gram: int = Field(ge=2, le=32)  # characters of an n-gram
    threshold: float = Field(gt=0, le=1)  # couples from here on are counted
    bands: int = Field(ge=1, le=1024)
    rows: int = Field(ge=1, le=64)
    largest_bucket: int = Field(ge=2)  # training prompts of one band that a held-out prompt is compared with
    most_characters: int = Field(ge=1)  # of a prompt, from its beginning, that are compared
    seed: int = Field(ge=0)


def sought(rows: pa.Table, said: pa.LargeListArray, fillers: Sequence[str], search: Search) -> dict[str, Any]:
    """What was found, how it was sought, and what such a search cannot see."""
    texts = [bare(" ".join(turns), fillers)[: search.most_characters] for turns in said.to_pylist()]
    train = np.asarray(pc.equal(flat(rows["split"]), "train").to_numpy(zero_copy_only=False))
    at, side = distinct(texts, train)
    signed = signatures([texts[row] for row in at], search)
    left, right, cut = nearest_prompts.couples(banded(signed, search), side, search.largest_bucket)
    guess = (signed[left] == signed[right]).mean(axis=1) if len(left) else np.empty(0)
    likeliest = np.sort(np.lexsort((right, left, -guess))[:SETTLED])
    left, right = left[likeliest], right[likeliest]
    alike = [similarity(texts[at[one]], texts[at[other]], search.gram) for one, other in zip(left.tolist(), right.tolist(), strict=True)]
    found: dict[str, Any] = {"method": METHOD, **search.model_dump(), "compared": len(guess), "settled": len(alike), "cut": cut}
    level = f"{search.threshold:.2f}"
    found["recall_at"] = {level: round(1 - (1 - search.threshold**search.rows) ** search.bands, 4)}
    held = {int(one) for one, share in zip(left.tolist(), alike, strict=True) if share >= search.threshold}
    found["held_out_at_least_threshold"] = len(held)
    found["same"] = len({int(one) for one, share in zip(left.tolist(), alike, strict=True) if share == 1})
    found["highest_similarity"] = None
    if alike:
        best = int(np.argmax(alike))
        couple = {"held_out": named(rows, at[left[best]]), "train": named(rows, at[right[best]])}
        found["highest_similarity"] = {"similarity": round(alike[best], 4), **couple}
    return found


def bare(text: str, fillers: Sequence[str]) -> str:
    """The letters and figures of a text, one blank between words; the text's words as they are where nothing else is left."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign)).casefold()
    words = " " + " ".join(re.findall(r"[^\W_]+", plain)) + " "
    rest = words
    for filler in sorted(fillers, key=len, reverse=True):
        known = " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKD", filler).casefold()))
        rest = rest.replace(f" {known} ", " ") if known else rest
    return rest.strip() or words.strip() or text.strip()


def distinct(texts: Sequence[str], train: Mask) -> tuple[Rows, Mask]:
    """The first row of each text of either side, and its side."""
    first: dict[tuple[str, bool], int] = {}
    for row, text in enumerate(texts):
        if text:
            first.setdefault((text, bool(train[row])), row)
    at = np.fromiter(first.values(), np.int64, len(first))
    return at, train[at]


def grams(text: str, size: int) -> set[str]:
    """The n-grams of a text; one of fewer characters is one n-gram."""
    return {text[at : at + size] for at in range(max(1, len(text) - size + 1))}


def similarity(one: str, other: str, size: int) -> float:
    """Jaccard similarity of two texts' n-grams."""
    here, there = grams(one, size), grams(other, size)
    return len(here & there) / len(here | there)


def signatures(texts: Sequence[str], search: Search) -> npt.NDArray[np.uint32]:
    """The least hash of each text's n-grams under each of bands * rows hash functions."""
    draw = np.random.Generator(np.random.PCG64(search.seed))
    factors = draw.integers(0, 1 << 32, search.bands * search.rows, np.uint32) | np.uint32(1)
    signed = np.empty((len(texts), len(factors)), np.uint32)
    for start, part in parts(texts, search.gram):
        letters = np.frombuffer("".join(part).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
        lengths = np.array([len(text) for text in part])
        ends = np.cumsum(lengths)
        hashes = np.zeros(len(letters), np.uint64)
        padded = np.concatenate([letters, np.zeros(search.gram, np.uint64)])
        for place in range(search.gram):
            hashes = (hashes + padded[place : place + len(letters)] + np.uint64(1)) * PRIME
            hashes ^= hashes >> np.uint64(29)
        inside = np.arange(len(letters)) + search.gram <= np.repeat(ends, lengths)
        heads = np.concatenate([[0], np.cumsum(np.add.reduceat(inside.astype(np.int64), ends - lengths))[:-1]])
        kept = (hashes[inside] >> np.uint64(32)).astype(np.uint32)
        for column, factor in enumerate(factors):
            signed[start : start + len(part), column] = np.minimum.reduceat(kept * factor, heads)
    return signed


def parts(texts: Sequence[str], size: int) -> Iterator[tuple[int, list[str]]]:
    """The texts in parts of about BLOCK characters, short ones filled up to one n-gram, each part with the place of its first."""
    start, part, total = 0, list[str](), 0
    for place, text in enumerate(texts):
        part.append(text.ljust(size, END))
        total += len(part[-1])
        if total >= BLOCK or place == len(texts) - 1:
            yield start, part
            start, part, total = place + 1, [], 0


def banded(signed: npt.NDArray[np.uint32], search: Search) -> Hashes:
    """One hash a band, behind one for the text (here the place: texts are distinct already)."""
    columns = [np.arange(len(signed), dtype=np.uint64)]
    for band in range(search.bands):
        columns.append(np.full(len(signed), band + 1, np.uint64))
        for column in signed[:, band * search.rows : (band + 1) * search.rows].T:
            columns[-1] = (columns[-1] ^ column.astype(np.uint64)) * PRIME
            columns[-1] ^= columns[-1] >> np.uint64(31)
    return np.stack(columns, axis=1)


def named(rows: pa.Table, at: int) -> dict[str, str]:
    """Where a row is found."""
    return {name: rows[name][int(at)].as_py() for name in ("table", "split", "id")}
