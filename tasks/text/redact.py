"""Redaction of structured personal data and secrets under placeholders such as `[EMAIL_1]`.

The same value (compared without its punctuation and case) gets the same placeholder everywhere in a conversation.
Numbers that only look personal stay: a card must pass Luhn's check, an IBAN its check digits modulo 97, a telephone
number must be written as one.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

# RE2: rows without a match hold nothing of any kind, so that most rows never reach Python.
SUSPECT = (
    r"@|://|www\.|\d[\d ().\-]{5,}\d|\d{7,}|[A-Z]{2}\d{2}|[0-9a-fA-F]:[0-9a-fA-F:]*:"
    r"|[sr]k[-_]|gh[pousr]_|github_pat_|xox[abeprs]-|AIza|A[KS]IA"
    r"|eyJ|-----BEGIN|glpat-|hf_|npm_|(?i:bearer |passwor[dt]|passwd|secret|api.?key|token)"
)


def _digits(value: str) -> str:
    return re.sub(r"\D", "", value)


def _lower(value: str) -> str:
    return value.lower()


def luhn(value: str) -> bool:
    """Whether the digits end in their Luhn check digit (ISO/IEC 7812-1) and are not all alike."""
    digits = [int(digit) for digit in _digits(value)]
    total = sum(digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits)))
    return 13 <= len(digits) <= 19 and total % 10 == 0 and len(set(digits)) > 1


def iban(value: str) -> bool:
    """Whether the check digits of an IBAN are right (ISO 13616, modulo 97)."""
    text = re.sub(r"\s", "", value).upper()
    return 15 <= len(text) <= 34 and int("".join(str(int(letter, 36)) for letter in text[4:] + text[:4])) % 97 == 1


def phone(value: str) -> bool:
    """Whether a number written like a telephone number has the digits of one (ITU E.164: at most 15)."""
    digits = _digits(value)
    return 7 <= len(digits) <= 15 and len(set(digits)) > 2


def address(value: str) -> bool:
    """Whether this is an IP address, of either version, that names a machine."""
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        return False
    return not found.is_unspecified and any(letter.isdecimal() for letter in value)  # `a::b` is more often code


def anything(value: str) -> bool:
    """No further check."""
    return bool(value)


@dataclass(frozen=True)
class Kind:
    """One kind of value: how it looks, what else must hold, and what makes two of them the same."""

    pattern: re.Pattern[str]
    valid: Callable[[str], bool] = anything
    same: Callable[[str], str] = str


SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\b(?:sk|rk|pk)[-_](?:(?:live|test|proj|ant|or)[-_])?[A-Za-z0-9_-]{16,}|\bxox[abeprs]-[\w-]{10,}"
    r"|\bAIza[\w-]{30,}|\bhf_[A-Za-z0-9]{20,}|\bnpm_[A-Za-z0-9]{30,}"
    r"|(?<=[Bb]earer )[\w.~+/-]{16,}=*"
    r"|(?i:(?<=password: )|(?<=password is )|(?<=password=)|(?<=passwort: )|(?<=passwd=)|(?<=api_key=)|(?<=apikey=)"
    r"|(?<=api key: )|(?<=secret=)|(?<=token=))(?!\[)[^\s,;\"'<>]{6,}"
)
# In order: where two kinds match the same place, the first one wins.
KINDS: dict[str, Kind] = {
    "secret": Kind(SECRET),
    "email": Kind(re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+'-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"), same=_lower),
    "url": Kind(
        re.compile(r"\b(?:https?|ftp)://[^\s<>\"'\])}]+[^\s<>\"'\])}.,;:!?]|\bwww\.[\w-]+\.[\w./-]*\w", re.IGNORECASE), same=_lower
    ),
    "iban": Kind(
        re.compile(r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,4})?\b"), iban, lambda value: value.replace(" ", "")
    ),
    "card": Kind(re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d])"), luhn, _digits),
    "ssn": Kind(re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])"), same=_digits),
    "ip": Kind(
        re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}(?![\w:])"),
        address,
        _lower,
    ),
    "phone": Kind(
        re.compile(
            r"(?<![\w+])\+\d{1,3}(?:[ ./-]?\(?\d{1,5}\)?){2,6}(?!\d)"
            r"|(?<![\w-])(?:1[ .-])?\(\d{3}\)[ .-]?\d{3}[ .-]?\d{4}(?!\d)"
            r"|(?<![\w.-])(?:1[ .-])?\d{3}([ .-])\d{3}\1\d{4}(?![\w-])"
            r"|(?<![\w.-])0\d{2,4}[ /-]\d{3,8}(?:[ -]\d{2,5}){0,3}(?![\w-])"
        ),
        phone,
        lambda value: _digits(value)[-10:],
    ),
}


class Book:
    """The placeholders of one conversation, numbered by first appearance."""

    def __init__(self, kinds: Collection[str]) -> None:
        self.kinds = {name: kind for name, kind in KINDS.items() if name in kinds}
        self.known: dict[tuple[str, str], str] = {}
        self.counts: dict[str, int] = {}

    def redact(self, text: str) -> str:
        """The text with every value of the kinds in place of which stands its placeholder."""
        for name, kind in self.kinds.items():
            text = kind.pattern.sub(functools.partial(self._placeholder, name, kind), text)
        return text

    def _placeholder(self, name: str, kind: Kind, found: re.Match[str]) -> str:
        value = found[0]
        if not kind.valid(value):
            return value
        key = (name, kind.same(value))
        if key not in self.known:
            self.counts[name] = self.counts.get(name, 0) + 1
            self.known[key] = f"[{name.upper()}_{self.counts[name]}]"
        return self.known[key]


def suspects(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Boolean mask of the texts that may hold something."""
    return pc.fill_null(pc.match_substring_regex(texts, SUSPECT), False)
