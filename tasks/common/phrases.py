"""Short messages that say one thing: matched against lists of phrases, as whole columns.

Messages and phrases are compared plain: NFKC, lower case, without apostrophes, each run of other signs one space. A phrase is the whole
message, or with " *" at its end, its beginning; " * " inside stands for one to four words. Words among the lead-ins may stand before it.
Words end at spaces; phrases that end in Chinese or Japanese letters end anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import Mask, filled, flat, mask, strings
from tasks.common.unseen import JOINERS, UNSEEN
from tasks.core.params import StageParams
from tasks.core.tables import TEXT
from tasks.core.wordlists import ByLanguage

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}"
OPEN = " * "
NEVER = r"[^\s\S]"
WORDS = " (?:[^ ]+ ){1,4}?"  # what " * " inside a phrase stands for
QUESTION = r"[?\x{FF1F}\x{061F}][^\p{L}\p{N}]*$"


class Phrases(StageParams):
    """What users say of an answer, by language; all languages are read in every conversation."""

    phrases: ByLanguage  # with " *" at the end, how a message begins; else the whole message; " * " inside: some words
    lead_ins: ByLanguage  # words that may stand before a phrase
    unless: ByLanguage  # a message that holds one of these anywhere does not count


def plain(texts: pa.Array[Any]) -> pa.Array[Any]:
    """Texts as they compare here; null is ""."""
    texts = pc.utf8_lower(pc.utf8_normalize(filled(texts, ""), "NFKC"))  # type: ignore[attr-defined]  # the stub lacks it
    texts = pc.replace_substring_regex(texts, f"['’‘`´{UNSEEN}{JOINERS}]+", "")
    texts = pc.replace_substring_regex(texts, r"[^\p{L}\p{M}\p{N} ]+", " ")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, r" {2,}", " "))


def every(lists: ByLanguage) -> list[str]:
    """The phrases of all languages, plain, the longest first; without those with words left open."""
    written = [phrase.removesuffix("*") for phrases in lists.values() for phrase in phrases if OPEN not in phrase]
    return sorted({phrase for phrase in strings(plain(pa.array(written, TEXT))) if phrase}, key=lambda phrase: (-len(phrase), phrase))


def opened(lists: ByLanguage) -> dict[str, str]:
    """The phrases in which words are left open, and for each a pattern of Python's `re`: in RE2 many such cost seconds."""
    written = sorted({phrase for phrases in lists.values() for phrase in phrases if OPEN in phrase})
    parts = [phrase.removesuffix(" *").split(OPEN) for phrase in written]
    spelt = iter(strings(plain(pa.array([part for several in parts for part in several], TEXT))))
    found = {}
    for phrase, several in zip(written, parts, strict=True):
        own = [next(spelt) for _ in several]
        found[OPEN.join(own)] = WORDS.join(own) + ("(?: |$)" if phrase.endswith(" *") else "$")
    return found


def ends_anywhere(phrase: str) -> bool:
    """Whether the phrase is of a script without spaces (kana or Han)."""
    return "\u3040" <= phrase[-1] <= "\u30ff" or "\u3400" <= phrase[-1] <= "\u9fff" or phrase[-1] >= "\U00020000"


def one_of(phrases: Iterable[str], end: str = "(?: |$)") -> str:
    """A pattern for any of the plain phrases, as whole words."""
    return "|".join(phrase if ends_anywhere(phrase) else phrase + end for phrase in phrases) or NEVER


def anywhere(lists: ByLanguage) -> str:
    """A pattern for texts that hold one of the phrases as whole words."""
    phrases = every(lists)
    unspaced = [phrase for phrase in phrases if ends_anywhere(phrase)]
    return f"(?:^| )(?:{one_of(phrases)})|{one_of(unspaced)}"


def beginning(lists: ByLanguage) -> ByLanguage:
    """The phrases that may go on."""
    return {language: [phrase for phrase in phrases if phrase.endswith("*")] for language, phrases in lists.items()}


def matched(texts: pa.Array[Any], answers: pa.Array[Any], settings: Phrases) -> tuple[Mask, pa.Array[Any]]:
    """Which plain texts say one of the phrases to these answers, and for those the phrase as plain text."""
    lead = f"^(?:(?:{one_of(every(settings.lead_ins), ' ')}) ?)*"
    begins, whole = one_of(every(beginning(settings.phrases))), "|".join(phrase + "$" for phrase in every(settings.phrases)) or NEVER
    matched = flat(pc.utf8_trim_whitespace(pc.struct_field(pc.extract_regex(texts, f"{lead}(?P<said>{begins}|{whole})"), 0)))
    matched = pc.coalesce(matched, with_words_open(texts, pc.is_null(matched), lead, settings))
    hits = np.array(pc.is_valid(matched).to_numpy(zero_copy_only=False), bool)
    hits[hits] = ~holds(texts.filter(pa.array(hits)), anywhere(settings.unless))
    # a phrase alone may answer what the answer asked: "How was it?" "Great."
    replies = hits.copy()
    replies[hits] = holds(answers.filter(pa.array(hits)), QUESTION) & ~holds(texts.filter(pa.array(hits)), f"{lead}(?:{begins})")
    hits &= ~replies
    return hits, matched.filter(pa.array(hits))


def with_words_open(texts: pa.Array[Any], mask: pa.Array[Any], lead: str, settings: Phrases) -> pa.Array[Any]:
    """For each text in the mask the phrase with words left open that it begins with; else null."""
    phrases = opened(settings.phrases)
    found = np.full(len(texts), None, object)
    if phrases:
        heads = "|".join({phrase.split(OPEN)[0] + " " for phrase in phrases})
        rows = np.flatnonzero(holds(texts, f"{lead}(?:{heads})") & np.asarray(mask.to_numpy(zero_copy_only=False), bool))
        pattern = re.compile(lead + "(?:" + "|".join(f"({one})" for one in phrases.values()) + ")")
        names = list(phrases)
        hits = [pattern.match(text) for text in strings(texts.take(pa.array(rows, pa.int64())))]
        found[rows] = np.array([names[hit.lastindex - 1] if hit and hit.lastindex else None for hit in hits] + [None], object)[:-1]
    return pa.array(found, TEXT)


def holds(texts: pa.Array[Any], pattern: str) -> Mask:
    """Which texts match; null does not."""
    return mask(pc.match_substring_regex(texts, pattern))
