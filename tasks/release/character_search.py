"""A second search for similar prompts across splits: by characters, with no code shared with the split.

In: the released rows and their user turns. Out: the section `characters` of the certificate.

Texts are compared without punctuation, accents, case and the split's fillers ("please"), as sets of character n-grams, so that a typo,
another ending or an additional word does not hide a copy. Pairs that share a band of their MinHash signatures are compared; the likeliest
`SETTLED` of them by the exact Jaccard similarity of their n-grams.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common.arrays import Mask, Rows, flat
from tasks.common.similarity.ngrams import Hashes
from tasks.common.vocabulary.splits import TRAIN
from tasks.core.params import StageParams
from tasks.release import nearest_prompts

METHOD = "MinHash-LSH over n-grams of characters of what users say, without signs, accents, case and fillers"
BLOCK = 1 << 19  # characters hashed at a time
SETTLED = 20_000  # pairs compared exactly, the likeliest first
PRIME = np.uint64(0x9E3779B97F4A7C15)
END = "\x03"


class Search(StageParams):
    """Parameters of the search by characters."""

    gram: int = Field(ge=2, le=32)  # characters of an n-gram
    threshold: float = Field(gt=0, le=1)  # similarity from which held-out prompts are counted
    bands: int = Field(ge=1, le=1024)
    rows: int = Field(ge=1, le=64)  # of a band
    largest_bucket: int = Field(ge=2)  # training prompts of one band that a held-out prompt is compared with
    most_characters: int = Field(ge=1)  # of a prompt, from its beginning, that are compared
    seed: int = Field(ge=0)


def search_by_characters(rows: pa.Table, user_turns: pa.LargeListArray[Any], fillers: Sequence[str], search: Search) -> dict[str, Any]:
    """The similar prompts found, and the method and recall of the search."""
    texts = [
        normalized(" ".join(turns), fillers)[: search.most_characters]
        for turns in cast("list[list[str]]", cast("pa.Array[Any]", user_turns).to_pylist())
    ]
    train = np.asarray(pc.equal(flat(rows["split"]), pa.scalar(TRAIN)).to_numpy(zero_copy_only=False))
    at, side = distinct(texts, train)
    signed = signatures([texts[row] for row in at], search)
    left, right, cut = nearest_prompts.candidate_pairs(banded(signed, search), side, search.largest_bucket)
    guess = (signed[left] == signed[right]).mean(axis=1) if len(left) else np.empty(0)
    likeliest = np.sort(np.lexsort((right, left, -guess))[:SETTLED])
    left, right = left[likeliest], right[likeliest]
    alike = [similarity(texts[at[one]], texts[at[other]], search.gram) for one, other in zip(left.tolist(), right.tolist(), strict=True)]
    section: dict[str, Any] = {"method": METHOD, **search.model_dump(), "compared": len(guess), "settled": len(alike), "cut": cut}
    level = f"{search.threshold:.2f}"
    section["recall_at"] = {level: round(1 - (1 - search.threshold**search.rows) ** search.bands, 4)}
    held = {int(one) for one, share in zip(left.tolist(), alike, strict=True) if share >= search.threshold}
    section["held_out_at_least_threshold"] = len(held)
    section["same"] = len({int(one) for one, share in zip(left.tolist(), alike, strict=True) if share == 1})
    section["highest_similarity"] = None
    if alike:
        best = int(np.argmax(alike))
        couple = {"held_out": row_reference(rows, at[left[best]]), "train": row_reference(rows, at[right[best]])}
        section["highest_similarity"] = {"similarity": round(alike[best], 4), **couple}
    return section


def normalized(text: str, fillers: Sequence[str]) -> str:
    """Letters and digits of a text without fillers, words separated by single spaces; fillers are kept where nothing else is left."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign)).casefold()
    words = " " + " ".join(re.findall(r"[^\W_]+", plain)) + " "
    rest = words
    for filler in sorted(fillers, key=len, reverse=True):
        known = " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKD", filler).casefold()))
        rest = rest.replace(f" {known} ", " ") if known else rest
    return rest.strip() or words.strip() or text.strip()


def distinct(texts: Sequence[str], train: Mask) -> tuple[Rows, Mask]:
    """The first row of each text in train and in held-out splits, and whether it is in train."""
    first: dict[tuple[str, bool], int] = {}
    for row, text in enumerate(texts):
        if text:
            first.setdefault((text, bool(train[row])), row)
    at = np.fromiter(first.values(), np.int64, len(first))
    return at, train[at]


def grams(text: str, size: int) -> set[str]:
    """The n-grams of a text; a shorter text is one n-gram."""
    return {text[at : at + size] for at in range(max(1, len(text) - size + 1))}


def similarity(one: str, other: str, size: int) -> float:
    """Jaccard similarity of two texts' n-grams."""
    here, there = grams(one, size), grams(other, size)
    return len(here & there) / len(here | there)


def signatures(texts: Sequence[str], search: Search) -> npt.NDArray[np.uint32]:
    """The smallest hash of each text's n-grams under each of bands * rows hash functions."""
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
    """The texts in parts of about BLOCK characters, short ones padded to one n-gram; each part with the index of its first text."""
    start, part, total = 0, list[str](), 0
    for place, text in enumerate(texts):
        part.append(text.ljust(size, END))
        total += len(part[-1])
        if total >= BLOCK or place == len(texts) - 1:
            yield start, part
            start, part, total = place + 1, [], 0


def banded(signed: npt.NDArray[np.uint32], search: Search) -> Hashes:
    """One hash per band, after one for the text (here its index: texts are distinct already)."""
    columns = [np.arange(len(signed), dtype=np.uint64)]
    for band in range(search.bands):
        columns.append(np.full(len(signed), band + 1, np.uint64))
        for column in signed[:, band * search.rows : (band + 1) * search.rows].T:
            columns[-1] = (columns[-1] ^ column.astype(np.uint64)) * PRIME
            columns[-1] ^= columns[-1] >> np.uint64(31)
    return np.stack(columns, axis=1)


def row_reference(rows: pa.Table, at: int) -> dict[str, str]:
    """Table, split and id of a row."""
    return {name: rows[name][int(at)].as_py() for name in ("table", "split", "id")}
