"""Redaction: structured personal data and secrets give way to placeholders such as `[EMAIL_1]`.

Two steps, because equal values must get equal placeholders in all of a conversation: `mark_all(texts, kinds)` works row by
row and puts a mark with kind and value where a value stood; `Books` then numbers the marks of each conversation by first
appearance. Marks exist in memory only, and between two control characters that no repaired text holds.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from itertools import repeat
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import filled, replaced, strings
from tasks.common.redaction import addresses, name_model, national, personal, phones, secrets
from tasks.common.redaction.spans import Spans
from tasks.common.text_repair import apply
from tasks.core.ids import ConversationId, keyed_digest

Finder = Callable[[str], Spans]
# How a text looks in which a kind may be: RE2 patterns, by which most rows never reach Python.
NUMBERS = r"(?:[0-9][ .,()/+-]{0,3}){6}[0-9]"
HINTS = {
    "key": f"{secrets.KEY_HINT}|{secrets.SERVICE_HINT}",
    "url": r"://|(?i:www\.)",
    "password": secrets.PASSWORD_HINT,
    "email": r"@|(?i:[(\[{<] ?at ?[)\]}>])| AT ",
    "iban": r"[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9]{2}",
    "card": r"[0-9]{4}[ .·-]{0,2}[0-9]{4}|(?:[0-9][ -]){11}",
    "ssn": r"[0-9]{3}[ .-]?[0-9]{2}[ .-]?[0-9]{4}",
    "id": r"[0-9](?:[ ./-]?[0-9]){7}|[0-9]{6} ?[0-9]?-?[A-Za-z]|[0-9]{2} ?[0-9]{2} ?[0-9]{2} [A-Da-d]|[A-Za-z]{4}[0-9]{4}"
    r"|[A-Za-z]{6}[0-9]{2}|[A-Z][0-9]{6}"
    r"|(?i:passport|passeport|pasaporte|passaport|paspoort|paszport|licen[cs]e|ausweis|führerschein|护照|護照|パスポート"
    r"|여권)[^0-9\n]*[0-9]",
    "mac": r"[0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}",
    "wallet": r"[1-9A-Za-z]{26}",
    "ip": r"(?:[0-9]{1,3}\.){3}[0-9]|[0-9a-fA-F]:[0-9a-fA-F:]*:|::[0-9a-fA-F]",
    "phone": NUMBERS,
}
# In order: where two kinds claim the same characters, the first one has them.
KINDS: dict[str, Finder] = {
    "key": secrets.keys,
    "url": personal.urls,
    "password": secrets.passwords,
    "email": personal.emails,
    "iban": personal.ibans,
    "card": personal.cards,
    "ssn": personal.social_security_numbers,
    "id": national.ids,
    "mac": addresses.mac_addresses,
    "ip": addresses.ip_addresses,
    "wallet": addresses.wallets,
    "phone": phones.phones,
}
FOREIGN = r"[＠：-｝]|[^\x00-\x7f\PN]|[0-9][‐-―−]"  # digits and signs of other scripts, which only `flat` reads
HINTED = {kind: re.compile(hint) for kind, hint in HINTS.items()}  # for what is left of a text in which something was found
OTHERS = re.compile("(?![0-9])\\d|[\u2010-\u2015\u2212\u2e3a\u2e3b\u301c\ufe58\ufe63\uff0d\uff01-\uff5e]")  # the same for Python
# Four patterns for all kinds: in one, RE2 would fall off its fast path.
WORDY = ("key", "password")
SUSPECTS = (
    secrets.KEY_HINT,
    secrets.SERVICE_HINT,
    secrets.PASSWORD_HINT,
    "|".join([*(hint for kind, hint in HINTS.items() if kind not in WORDY), FOREIGN]),
)
OPEN, CLOSE, BLANK = "\x02", "\x03", "\x02"
HIDDEN = "*"  # what a recogniser sees in the place of a value
MARK = re.compile(f"{OPEN}([a-z]+)\x1f([^{CLOSE}]*){CLOSE}", re.DOTALL)
PLACEHOLDER = r"\[(" + "|".join(sorted(kind.upper() for kind in (*KINDS, *name_model.KINDS))) + r")_([0-9]{1,9})\]"


def mark_all(texts: pa.Array[Any], kinds: Collection[str], recogniser: name_model.Recogniser | None = None) -> pa.Array[Any]:
    """Every text with marks where values of these kinds stood, and names and places where a recogniser is given; nulls stay."""
    wanted = [kind for kind in KINDS if kind in kinds]
    if not wanted and recogniser is None:
        return texts
    mask = suspicious(texts) if recogniser is None else filled(pc.match_substring_regex(texts, r"\pL|[0-9]{4}"), False)
    few = texts.filter(mask).dictionary_encode()
    plain = apply(few.dictionary, FOREIGN, flat)
    likely = [pc.match_substring_regex(plain, HINTS[kind]).to_pylist() for kind in wanted]
    hint_rows = zip(*likely, strict=True) if wanted else repeat((), len(plain))
    chosen = ([kind for kind, hints in zip(wanted, row, strict=True) if hints] for row in hint_rows)
    rows = zip(strings(few.dictionary), strings(plain), chosen, strict=True)
    marked = [mark(text, flattened, few_kinds, recogniser) for text, flattened, few_kinds in rows]
    return replaced(texts, mask, pa.array(marked, texts.type).take(few.indices))


def suspicious(texts: pa.Array[Any]) -> pa.BooleanArray:
    """Which texts may hold a value of any kind."""
    found: pa.BooleanArray = functools.reduce(pc.or_, [pc.match_substring_regex(texts, pattern) for pattern in SUSPECTS])
    return filled(found, False)


def mark(text: str, plain: str, kinds: Collection[str], recogniser: name_model.Recogniser | None = None) -> str:
    """One text with marks, by what is found in its flat form."""
    found = find(plain, kinds)
    if recogniser is not None:
        found = with_names(plain, found, recogniser)
    parts, at = [], 0
    for start, end, kind, value in found:
        parts += [text[at:start], f"{OPEN}{kind}\x1f{value}{CLOSE}"]
        at = end
    return "".join([*parts, text[at:]]) if found else text


def find(plain: str, kinds: Collection[str]) -> list[tuple[int, int, str, str]]:
    """(start, end, kind, value) of all of these kinds in a flat text, in order of place, without overlap.

    What is found is blanked and the rest searched again, until nothing is left: so a second redaction finds nothing new.
    """
    before = -1
    found: list[tuple[int, int, str, str]] = []
    while len(found) > before:
        before = len(found)
        for kind, finder in KINDS.items():
            if kind not in kinds or (found and not HINTED[kind].search(plain)):
                continue
            # Of two that overlap the earlier, of two that begin together the longer.
            for start, end, value in sorted(finder(plain), key=lambda span: (span[0], -span[1])):
                if BLANK not in plain[start:end]:
                    found.append((start, end, kind, value))
                    plain = plain[:start] + BLANK * (end - start) + plain[end:]
    return sorted(found)


def with_names(plain: str, found: list[tuple[int, int, str, str]], recogniser: name_model.Recogniser) -> list[tuple[int, int, str, str]]:
    """What was found, and the names and places in what is left of the text; placeholders that are in it already are none."""
    taken = [(start, end) for start, end, _, _ in found] + [hints.span() for hints in re.finditer(PLACEHOLDER, plain)]
    for start, end in taken:
        plain = plain[:start] + HIDDEN * (end - start) + plain[end:]
    return sorted(found + [span for span in recogniser.find(plain) if HIDDEN not in plain[span[0] : span[1]]])


def flat(text: str) -> str:
    """The text with digits, dashes and full-width letters of any script as ASCII, each in its place."""
    return text if text.isascii() else OTHERS.sub(_flat, text)


def _flat(found: re.Match[str]) -> str:
    letter = found[0]
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    return unicodedata.normalize("NFKC", letter) if "\uff01" <= letter <= "\uff5e" else "-"


def digests(texts: pa.Array[Any], more: pa.Array[Any], rows: pa.Array[Any], salt: str) -> pa.Array[Any]:
    """A salted digest of the values behind each text's marks, in their order; null without any.

    `more` are further texts of the same messages, and `rows` the places of these in `texts`.
    """
    marked = dict(_marked(texts))
    for place, text in _marked(more):
        row = rows[place].as_py()
        marked[row] = marked.get(row, "") + text
    found = [keyed_digest(salt, *(part for mark in MARK.findall(text) for part in mark)) for text in marked.values()]
    values: pa.Array[Any] = pa.array(found, texts.type)
    return values.take(pc.index_in(pa.array(np.arange(len(texts))), pa.array(list(marked), pa.int64())))


def _marked(texts: pa.Array[Any]) -> Iterator[tuple[int, str]]:
    """The texts with marks, and their places."""
    places = pc.indices_nonzero(filled(pc.match_substring(texts, OPEN), False))
    return zip(cast("list[int]", places.to_pylist()), strings(texts.take(places)), strict=True)


def _with_conversations(
    conversations: pa.Array[Any], texts: pa.Array[Any], chosen: pa.BooleanArray
) -> Iterator[tuple[ConversationId, str]]:
    """The chosen texts, each with its conversation."""
    ids = cast("list[ConversationId]", conversations.filter(chosen).to_pylist())
    return zip(ids, strings(texts.filter(chosen)), strict=True)


class Books:
    """The placeholders of all conversations."""

    def __init__(self) -> None:
        self._used: dict[tuple[ConversationId, str], int] = defaultdict(int)  # (conversation, kind): highest number
        self._known: dict[tuple[ConversationId, str, str], str] = {}  # (conversation, kind, value): placeholder

    def reserve(self, conversations: pa.Array[Any], texts: pa.Array[Any]) -> None:
        """Note the placeholders that are in the texts already (logs that somebody redacted), so that no number is given twice."""
        mask = filled(pc.match_substring_regex(texts, PLACEHOLDER), False)
        for conversation, text in _with_conversations(conversations, texts, mask):
            for kind, number in re.findall(PLACEHOLDER, text):
                self._used[conversation, kind] = max(self._used[conversation, kind], int(number))

    def number(self, conversations: pa.Array[Any], texts: pa.Array[Any]) -> pa.Array[Any]:
        """The texts with placeholders for marks, numbered in the order of the rows."""
        mask = filled(pc.match_substring(texts, OPEN), False)
        rows = _with_conversations(conversations, texts, mask)
        done = [MARK.sub(lambda found, name=name: self._placeholder(name, found[1], found[2]), text) for name, text in rows]  # type: ignore[misc]
        return replaced(texts, mask, pa.array(done, texts.type))

    def _placeholder(self, conversation: ConversationId, kind: str, value: str) -> str:
        key = (conversation, kind, value)
        if key not in self._known:
            self._used[conversation, kind.upper()] += 1
            self._known[key] = f"[{kind.upper()}_{self._used[conversation, kind.upper()]}]"
        return self._known[key]


def plain_all(texts: pa.Array[Any], kinds: Collection[str], recogniser: name_model.Recogniser | None = None) -> pa.Array[Any]:
    """Texts outside any conversation (tags, names): placeholders without a number."""
    return apply(mark_all(texts, kinds, recogniser), OPEN, lambda text: MARK.sub(lambda found: f"[{found[1].upper()}]", text))
