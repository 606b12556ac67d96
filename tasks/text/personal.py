"""Structured personal data: e-mail, links, IBAN, payment cards, US social security numbers, IP addresses.

Each finder gives (start, end, value) of what it finds in a text; telephone numbers have `tasks.text.phones`.
A number is taken only if it proves itself: a card by its issuer and Luhn's digit, an IBAN by its country's length and its check digits.
"""

from __future__ import annotations

import ipaddress
import re

from tasks.text.spans import Spans

LETTER = "A-Za-zÀ-ɏͰ-ӿ"
EMAIL = re.compile(
    rf"[{LETTER}0-9][{LETTER}0-9._%+'-]{{0,63}}@(?:[{LETTER}0-9](?:[{LETTER}0-9-]{{0,62}})\.|[{LETTER}0-9]\.)+[{LETTER}]{{2,24}}"
)
FILE_ENDS = frozenset(("png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "py"))  # logo@2x.png
URL = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:https?|ftps?|wss?)://(?!localhost\b|127\.0\.0\.1\b)|www\.(?=[\w-]+\.))[^\s<>\"'`\[\]{}|\\^\x02（）。，]+",
    re.IGNORECASE,
)
IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}")
CARD_NAMED = re.compile(r"\b(?:card|cc|visa|mastercard|maestro|amex|karte|tarjeta|carte|cartão|carta)\b[^\d]{0,24}$", re.IGNORECASE)
CARD = re.compile(
    r"(?<![A-Za-z0-9_])(?<!\d[.,-])(?:\d{4}([ .-]?)\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{4}([ .-])\d{6}\2\d{4,5}|\d{12,19})(?![A-Za-z0-9_])"
)
ISSUERS = re.compile(  # Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay, Maestro
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11,16}|6(?:011|4[4-9]\d|5\d\d)\d{12,15}"
    r"|35\d{14}|(?:1800|2131)\d{11}|62\d{14,17}|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}"
)
SSN = re.compile(r"(?<![A-Za-z0-9_-])(?<!\d[.,])(?!000|666)\d{3}([-.])(?!00)\d{2}\1(?!0000)\d{4}(?![A-Za-z0-9_-])")
SSN_NAMED = re.compile(r"(?:\bssn\b|social security)[^\d\n]{0,30}(?!000|666)(\d{3} ?(?!00)\d{2} ?(?!0000)\d{4})(?!\d)", re.IGNORECASE)
IPV4 = re.compile(r"(?<![A-Za-z0-9_.])(?:\d{1,3}\.){3}\d{1,3}(?![A-Za-z0-9_]|\.\d)")
NETWORK = re.compile(r"/\d{1,2}(?!\d)")
VERSION = re.compile(r"\b(?:v|ver|version|versión|release|build|firmware|update|patch)\.?\s*$", re.IGNORECASE)
IPV6 = re.compile(r"(?<![A-Za-z0-9_:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![A-Za-z0-9_:])")
# Length of an IBAN by country (SWIFT's registry).
IBAN_COUNTRIES = {
    15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST",
    26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU",
    31: "MT SC", 32: "LC", 33: "RU",
}  # fmt: skip
IBAN_LENGTHS = {code: length for length, codes in IBAN_COUNTRIES.items() for code in codes.split()}


def emails(text: str) -> Spans:
    """E-mail addresses, in lower case."""
    for found in EMAIL.finditer(text):
        local, _, domain = found[0].lower().partition("@")
        repository = local == "git" and text[found.end() : found.end() + 1] == ":"
        if domain.rpartition(".")[2] not in FILE_ENDS and not repository:
            yield found.start(), found.end(), found[0].lower()


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
        value = re.sub(r"\D", "", found[0])
        if luhn(value) and (ISSUERS.fullmatch(value) or CARD_NAMED.search(text, max(0, found.start() - 40), found.start())):
            yield found.start(), found.end(), value


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def social_security_numbers(text: str) -> Spans:
    """US social security numbers: with their separators, or named as such."""
    for found in SSN.finditer(text):
        yield found.start(), found.end(), re.sub(r"\D", "", found[0])
    for found in SSN_NAMED.finditer(text):
        yield found.start(1), found.end(1), found[1].replace(" ", "")


def ip_addresses(text: str) -> Spans:
    """Addresses of both versions that may lead to a person: not loopback, not a mask, not a version number."""
    for found in IPV4.finditer(text):
        parts = [int(part) for part in found[0].split(".")]
        nobody = parts[0] == 0 or parts[:3] == [127, 0, 0] or parts[:2] == [255, 255]
        # A private network, or one with its mask, is a place in a diagram.
        network = NETWORK.match(text, found.end()) and (parts[3] == 0 or parts[0] == 10 or parts[:2] == [192, 168])
        if max(parts) < 256 and not nobody and not network and not VERSION.search(text, max(0, found.start() - 16), found.start()):
            yield found.start(), found.end(), ".".join(map(str, parts))
    for found in IPV6.finditer(text):
        # At least five hex digits and a decimal one: `a::b` is more often code than an address.
        if len(found[0].replace(":", "")) < 5 or not re.search(r"\d", found[0]):
            continue
        try:
            yield found.start(), found.end(), ipaddress.IPv6Address(found[0]).compressed
        except ValueError:
            continue
