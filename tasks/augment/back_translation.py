"""Augmenter `back_translation`: English into Spanish and back through Apertium, offline.

Apertium is rough ("It can I help me find it?"), so a gate decides what is kept: the length, the share of content words
that are still there, and no word that stayed Spanish. Protected pieces travel as Apertium's own "superblanks".
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from pydantic import Field

from tasks.augment import apertium, augmenter
from tasks.augment.english_words import FUNCTION
from tasks.augment.protected_words import OPAQUE, SPAN, split
from tasks.common.vocabulary.reasons.augment import TOO_DIFFERENT

MODES = ("eng-spa", "spa-eng")
# Characters with a meaning in Apertium's stream, or unknown to it: they are passed in superblanks.
_BLANK = re.compile(f"{SPAN.pattern}|(?=\\S*\\D){OPAQUE}|\\s*\\n\\s*|[^\\w\\s.,;:!?'’()\"-]+", re.DOTALL | re.MULTILINE)
_ESCAPE = re.compile(r"([\\\[\]{}^$/@<>])")
_PIECE = re.compile(r"\[((?:\\.|[^\]\\])*)\]|\\(.)|([*@#])(?=\w)| {2,}", re.DOTALL)
_MARKED = re.compile(r"\*([\w'’-]+)")
_END = ".[]"  # ends a sentence; without it at the very end Apertium would wait for more before it answers


class Settings(augmenter.Settings):
    """Settings of `back_translation`."""

    kept_words: float = Field(ge=0, le=1)  # minimum share of the content words that must be kept, in order
    length_ratio: float = Field(ge=1)  # largest ratio of the longer text's words to the shorter text's


class BackTranslation(augmenter.Augmenter):
    """English into Spanish and back; English only."""

    Settings = Settings
    PACKAGES = ("apertium", "apertium-eng-spa")
    IN_ENGINE = False

    @classmethod
    def missing(cls) -> str | None:
        """Apertium's programs and its two modes."""
        return apertium.missing(MODES)

    @classmethod
    def knows(cls, language: str) -> bool:
        """English."""
        return language == "en"

    def reword(self, texts: Sequence[str], seeds: Sequence[str]) -> list[str | None]:
        """The back-translation of each text; None where a word stayed untranslated. Seeds are ignored."""
        distinct = list(dict.fromkeys(texts))  # short messages recur
        with apertium.Pipeline(MODES) as pipeline:
            answers = pipeline.translate([to_stream(text) for text in distinct])
        plain = {text: None if answer is None else from_stream(answer, text) for text, answer in zip(distinct, answers, strict=True)}
        return [plain[text] for text in texts]

    def gate(self, old: str, new: str) -> str | None:
        """`too_different` when too little of the parent is left, or the length changed too much."""
        before, after = split(old).words, split(new).words
        longer, shorter = max(len(before), len(after)), min(len(before), len(after))
        if longer > self.settings.length_ratio * shorter:
            return TOO_DIFFERENT
        old_content, new_content = _content(before), _content(after)
        same = difflib.SequenceMatcher(None, old_content, new_content, autojunk=False).get_matching_blocks()
        return TOO_DIFFERENT if sum(block.size for block in same) < self.settings.kept_words * len(old_content) else None


def to_stream(text: str) -> str:
    """The text in Apertium's stream format."""
    parts, end = [], 0
    for match in _BLANK.finditer(text):
        parts += [_ESCAPE.sub(r"\\\1", text[end : match.start()]), _superblank(match.group())]
        end = match.end()
    parts.append(_ESCAPE.sub(r"\\\1", text[end:]))
    return "".join(parts) + _END


def _superblank(piece: str) -> str:
    """A superblank, which Apertium leaves unchanged; the end of a line also ends a sentence."""
    blank = "[" + _ESCAPE.sub(r"\\\1", piece) + "]"
    return _END + blank if "\n" in piece and not piece.strip() else blank


def from_stream(stream: str, original: str) -> str | None:
    """The stream as plain text; None when it marks a word as untranslated that is not one of the original's."""
    known = {word.lower() for word in split(original).words} | {word.lower() for word in re.findall(r"[\w'’-]+", original)}
    stream = stream.replace(_END, "")
    untranslated = _MARKED.findall(_PIECE.sub(lambda piece: piece.group() if piece.group(3) == "*" else " ", stream))
    if any(word.lower() not in known for word in untranslated):
        return None
    if any(piece.group(3) in {"@", "#"} for piece in _PIECE.finditer(stream)):
        return None
    return _PIECE.sub(_plain, stream).strip()


def _plain(piece: re.Match[str]) -> str:
    if piece.group(1) is not None:
        return re.sub(r"\\(.)", r"\1", piece.group(1), flags=re.DOTALL)
    return piece.group(2) or ("" if piece.group(3) else " ")


def _content(words: Sequence[str]) -> list[str]:
    """Crude stems of the content words, in order: a text with moved words is a different text."""
    return [word.lower()[:5] for word in words if len(word) > 2 and word.lower() not in FUNCTION]
