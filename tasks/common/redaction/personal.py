"""Structured personal data: e-mail, links, IBAN, payment cards, US social security numbers.

Each finder gives (start, end, value) of what it finds in a text; telephone numbers have
`tasks.common.redaction.phones`, national numbers `tasks.common.redaction.national`, addresses of machines and wallets
`tasks.common.redaction.addresses`.
A number is taken only if it proves itself: a card by its issuer and Luhn's digit, an IBAN by its country's length and its check digits.
"""

from __future__ import annotations

import re

from tasks.common.redaction.check_digits import luhn
from tasks.common.redaction.national import OTHER
from tasks.common.redaction.spans import Spans

LETTER = "A-Za-zÀ-ɏͰ-ӿ"
EMAIL = re.compile(
    rf"[{LETTER}0-9][{LETTER}0-9._%+'-]{{0,63}}@(?:[{LETTER}0-9](?:[{LETTER}0-9-]{{0,62}})\.|[{LETTER}0-9]\.)+[{LETTER}]{{2,24}}"
)
# Ends that are no domain's: of files (logo@2x.png), of units (getty@tty1.service), of what code calls (q@k.shape).
_ENDS = (
    "png jpg jpeg gif svg webp ico css js jsx tsx py java kt class json xml html yaml yml toml txt csv pdf gz dll exe lock service"
    " socket timer target slice mount"
    " shape size dtype ndim grad data inv item mean sum transpose reshape weight bias value values length start stop apply method"
    " field property args params config"
)
FILE_ENDS = frozenset(_ENDS.split())
KEYWORDS = frozenset(("this", "super", "self", "return", "break", "continue", "it"))  # Kotlin's labels
SPELLED = re.compile(  # jane (at) example (dot) org
    rf"(?<![{LETTER}0-9._%+-])([{LETTER}0-9][{LETTER}0-9._%+-]{{0,63}}) ?(?:[\[({{<] ?(?:at|@) ?[\])}}>]|\bAT\b)"
    rf" ?((?:[{LETTER}0-9-]{{1,63}}(?: ?[\[({{<] ?(?:dot|\.) ?[\])}}>] ?| DOT |\.))+[{LETTER}]{{2,24}})(?![{LETTER}0-9])",
    re.IGNORECASE,
)
DOT = re.compile(r" ?[\[({<] ?(?:dot|\.) ?[\])}>] ?| dot ", re.IGNORECASE)
URL = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:https?|ftps?|wss?)://(?!localhost\b|127\.0\.0\.1\b)|www\.(?=[\w-]+\.))[^\s<>\"'`\[\]{}|\\^\x02（）。，]+",
    re.IGNORECASE,
)
IBAN = re.compile(r"(?:(?<=IBAN)|(?<![A-Za-z0-9]))[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}")
CARD_NAMED = re.compile(r"\b(?:card|cc|visa|mastercard|maestro|amex|karte|tarjeta|carte|cartão|carta)\b[^\d]{0,24}$", re.IGNORECASE)
# Groups of a card's number, looked for at every place: a year may stand right before it. Or single digits.
CARD = re.compile(
    r"(?<![A-Za-z0-9_])(?<!\d[.,-])(?=((?:\d{4}([ .·-]{0,2})\d{4}\2\d{4}\2\d{4}(?:\2\d{3})?|\d{4}([ .-])\d{6}\3\d{4,5}|\d{12,19}"
    r"|\d(?:([ -])\d)(?:\4\d){11,17}))(?![A-Za-z0-9_]))"
)
GROUP_BEFORE, GROUP_AFTER = re.compile(r"(?:\d{4}[ .-]){2}$"), re.compile(r"(?:[ .-]\d{4}){2}")  # a matrix, not a card
ISSUERS = re.compile(  # Visa, Mastercard, Mir, American Express, Diners, Discover, JCB, UnionPay, Maestro
    r"4(?:\d{15}|\d{18})|(?:5[1-5]\d\d|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720|20[0-4]))\d{12}|3[47]\d{13}|3(?:0[0-5]"
    r"|[689]\d)\d{11,16}|6(?:011|4[4-9]\d|5\d\d)\d{12,15}"
    r"|35\d{14}|(?:1800|2131)\d{11}|62\d{14,17}|(?:60|81|82|508\d)\d{14}(?<=^\d{16})|9792\d{12}|(?:5018|5020|5038|5893|6304|6759"
    r"|676[1-3])\d{8,15}"
)
NUMBERED = re.compile(r"(?:commit|snowflake|timestamp|tracking|\bean\b|isbn|imei|parcel)\w*(?: \w+)?[^\d\n]{0,12}$", re.IGNORECASE)
SSN = re.compile(r"(?<![A-Za-z0-9_-])(?<!\d[.,])(?!000|666)\d{3}([-.])(?!00)\d{2}\1(?!0000)\d{4}(?![A-Za-z0-9_-])")
SSN_NAMED = re.compile(r"(?:\bssn\b|social security)[^\d\n]{0,30}(?!000|666)(\d{3} ?(?!00)\d{2} ?(?!0000)\d{4})(?!\d)", re.IGNORECASE)
# Length of an IBAN by country (SWIFT's registry).
IBAN_COUNTRIES = {
    15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST",
    26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU",
    31: "MT SC", 32: "LC", 33: "RU",
}  # fmt: skip
IBAN_LENGTHS = {code: length for length, codes in IBAN_COUNTRIES.items() for code in codes.split()}


