"""Whether what differs between two texts is wording, or says another thing.

A figure, a negation, a name, a piece of code or a letter of another kind makes another question, or another answer, however long the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rapidfuzz.distance import Indel, Levenshtein

from tasks.common.similarity.ngrams import fold, spaced
from tasks.common.text_identity import PLACEHOLDER

NEGATIONS = frozenset(  # of the languages most met
    [
        *("no", "not", "never", "none", "neither", "nor", "without", "cannot", "can't", "don't", "doesn't", "didn't", "won't", "isn't"),
        *("aren't", "wasn't", "weren't", "shouldn't", "mustn't", "except", "nicht", "kein", "keine", "nie", "niemals", "ohne", "non"),
        *("pas", "jamais", "sans", "nunca", "sin", "ningún", "não", "nem", "sem", "mai", "senza", "niet", "geen", "zonder", "нет", "не"),
        *("никогда", "без", "不", "没", "没有", "別", "别", "勿", "無", "ない", "ません", "ไม่", "لا", "ليس"),
    ]
)
MARKS = ".,;:!?…"
WORDING = re.compile(rf"[^\W\d_]+[{MARKS}]*|[{MARKS}]+")  # a word, with marks behind it
FIGURE = re.compile(r"\d")


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
    changed = [word for here, there in _changes(one, other) for word in here + there]
    return any(not WORDING.fullmatch(word) or _is_negation(word) or _is_name(word) for word in changed)


def puts_another(one: str, other: str) -> bool:
    """Whether one text has a figure or a name where the other one has another, or a negation that the other one has not.

    Of long texts this is asked, in which a plain word that turned into a figure is more likely a slip of the copy than another question.
    """
    for here, there in _changes(PLACEHOLDER.sub(r"\1", one), PLACEHOLDER.sub(r"\1", other)):
        both = [{word.strip(MARKS).lower() for word in side if _is_name(word) or FIGURE.search(word)} for side in (here, there)]
        if (all(both) and both[0] != both[1]) or any(map(_is_negation, here)) != any(map(_is_negation, there)):
            return True
    return False


def _changes(one: str, other: str) -> Iterator[tuple[list[str], list[str]]]:
    """What stands between words that both texts have: the words of the one, and those of the other."""
    left, right = spaced(one).split(), spaced(other).split()
    here, there = list[str](), list[str]()
    for step in Indel.opcodes(left, right):
        if step.tag == "equal":
            yield here, there
            here, there = [], []
        else:
            here += left[step.src_start : step.src_end]
            there += right[step.dest_start : step.dest_end]
    yield here, there


def _is_negation(word: str) -> bool:
    return word.strip(MARKS).lower() in NEGATIONS


def _is_name(word: str) -> bool:
    """Whether a word is written as a name, or in a way of its own: "French", "iPhone", "US"."""
    return not word.islower() and word.isascii() and word.upper() != word.lower()
