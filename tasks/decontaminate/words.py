"""Texts as words, and words as numbers, for all comparisons with a benchmark.

In: texts. Out: `Words`, the words of all texts in a row. Case, punctuation, apostrophes and the commas inside numbers do not
count; a character of a script that is written without spaces is a word of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.similarity.ngrams import Hashes, Places, folded, mixed
from tasks.core.tables import TEXT

UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
SEPARATORS = r"[^\p{L}\p{M}\p{N}]+"  # what separates words
UNKNOWN = -1  # a word that no benchmark has


@dataclass(frozen=True)
class Words:
    """The words of text i are `ids[bounds[i]:bounds[i + 1]]`, in reading order."""

    ids: npt.NDArray[np.int32]
    bounds: Places

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def lengths(self) -> Places:
        """Words of each text."""
        return np.diff(self.bounds)

    @property
    def rows(self) -> Places:
        """The text of each word."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, rows: Places) -> Words:
        """The words of some of the texts."""
        sizes = self.lengths[rows]
        ends = np.cumsum(sizes)
        places = np.repeat(self.bounds[rows] - (ends - sizes), sizes) + np.arange(ends[-1] if len(ends) else 0)
        return Words(self.ids[places], np.concatenate([[0], ends]))


def plain(texts: pa.Array[Any]) -> pa.Array[Any]:
    """The texts without characters that are ignored; separators between words are kept."""
    lowered = pc.utf8_lower(folded(texts))
    foreign = pc.invert(pc.string_is_ascii(lowered))
    if pc.any(foreign).as_py():
        lowered = pc.replace_with_mask(lowered, foreign, pc.replace_substring_regex(lowered.filter(foreign), UNSPACED, r" \1 "))
    return pc.replace_substring_regex(pc.replace_substring_regex(lowered, "['’]", ""), r"(\d),(\d\d\d)", r"\1\2")


def split_words(texts: pa.Array[Any]) -> tuple[pa.Array[Any], Places]:
    """The words of all texts in one list, and where each text begins."""
    lists = pc.split_pattern_regex(plain(texts), SEPARATORS)
    words, bounds = lists.flatten(), lists.offsets.to_numpy().astype(np.int64)
    filled = pc.not_equal(words, pa.scalar("")).to_numpy(zero_copy_only=False)  # before the first and after the last separator
    return words.filter(pa.array(filled)), np.concatenate([[0], np.cumsum(filled)])[bounds]


def known(texts: pa.Array[Any], vocabulary: pa.Array[Any]) -> Words:
    """The texts' words as indices into the vocabulary."""
    words, bounds = split_words(texts)
    places = pc.index_in(words, value_set=vocabulary)
    return Words(places.fill_null(UNKNOWN).to_numpy().astype(np.int32), bounds)


def vocabulary(texts: pa.Array[Any]) -> pa.Array[Any]:
    """The distinct words of some texts, sorted."""
    words = pc.unique(split_words(texts)[0])
    return words.take(pc.sort_indices(words)).cast(TEXT)


def grams(words: Words, size: int) -> tuple[Hashes, Places]:
    """Hashes of all runs of `size` known words within a text, and the text of each."""
    unknown = np.concatenate([[0], np.cumsum(words.ids == UNKNOWN)])
    starts = np.arange(max(len(words.ids) - size + 1, 0))
    rows = words.rows
    starts = starts[(unknown[starts + size] == unknown[starts]) & (rows[starts] == rows[starts + size - 1])]
    hashes = np.zeros(len(starts), np.uint64)
    for place in range(size):
        hashes = mixed(hashes ^ (words.ids[starts + place].astype(np.uint64) + np.uint64(1)))
    return hashes, rows[starts]
