"""Kinds of feedback: what an act of each does to the answers that it names."""

from __future__ import annotations

JUDGE, COMPARE, REWRITE = "judge", "compare", "rewrite"  # names an answer; names two; names one and gives the other
KINDS = {  # strongest first
    "correction": REWRITE,
    "edit": REWRITE,
    "choice": COMPARE,
    "ranking": JUDGE,
    "rating": JUDGE,
    "thumb": JUDGE,
    "regenerate": COMPARE,
}
VALUED = ("choice", "ranking", "rating", "thumb")  # kinds that need a value; what the value of another kind says is not known
REWRITES = tuple(name for name, way in KINDS.items() if way == REWRITE)
