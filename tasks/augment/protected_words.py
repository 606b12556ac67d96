"""Parts that no augmenter may change (code, links, placeholders, numbers, names), and the remaining words.

`split` cuts a text into words and the gaps between them. Everything protected is in the gaps, so an augmenter that
changes only words cannot change it; `tasks.augment.checks` checks the same for augmenters that see the whole text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.augment.english_words import words

PATTERNS = {
    "code": r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`|\$\$.+?\$\$|^(?: {4}|\t)[^\n]*|^[^\n]*[;{}][ \t]*$",
    "link": r"\[[^\]\n]*\]\([^)\s]*\)|(?:https?://|ftp://|www\.)[^\s<>\"']+|[\w.+-]+@[\w-]+\.[\w.-]+",
    "placeholder": r"\[[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\]|<[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*>|\{\{?\w+\}?\}|%[sd]\b|%\(\w+\)s",
}
# Possessive quantifiers (*+): a token without any of these characters is scanned once, not once per letter.
OPAQUE = r"<[^<>\n]{1,200}>|[^\s\d_/\\=|#$%^~@&+(]*+(?:[\d_/\\=|#$%^~@&+]|(?<=\w)\()\S*+"
# Not \w: it excludes the vowel signs of Indic scripts, at which a word must not be split.
WORD = r"[^\s\d!-/:-@\[-`{-~\u00a0-\u00bf\u2000-\u206f\u3000-\u303f\u060c\u061b\u061f\u0964\u0965]+(?:['’-](?<=\w.)[^\W\d_]+)*"

KEPT = {kind: re.compile(pattern, re.DOTALL | re.MULTILINE) for kind, pattern in PATTERNS.items()}
SPAN = re.compile("|".join(PATTERNS.values()), re.DOTALL | re.MULTILINE)
_SCAN = re.compile(f"(?:{'|'.join(PATTERNS.values())}|{OPAQUE})|({WORD})", re.DOTALL | re.MULTILINE)
_SPACE = re.compile(r"[ \t\u00a0]+")

# Negations: never deleted, moved or replaced.
NEGATIONS = words("""
no not never none nobody nothing nowhere neither nor without cannot nicht kein keine keinen keiner nie niemals ohne ne pas jamais
sans aucun aucune sin nunca jamás nada nadie ningún ninguna não nunca sem nem nenhum non mai senza niente niet geen nooit zonder
inte aldrig utan ikke aldri nie bez ani не нет ни без
""")


@dataclass(frozen=True)
class Words:
    """A text split into words; `gaps` has one entry more, and `weave` joins both again."""

    words: list[str]
    gaps: list[str]

    def weave(self, words: list[str]) -> str:
        """The text with other words in the same places."""
        return self.gaps[0] + "".join(word + gap for word, gap in zip(words, self.gaps[1:], strict=True))

    def free(self) -> list[bool]:
        """Which words may change: no capitals (a name, an abbreviation, a sentence's start), no negation."""
        return [word.lower() == word and not is_negation(word) for word in self.words]

    def joined(self) -> list[bool]:
        """Whether nothing but space follows each word before the next one."""
        return [bool(_SPACE.fullmatch(gap)) for gap in self.gaps[1:-1]] + [False]


def split(text: str) -> Words:
    """The words of a text, and gaps with everything else."""
    words: list[str] = []
    gaps: list[str] = []
    end = 0
    for match in _SCAN.finditer(text):
        if match.group(1) is not None:
            words.append(match.group(1))
            gaps.append(text[end : match.start()])
            end = match.end()
    return Words(words, [*gaps, text[end:]])


def is_negation(word: str) -> bool:
    """Whether the word negates, e.g. `not`, `can't`, `nicht`."""
    low = word.lower().replace("’", "'")
    return low in NEGATIONS or low.endswith("n't")
