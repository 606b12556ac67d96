"""Redaction of names that are no texts: paths of raw files, and ids of conversations and turns.

A path keeps what tells files apart and loses what tells people: each value gives way to its kind, as in texts. Exporters write
paths in ways that hide a value from a reader of texts, so a path is also read with its joints as blanks and its percent signs undone.
An id that holds a value is hashed whole, because its parts mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from urllib.parse import unquote

import pyarrow as pa

from tasks.text import redact
from tasks.text.repair import apply

ANY = r"(?s:.)"
JOINT = re.compile(r"_|(?<=[^\W\d_])-(?=\d)|(?<=\d)-(?=[^\W\d_])")  # in paths, what a blank is in texts


def paths(names: pa.Array, kinds: Collection[str]) -> pa.Array:
    """Every path without the values of these kinds; nulls stay."""
    return apply(names, ANY, lambda name: path(name, kinds))


def path(name: str, kinds: Collection[str]) -> str:
    """One path without the values of these kinds."""
    plain = unquote(name, errors="replace")
    for text in (name, plain) if plain != name else (name,):
        found = redact.find(text, kinds) or redact.find(JOINT.sub(" ", text), kinds)
        if found:
            return path(_replaced(text, found), kinds)
    return name


def _replaced(text: str, found: list[tuple[int, int, str, str]]) -> str:
    parts, at = [], 0
    for start, end, kind, _ in found:
        parts += [text[at:start], f"[{kind.upper()}]"]
        at = end
    return "".join([*parts, text[at:]])


def ids(names: pa.Array, kinds: Collection[str], hashed: Callable[[str], str]) -> pa.Array:
    """Every id as it is, or hashed where it holds a value of these kinds: everywhere alike, so that references still meet."""
    wanted = [kind for kind in redact.KINDS if kind in kinds]
    return apply(names, redact.SUSPECT, lambda name: hashed(name) if redact.find(name, wanted) else name) if wanted else names
