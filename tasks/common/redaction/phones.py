"""Telephone numbers: international, North American, national with a trunk zero, and whatever is called a telephone number.

A bare number proves nothing, so an order number, a price, a date, a time or an ISBN stays: without the words around it a number
must be written the way that only telephone numbers are. With them it must not be called something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.common.redaction.spans import Spans

# Around a number no letter or digit of ASCII; scripts without spaces put theirs right beside it.
EDGE = r"(?<![A-Za-z0-9_.,$€£¥#-])"
ALONE = r"(?<![0-9] )(?<!\d[.,] )"  # not in a row of groups of digits
ADDED = r"(?:[ ,]{0,2}(?:x|ext\.?|extension)[ .]?\d{1,6})?"
TAIL = ADDED + r"(?![A-Za-z0-9_]|-\d|[.,]\d)"
LAST = r"(?! \d{2})"  # and no group of digits behind it
INTERNATIONAL = re.compile(r"(?<![A-Za-z0-9_+])\+\(?[1-9](?:(?:[ ./-]|\)[ ./-]?| ?\()?\d){6,14}(?!\d)" + ADDED)
PREFIXED = re.compile(EDGE + ALONE + r"00[1-9]\d{0,2}[ .-](?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}" + TAIL)
AMERICAN = re.compile(
    EDGE
    + r"(?:(?:1[ .-])?\(\d{3}\)[ .-]?\d{3}[ .-]?\d{4}|(?:1[ .-])?[2-9]\d{2}([.-])\d{3}\1\d{4}|"
    + ALONE
    + r"(?:1 )?[2-9]\d{2} [2-9]\d{2} \d{4}"
    + LAST
    + ")"
    + TAIL
)
TRUNK = re.compile(EDGE + ALONE + r"(?:\(0[1-9]\d{0,3}\)|0[1-9]\d{0,3})(?:(?:[ ./-]| [./-] )\d{2,8}){1,4}" + TAIL)
CHINESE = re.compile(r"(?<![A-Za-z0-9_.-])1[3-9]\d(?:\d{8}|[ -]\d{4}[ -]\d{4})(?![A-Za-z0-9_-])")
RUSSIAN = re.compile(
    EDGE + ALONE + r"8[ -]?\(\d{3,4}\)[ -]?\d{2,3}[ -]\d{2}[ -]\d{2}" + TAIL + "|" + EDGE + r"8-\d{3}-\d{3}-\d{2}-\d{2}" + TAIL
)
BRAZILIAN = re.compile(EDGE + r"\(\d{2}\) ?9?\d{4}-\d{4}" + TAIL)
HAN = re.compile("[\u4e00-\u9fff]")
WORDS = (
    r"tel|telephone|phones?|mobile|cell|cellphone|fax|desk|call(?:ed|ing)?(?: \w+)?|ring|dial|text (?:me|us|him|her|them)|sms|whats"
    r" ?app|telegram|viber"
    r"|signal|reach \w+|answering|contact \w+|messages? (?:to|on|at)|(?:my|his|her|our|their|new|phone|mobile|contact|emergency)"
    r" (?:number|no\.?|nr\.?|digits)"
    r"|telefon\w*|handy(?:nummer)?|mobil\w*|anrufen|erreich\w+|ruf(?:e|en|t)?|rückruf|(?:meine|deine|ihre|unsere) nummer|bel me|bellen"
    r"|gsm"
    r"|tel[eé]fono|m[oó]vil|celular|cel|ll[aá]m\w+|(?:mi|su|tu) n[uú]mero|t[eé]l[eé]phone|portable|appel\w+|joindre|(?:mon|son|votre)"
    r" num[eé]ro"
    r"|telemóvel|telefone|zap|ligue|ligar?|(?:meu|seu) número|cellulare|cell|chiam\w+|(?:mio|suo) numero|zadzwo\w+|dzwo\w+"
    r"|kom[oó]rk\w*|(?:mój|moj) numer|zavol\w+|hív\w+"
    r"|arayın|arar mısın|numaram|cep|puhelin\w*|soita|ringa?|telepon|hubungi|nomor|gọi|điện thoại|sđt"
    r"|телефон\w*|тел|звони\w*|позвон\w*|(?:мой|твой|ваш|її|мій) номер|моб\w*|τηλέφωνο|κινητό|טלפון|נייד"
)
SIGNS = "电话|電話|手机|手機|号码|號碼|携帯|番号|전화|핸드폰|휴대폰|번호|هاتف|جوال|موبايل|رقمي|تلفن|फ़ोन|फोन|मोबाइल|নম্বর|โทร|เบอร์"
CHUNK = re.compile(r"[0-9](?:[ ()./-]{0,3}[0-9]){6,}")  # all of them hold one: only its surroundings are searched
NUMBER = re.compile(r"(?<![A-Za-z0-9_+(])(?<!\d[.,-])(?:\(\d{1,5}\)|\d)(?:[ ()./-]{0,3}\d){6,13}" + TAIL)
NAME = re.compile(rf"(?:\b(?:{WORDS})\b|{SIGNS})[^\d\n+()]{{0,32}}(?:\n\s?)?\(?$", re.IGNORECASE)
NAME_AFTER = re.compile(rf"[ -]{{0,3}}(?:office|fax|mobile|mobil|cell)\b|[ -]{{0,3}}(?:{SIGNS})", re.IGNORECASE)
BEFORE = 64  # characters before a number in which its name is looked for
# What stands between the word and the number, or right before it, and makes it another number.
THINGS = (
    r"order|p/n|account|confirmation|tracking|flight|invoice|ticket|booking|reference|serial|model|\bparts?|product|\bsku|item|isbn|issn"
    r"|doi|case|zip|post ?code|card"
    r"|article|artikel|bestell\w+|rechnung\w*|commande|pedido|factura|заказ\w*|订单|commit|build|version|timestamp|latenc\w+|row"
    r"|matrix|vector|timeout|coordinates?|population"
)
COUNTED = re.compile("commit|build|version|timestamp|latenc|row|matrix|vector|timeout|coordinate|population", re.IGNORECASE)
OTHER = re.compile(THINGS + r"|\bid\b|\bpin\b|[$€£¥#]", re.IGNORECASE)
CALLED = re.compile(rf"({THINGS})s?( (?:number|no\.?|nr\.?|num|id|code|ref)|[:=#])?[ :=#(\"']{{0,3}}$", re.IGNORECASE)
DATE = re.compile(r"\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{4}(?: \d+)?|(?:19|20)\d\d[ -]{1,3}(?:19|20)\d\d")
ROUND = re.compile(r"[1-9]\d{0,2}(?:[ .]\d{3}){2,4}")  # thousands in groups
# Pattern, fewest and most digits.
WRITTEN = ((INTERNATIONAL, 8, 15), (PREFIXED, 10, 16), (AMERICAN, 10, 11), (TRUNK, 9, 12), (RUSSIAN, 11, 11), (BRAZILIAN, 10, 11))
NANP = re.compile(r"(?:1[ .-])?\(?[2-9]\d{2}\)?[ .-]?[2-9]\d{2}[ .-]?\d{4}" + ADDED)
EXTENSION = re.compile(r"[ ,]{0,2}(?:x|ext).*", re.IGNORECASE | re.DOTALL)


def phones(text: str) -> Spans:
    """Telephone numbers; the value is their digits without extension, trunk zeros and the North American 1."""
    for found in candidates(text):
        yield found.start(), found.end(), _same(found[0])


def candidates(text: str) -> Iterator[re.Match[str]]:
    """Matches of all the ways to write a telephone number."""
    for chunk in CHUNK.finditer(text):
        yield from _in_chunk(text, max(0, chunk.start() - 3), chunk.end() + 24)
    if HAN.search(text):
        yield from CHINESE.finditer(text)


def _in_chunk(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    """The same between two places."""
    seen: set[tuple[int, int]] = set()
    for pattern, fewest, most in WRITTEN:
        for found in pattern.finditer(text, start, end):
            if fewest <= _count(found[0]) <= most and not DATE.fullmatch(found[0]) and not _other(text, found):
                seen.add(found.span())
                yield found
    for found in NUMBER.finditer(text, start, end):
        if found.span() not in seen and not DATE.fullmatch(found[0]) and _named(text, found):
            yield found


def _other(text: str, found: re.Match[str]) -> bool:
    """Whether a number that is written like a telephone number is called something else right before it. A plus says enough.

    After "your order" may stand a number for calls, if it is a North American one; hardly after "Order" or "order number".
    """
    if found[0][0] == "+":
        return False
    name = CALLED.search(text[max(0, found.start() - 24) : found.start()])
    return name is not None and bool(name[2] or name[1][0].isupper() or COUNTED.match(name[1]) or not NANP.fullmatch(found[0]))


def _named(text: str, found: re.Match[str]) -> bool:
    """Whether a word beside the number says that it is one for calls."""
    name = NAME.search(text[max(0, found.start() - BEFORE) : found.start()])
    if name is None:
        return bool(NAME_AFTER.match(text, found.end())) and not _other(text, found)
    return not OTHER.search(name[0]) and not (ROUND.fullmatch(found[0]) and found[0].endswith("000"))


def _count(number: str) -> int:
    """Digits of a number without its extension. Ten at least where nothing but the plus says that it is one."""
    bare = EXTENSION.sub("", number)
    digits = sum(map(str.isdecimal, bare))
    return digits if digits > 9 or not re.fullmatch(r"\+\d+", bare) else 0


def _same(number: str) -> str:
    """Digits by which two spellings of a number are the same."""
    digits = re.sub(r"\D", "", EXTENSION.sub("", number)).removeprefix("00").lstrip("0")
    return digits[1:] if len(digits) == 11 and digits[0] == "1" and not number.lstrip().startswith("13") else digits
