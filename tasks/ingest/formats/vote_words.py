"""Words, signs and spellings of votes with a clear direction.

In: a value as the log has it. Out: a number, with its scale where the spelling states it; None where the direction is unclear.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import filled, mask
from tasks.common.vocabulary.kinds import THUMB
from tasks.ingest.formats.parsed import word_of

UP = (
    "up",
    "thumbsup",
    "thumbup",
    "👍",
    ":+1:",
    ":thumbsup:",
    "like",
    "liked",
    "good",
    "positive",
    "yes",
    "true",
    "upvote",
    "upvoted",
    "helpful",
    "satisfied",
)
DOWN = (
    *("down", "thumbsdown", "thumbdown", "👎", ":1:", ":thumbsdown:", "dislike", "disliked", "bad", "negative", "no", "false"),
    *("downvote", "downvoted", "unhelpful", "nothelpful", "unsatisfied", "dissatisfied"),
)  # ":1:" is ":-1:" without its hyphen
THUMBS: dict[str, float] = dict.fromkeys(UP, 1.0) | dict.fromkeys(DOWN, -1.0)
OUT_OF = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:/|of|out of)\s*(\d+)(?:\s*stars?)?", re.IGNORECASE)
STARS = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:stars?|★|⭐)", re.IGNORECASE)
DRAWN = re.compile(r"(?:★|⭐)+☆*")
COMMA = re.compile(r"\d{1,3},\d{1,2}")
PERCENT = re.compile(r"(\d+(?:[.,]\d+)?)\s*%")
Scale = tuple[float, float]
FIVE, HUNDRED = (1.0, 5.0), (0.0, 100.0)


def thumb_word(label: str) -> float | None:
    """1 or -1 for a word or sign with that meaning; else None."""
    return THUMBS.get(word_of(label))


def rating_of(text: str) -> tuple[float, Scale | None] | None:
    """A spelled rating: 4/5, 4,5, ★★★★☆, 5 stars, 80 %; the scale is None where the spelling does not state it."""
    text = text.strip()
    if match := OUT_OF.fullmatch(text):
        best = float(match[2])
        return (_number(match[1]), HUNDRED if best == 100 else (1.0, best)) if best > 2 else None
    if match := STARS.fullmatch(text):
        return _number(match[1]), FIVE
    if DRAWN.fullmatch(text):
        empty = text.count("☆")
        return float(len(text) - empty), (1.0, float(len(text))) if empty and len(text) > 2 else FIVE
    if COMMA.fullmatch(text):
        return _number(text), None
    match = PERCENT.fullmatch(text)
    return (_number(match[1]), HUNDRED) if match else None


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def zeros_as_down(acts: pa.Table, source: str) -> tuple[pa.Table, int]:
    """Thumbs that are 1 and 0 only, both, are up and down: their scale becomes 0 to 1. The acts, and how many are 0.

    Where the log has a word, a -1 or only one of the two, a 0 may as well be a thumb taken back, and stays as it is: off its scale.
    """
    thumbs = pc.and_(pc.equal(acts["source"], pa.scalar(source)), pc.equal(acts["kind"], pa.scalar(THUMB)))
    ours = pc.and_(thumbs, filled(pc.equal(acts["scale_min"], pa.scalar(-1.0)), False))
    candidates = acts.filter(ours)
    values = set(candidates["value"].drop_null().unique().to_pylist())
    if values != {0.0, 1.0} or candidates["label"].null_count < len(candidates):
        return acts, 0
    at = acts.column_names.index("scale_min")
    lowest = pc.if_else(ours, pa.scalar(0.0, pa.float64()), acts["scale_min"])
    return acts.set_column(at, acts.schema.field(at), lowest), int(mask(pc.equal(candidates["value"], pa.scalar(0.0))).sum())
