"""How alike two answers are, letter by letter: edit distances of rapidfuzz, over the longer length."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

from tasks.common.arrays import Floats, Mask, Rows
from tasks.common.text_identity import same_answer
from tasks.common.wording import says_another_thing
from tasks.pair.evidence import Evidence
from tasks.pair.vote_counts import DIGITS


def distances(evidence: Evidence, left: Rows, right: Rows) -> Floats:
    """The distance of each two answers: 0 equal, 1 nothing in common."""
    contents = evidence.answers["content"]
    return measure(contents.take(left), contents.take(right))


def measure(left: pa.ChunkedArray[Any], right: pa.ChunkedArray[Any], most: float = 1.0) -> Floats:
    """The distance of each two texts; of those further apart than `most`, 1."""
    if not len(left):
        return np.zeros(0)
    found = cpdist(
        left.to_pylist(), right.to_pylist(), scorer=Levenshtein.normalized_distance, score_cutoff=most, dtype=np.float64, workers=1
    )
    return np.asarray(np.round(found, DIGITS), np.float64)


def alike(left: pa.ChunkedArray[Any], right: pa.ChunkedArray[Any], similarity: float) -> Mask:
    """Whether each two texts are at least so similar (1 minus their distance), and what differs is wording.

    A figure, a negation, a name, a sign, the case of letters and how lines are laid out make another answer, however long it is.
    """
    most = round(1 - similarity, DIGITS)
    lengths = [pc.utf8_length(texts).to_numpy().astype(np.int64) for texts in (left, right)]
    longer = np.maximum(np.maximum(*lengths), 1)
    near = np.abs(lengths[0] - lengths[1]) <= most * longer + 10.0**-DIGITS  # the distance is at least that of the lengths
    rows = np.flatnonzero(near)
    near[near] = measure(left.take(rows), right.take(rows), most) <= most
    couples = ((int(row), left[int(row)].as_py(), right[int(row)].as_py()) for row in np.flatnonzero(near))
    for row, one, other in couples:
        near[row] = one.split() != other.split() and not says_another_thing(one, other)
    return np.asarray(near, bool)


def equal(left: pa.ChunkedArray[Any], right: pa.ChunkedArray[Any]) -> Mask:
    """Whether each two texts are one answer (`tasks.common.text_identity`)."""
    couples = zip(*(cast("list[str]", texts.to_pylist()) for texts in (left, right)), strict=True)
    return np.fromiter((same_answer(one) == same_answer(other) for one, other in couples), np.bool_, len(left))
