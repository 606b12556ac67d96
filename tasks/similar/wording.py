"""Whether what differs between two texts is wording, or says another thing.

A figure, a negation, a name, a piece of code or a letter of another kind makes another question, or another answer, however long the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rapidfuzz.distance import Indel, Levenshtein

from tasks.similar.text import fold, spaced

NEGATIONS = frozenset(  # of the languages most met
    [
        *("no", "not", "never", "none", "neither", "nor", "without", "cannot", "can't", "don't", "doesn't", "didn't", "won't", "isn't"),
        *("aren't", "wasn't", "weren't", "shouldn't", "mustn't", "except", "nicht", "kein", "keine", "nie", "niemals", "ohne", "non"),
        *("pas", "jamais", "sans", "nunca", "sin", "ningún", "não", "nem", "sem", "mai", "senza", "niet", "geen", "zonder", "нет", "не"),
        *("никогда", "без", "不", "没", "没有", "別", "别", "勿", "無", "ない", "ません", "ไม่", "لا", "ليس"),
    ]
)
WORDING = re.compile(r"[^\W\d_]+[.,;:!?…]*|[.,;:!?…]+")  # a word, with marks behind it


@dataclass(frozen=True)
class OneLetter:
    """When a question that differs in one letter is the same question, told twice."""

    question_chars: int  # of the questions, at least
    answer_chars: int  # of the equal answers, at least: so long a text is not given twice by chance

    def holds(self, one: str, other: str, answer_chars: int) -> bool:
        """Whether two questions are one, given how long their equal answers are."""
        if answer_chars < self.answer_chars or max(len(one), len(other)) < self.question_chars:
            return False
        return Levenshtein.distance(fold(one), fold(other), score_cutoff=1) <= 1 and not says_another_thing(one, other)


def says_another_thing(one: str, other: str) -> bool:
    """Whether the words that stand in one text only hold figures, negations, names or anything else that is no plain word."""
    left, right = spaced(one).split(), spaced(other).split()
    changed: list[str] = []
    for step in Indel.opcodes(left, right):
        if step.tag != "equal":
            changed += left[step.src_start : step.src_end] + right[step.dest_start : step.dest_end]
    return any(not WORDING.fullmatch(word) or word.strip(".,;:!?…").lower() in NEGATIONS or _is_name(word) for word in changed)


def _is_name(word: str) -> bool:
    """Whether a word is written as a name, or in a way of its own: "French", "iPhone", "US"."""
    return not word.islower() and word.isascii() and word.upper() != word.lower()
