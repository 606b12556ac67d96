"""Redaction of names that are no texts: paths of raw files, and ids of conversations and turns.

A path keeps what tells files apart and loses what tells people: each value gives way to its kind, as in texts. Exporters write
paths in ways that hide a value from a reader of texts, so a path is also read with its joints as blanks and its percent signs undone.
An id that holds a value is hashed whole, because its parts mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import filled, replaced, strings
from tasks.common.redaction import redact
from tasks.common.redaction.name_model import Recogniser
from tasks.common.text_repair import apply

ANY = r"(?s:.)"
# Ids as programs make them, perhaps below the name of a format: looked at no further, since most logs have hardly any other (RE2).
MACHINE = (
    r"\A(?:[a-z]+:)?(?:[0-9]{1,13}|[0-9a-fA-F]{24}|[0-9a-fA-F]{32}"
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|(?:chatcmpl|conv|msg|req|resp|run|thread|toolu|call)[-_][0-9A-Za-z]{16,64})\z"
)
JOINT = re.compile(r"_|(?<=[^\W\d_])-(?=\d)|(?<=\d)-(?=[^\W\d_])")  # in paths, what a blank is in texts


def paths(names: pa.Array[Any], kinds: Collection[str], recogniser: Recogniser | None = None) -> pa.Array[Any]:
    """Every path without the values of these kinds, and without names and places where a recogniser is given; nulls stay."""
    return apply(names, ANY, lambda name: path(name, kinds, recogniser))


def path(name: str, kinds: Collection[str], recogniser: Recogniser | None = None) -> str:
    """One path without the values of these kinds."""
    plain = unquote(name, errors="replace")
    for text in (name, plain) if plain != name else (name,):
        for view in dict.fromkeys((text, JOINT.sub(" ", text))):
            likely = [kind for kind, hint in redact.HINTED.items() if kind in kinds and (hint.search(view) or not view.isascii())]
            if likely and (found := redact.find(redact.flat(view), likely)):
                return path(_replaced(text, found), kinds, recogniser)
    return _unnamed(plain, recogniser) if recogniser else name


def _unnamed(name: str, recogniser: Recogniser) -> str:
    """The path without names and places, which are read part by part, with every joint as a blank."""
    parts = re.split("(/)", name)
    views = [re.sub(r"[-_+.](?=[^\W_])", " ", part) for part in parts]
    found = [redact.with_names(view, [], recogniser) for view in views]
    return "".join(_replaced(part, spans) for part, spans in zip(parts, found, strict=True))


def _replaced(text: str, found: list[tuple[int, int, str, str]]) -> str:
    parts, at = [], 0
    for start, end, kind, _ in found:
        parts += [text[at:start], f"[{kind.upper()}]"]
        at = end
    return "".join([*parts, text[at:]])


def ids(names: pa.Array[Any], kinds: Collection[str], hashed: Callable[[str], str], recogniser: Recogniser | None = None) -> pa.Array[Any]:
    """Every id as it is, or hashed where it holds a value of these kinds: everywhere alike, so that references still meet."""
    likely = pc.match_substring_regex(names, r"\pL{2}") if recogniser else redact.suspicious(names)
    mask = filled(pc.and_not(likely, pc.match_substring_regex(names, MACHINE)), False)
    few = names.filter(mask).dictionary_encode()
    changed = [hashed(name) if path(name, kinds, recogniser) != name else name for name in strings(few.dictionary)]
    return replaced(names, mask, pa.array(changed, names.type).take(few.indices))