def emails(text: str) -> Spans:
    """E-mail addresses, in lower case, also those that are spelled out."""
    for found in EMAIL.finditer(text):
        if not _code(found[0], text[found.end() : found.end() + 1]):
            yield found.start(), found.end(), found[0].lower()
    if "(" in text or "[" in text or "{" in text or " AT " in text:
        for found in SPELLED.finditer(text):
            yield found.start(), found.end(), f"{found[1]}@{DOT.sub('.', found[2])}".lower()


def _code(address: str, after: str) -> bool:
    """Whether the address is code: a repository, a file, a label, a product of matrices, a call."""
    local, _, domain = address.partition("@")
    end = domain.rpartition(".")[2]
    if (local == "git" and after == ":") or end.lower() in FILE_ENDS or local.lower() in KEYWORDS:
        return True
    called = after in ("(", "[")
    product = bool(re.fullmatch(r"[A-Za-z]\w?(?:\.T)?", local)) and ((called and len(domain) < 6) or end == "T")
    return (called and len(end) > 3) or product or bool(re.search("[a-z][A-Z]", end))


def urls(text: str) -> Spans:
    """Links, without the punctuation of the sentence around them."""
    for found in URL.finditer(text):
        link = found[0].rstrip(".,;:!?*_~)") if ")" in found[0] and "(" not in found[0] else found[0].rstrip(".,;:!?*_~")
        if len(link) > len("https://"):
            yield found.start(), found.start() + len(link), link.rstrip("/")


def ibans(text: str) -> Spans:
    """IBANs, spaced or not, in capitals."""
    for found in IBAN.finditer(text):
        length = IBAN_LENGTHS.get(found[0][:2].upper(), 0)
        end, seen = found.start(), 0
        while seen < length and end < found.end():
            seen += text[end].isalnum()
            end += 1
        value = re.sub("[ -]", "", text[found.start() : end]).upper()
        cut = end < len(text) and text[end].isascii() and text[end].isalnum()
        if length and seen == length and not cut and int("".join(str(int(letter, 36)) for letter in value[4:] + value[:4])) % 97 == 1:
            yield found.start(), end, value


def cards(text: str) -> Spans:
    """Numbers of payment cards, digits only."""
    for found in CARD.finditer(text):
        value, (start, end) = re.sub(r"\D", "", found[1]), found.span(1)
        named = CARD_NAMED.search(text, max(0, start - 40), start)
        row = GROUP_BEFORE.search(text, max(0, start - 10), start) or GROUP_AFTER.match(text, end)
        if luhn(value) and (named or (ISSUERS.fullmatch(value) and not row and not NUMBERED.search(text, max(0, start - 40), start))):
            yield start, end, value


def social_security_numbers(text: str) -> Spans:
    """US social security numbers: with their separators, or named as such."""
    for found in SSN.finditer(text):
        if not OTHER.search(text, max(0, found.start() - 40), found.start()):
            yield found.start(), found.end(), re.sub(r"\D", "", found[0])
    for found in SSN_NAMED.finditer(text):
        yield found.start(1), found.end(1), found[1].replace(" ", "")
