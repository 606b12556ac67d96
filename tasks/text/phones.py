"""Telephone numbers: international, North American, national with a trunk zero, and whatever is called a telephone number.

A bare number proves nothing, so an order number, a price, a date, a time or an ISBN stays: without the words around it a number
must be written the way that only telephone numbers are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.text.spans import Spans

# Around a number no letter or digit of ASCII; scripts without spaces put theirs right beside it.
EDGE = r"(?<![A-Za-z0-9_.,$€£¥#-])"
ADDED = r"(?:[ ,]{0,2}(?:x|ext\.?|extension)[ .]?\d{1,6})?"
TAIL = ADDED + r"(?![A-Za-z0-9_]|-\d|[.,]\d)"
INTERNATIONAL = re.compile(r"(?<![A-Za-z0-9_+])\+\(?[1-9](?:(?:[ ./-]|\)[ -]?| ?\()?\d){6,14}(?!\d)" + ADDED)
PREFIXED = re.compile(EDGE + r"00[1-9]\d{0,2}[ .-](?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}" + TAIL)
AMERICAN = re.compile(EDGE + r"(?:1[ .-])?(?:\(\d{3}\)[ .-]?\d{3}[ .-]?\d{4}|\d{3}([ .-])\d{3}\1\d{4})" + TAIL)
TRUNK = re.compile(EDGE + r"(?:\(0\d{1,4}\)|0\d{1,4})(?:[ ./-]\d{2,8}){1,4}" + TAIL)
CHINESE = re.compile(r"(?<![A-Za-z0-9_.-])1[3-9]\d(?:\d{8}|[ -]\d{4}[ -]\d{4})(?![A-Za-z0-9_-])")
HAN = re.compile("[\u4e00-\u9fff]")
WORDS = (
    r"tel|telephone|phone|mobile|cell|cellphone|fax|desk|call(?: \w+)?|ring|dial|text (?:me|us|him|her|them)|sms|whatsapp|telegram"
    r"|signal|reach \w+|answering|contact \w+|messages? (?:to|on|at)|telefon|handy|mobil|anrufen|telefono|teléfono|móvil|celular"
    r"|llam\w+|téléphone|portable|appel\w+|telemóvel|telefone|cellulare|chiam\w+|телефон|звони\w+"
)
NUMBER = re.compile(r"(?<![A-Za-z0-9_+(])(?:\(\d{1,5}\)|\d)(?:[ ()./-]{0,2}\d){6,13}" + TAIL)
NAME = re.compile(rf"(?:\b(?:{WORDS})\b|电话|電話|手机|手機|전화|هاتف|फ़ोन)[^\d\n+()]{{0,24}}(?:\n\s?)?$", re.IGNORECASE)
NAME_AFTER = re.compile(r"[ -]{0,3}(?:office|fax|mobile|mobil|cell)\b", re.IGNORECASE)
BEFORE = 48  # characters before a number in which its name is looked for
# What stands between the word and the number and makes it another number.
OTHER = re.compile(
    r"order|account|confirmation|tracking|flight|invoice|ticket|booking|reference|serial|model|isbn|case|zip|card|\bid\b|\bpin\b|[$€£¥#]",
    re.IGNORECASE,
)
DATE = re.compile(r"\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{4}(?: \d+)?|(?:19|20)\d\d[ -]{1,3}(?:19|20)\d\d")
# Pattern, fewest and most digits.
WRITTEN = ((INTERNATIONAL, 8, 15), (PREFIXED, 10, 16), (AMERICAN, 10, 11), (TRUNK, 9, 12))
EXTENSION = re.compile(r"[ ,]{0,2}(?:x|ext).*", re.IGNORECASE | re.DOTALL)


def phones(text: str) -> Spans:
    """Telephone numbers; the value is their digits without extension, trunk zeros and the North American 1."""
    for found in candidates(text):
        yield found.start(), found.end(), _same(found[0])


def candidates(text: str) -> Iterator[re.Match[str]]:
    """Matches of all the ways to write a telephone number."""
    seen: set[tuple[int, int]] = set()
    for pattern, fewest, most in WRITTEN:
        for found in pattern.finditer(text):
            if fewest <= _count(found[0]) <= most and not DATE.fullmatch(found[0]):
                seen.add(found.span())
                yield found
    if HAN.search(text):
        yield from CHINESE.finditer(text)
    for found in NUMBER.finditer(text):
        if found.span() in seen:
            continue
        name = NAME.search(text, max(0, found.start() - BEFORE), found.start())
        named = NAME_AFTER.match(text, found.end()) if name is None else not OTHER.search(name[0])
        if named and not DATE.fullmatch(found[0]):
            yield found


def _count(number: str) -> int:
    """Digits of a number without its extension. Ten at least where nothing but the plus says that it is one."""
    bare = EXTENSION.sub("", number)
    digits = sum(map(str.isdecimal, bare))
    return digits if digits > 9 or not re.fullmatch(r"\+\d+", bare) else 0


def _same(number: str) -> str:
    """Digits by which two spellings of a number are the same."""
    digits = re.sub(r"\D", "", EXTENSION.sub("", number)).removeprefix("00").lstrip("0")
    return digits[1:] if len(digits) == 11 and digits[0] == "1" and not number.lstrip().startswith("13") else digits
