"""Checks of a variant: protected parts are unchanged, and something else has changed."""

from __future__ import annotations

import re
from collections import Counter

from tasks.augment.protected_words import KEPT, SPAN, is_negation, split
from tasks.common.vocabulary.reasons.augment import LOST_NAME, LOST_NEGATION, LOST_NUMBER, UNCHANGED

_NUMBER = re.compile(r"[$€£¥]?(?:(?<!\w)[-+])?[^\W_]*\d\w*(?:[.,:/-]\w*\d\w*)*%?")
_WORD = re.compile(r"[^\W\d_]+(?:[-.&][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?:;…\n\"“”‘(*\u2022>-]\s*\Z|\A\s*\Z")
_PRONOUN = frozenset({"I"})


def fault(old: str, new: str) -> str | None:
    """Why `new` cannot replace `old`, as one word; None when it can."""
    for kind, pattern in KEPT.items():
        if pattern.findall(old) != pattern.findall(new):
            return f"lost_{kind}"
    plain_old, plain_new = SPAN.sub(" ", old), SPAN.sub(" ", new)
    if _NUMBER.findall(plain_old) != _NUMBER.findall(plain_new):
        return LOST_NUMBER
    if not _names_survive(plain_old, plain_new):
        return LOST_NAME
    return _wording_fault(old, new)


def _wording_fault(old: str, new: str) -> str | None:
    old_words, new_words = split(old).words, split(new).words
    if sum(map(is_negation, old_words)) != sum(map(is_negation, new_words)):
        return LOST_NEGATION
    if [word.casefold() for word in old_words] == [word.casefold() for word in new_words]:
        return UNCHANGED
    return None


def names(text: str) -> set[str]:
    """Words with a capital in mid-sentence, or with a capital after their first letter anywhere."""
    capitalized = set()
    for match in _WORD.finditer(text):
        word = match.group()
        inside = any(letter.isupper() for letter in word[1:])
        if word not in _PRONOUN and (inside or (word[0].isupper() and not _starts_sentence(text, match.start()))):
            capitalized.add(word)
    return capitalized


def _starts_sentence(text: str, start: int) -> bool:
    return bool(_SENTENCE_END.search(text[max(0, start - 4) : start])) if start else True


def _names_survive(old: str, new: str) -> bool:
    """Every name of the old text occurs as often in the new one, at any position."""
    kept = names(old)
    if not kept:
        return True
    before, after = Counter(_WORD.findall(old)), Counter(_WORD.findall(new))
    return all(before[name] == after[name] for name in kept)
