"""Numbers by which a state knows a person: one line a kind, with its shape, its check digits, and the words that must name it where it has none.

A number without check digits, or with one that every eleventh number satisfies, counts only beside its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tasks.text.spans import Spans, lower

Check = Callable[[str], bool]
VERHOEFF_D = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
VERHOEFF_P = ("0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258")
ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
        + (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def weighted(weights: str, modulus: int, *, last: str = "", turn: bool = False) -> Check:
    """The sum of digits times weights (as letters: 1-9, A = 10 ...) gives the digit behind them: its rest, or what is missing to the modulus."""
    factors = [int(weight, 36) for weight in weights]

    def check(value: str) -> bool:
        rest = sum(int(digit, 36) * factor for digit, factor in zip(value, factors, strict=False)) % modulus
        rest = (modulus - rest) % modulus if turn else rest
        told = value[len(factors)]
        return told == last[rest] if last else rest % 10 == int(told) and rest < 11

    return check


def modulo(divisor: int, digits: int, *, missing: bool = False) -> Check:
    """The last digits are the rest of the others by the divisor, or what is missing to it."""

    def check(value: str) -> bool:
        rest = int(value[:-digits]) % divisor
        return int(value[-digits:]) == (divisor - rest if missing else rest) % 10**digits

    return check


def any_of(*checks: Check) -> Check:
    """One of the checks holds."""
    return lambda value: any(check(value) for check in checks)


def both(*checks: Check) -> Check:
    """All of the checks hold."""
    return lambda value: all(check(value) for check in checks)


def dated(month: int, day: int, *, months: int = 100, days: int = 100) -> Check:
    """The digits at these places are a date; some states add steps of 20 to months (by century) or 40 to days."""
    return lambda value: 1 <= int(value[month : month + 2]) % months <= 12 and 1 <= int(value[day : day + 2]) % days <= 31


def varied(value: str) -> bool:
    """Not one digit all along, which satisfies many checks."""
    return len(set(re.sub(r"\D", "", value))) > 2


def letter_of(letters: str, start: int, end: int) -> Check:
    """The last letter is that at the place of the number's rest."""
    return lambda value: letters[int(value[start:end].translate(str.maketrans("XYZ", "012"))) % len(letters)] == value[end]


def verhoeff(value: str) -> bool:
    """Verhoeff's check over all digits."""
    state = 0
    for place, digit in enumerate(reversed(value)):
        state = int(VERHOEFF_D[state][int(VERHOEFF_P[place % 8][int(digit)])])
    return state == 0


def iso_11_10(value: str) -> bool:
    """ISO 7064 MOD 11,10 over all digits."""
    rest = 10
    for digit in value[:-1]:
        rest = ((rest + int(digit)) % 10 or 10) * 2 % 11
    return (11 - rest) % 10 == int(value[-1])


def brazilian(count: int) -> Check:
    """Two check digits by falling weights, of a person (9 digits) or a company (12)."""

    def check(value: str) -> bool:
        for length in (count, count + 1):
            total = sum(int(value[length - 1 - place]) * (2 + (place if count == 9 else place % 8)) for place in range(length))
            if (0 if total % 11 < 2 else 11 - total % 11) != int(value[length]):
                return False
        return True

    return check


def italian(value: str) -> bool:
    """The letter at the end of a codice fiscale."""
    total = sum(
        ODD[letter] if place % 2 == 0 else int(letter, 36) - (10 if letter.isalpha() else 0) for place, letter in enumerate(value[:15])
    )
    return chr(65 + total % 26) == value[15]


def turkish(value: str) -> bool:
    """Two check digits of a kimlik number."""
    digits = [int(digit) for digit in value]
    return (sum(digits[0:9:2]) * 7 - sum(digits[1:8:2])) % 10 == digits[9] and sum(digits[:10]) % 10 == digits[10]


def chilean(value: str) -> bool:
    """The digit or K behind a RUT."""
    total = sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(value[:-1])))
    return "0K987654321"[total % 11] == value[-1].upper()


def singaporean(value: str) -> bool:
    """The letter of an NRIC or FIN."""
    total = sum(int(digit) * weight for digit, weight in zip(value[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True)) + {
        "T": 4,
        "G": 4,
        "M": 3,
    }.get(value[0], 0)
    return {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "KLJNPQRTUWX"}[value[0]][
        total % 11 if value[0] != "M" else 10 - total % 11
    ] == value[8]


def taiwanese(value: str) -> bool:
    """The check digit behind letter and number."""
    place = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(value[0]) + 10
    digits = [place // 10, place % 10, *map(int, value[1:])]
    return sum(digit * weight for digit, weight in zip(digits, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1), strict=True)) % 10 == 0


def hong_kong(value: str) -> bool:
    """The digit or A in brackets."""
    number = [36] * (9 - len(value)) + [int(letter, 36) for letter in value]
    return sum(digit * weight for digit, weight in zip(number, range(9, 0, -1), strict=True)) % 11 == 0


def french(value: str) -> bool:
    """The key of a NIR; Corsica's departments have letters."""
    number = int(value[:13].replace("2A", "19").replace("2B", "18"))
    return 97 - number % 97 == int(value[13:15])


def norwegian(value: str) -> bool:
    """Two check digits of a fødselsnummer."""
    return weighted("376189452", 11, turn=True)(value) and weighted("5432765432", 11, turn=True)(value)


def german_pension(value: str) -> bool:
    """The digit at the end of a pension insurance number; its letter counts as two digits."""
    digits = value[:8] + f"{ord(value[8]) - 64:02d}" + value[9:11]
    total = sum(sum(map(int, str(int(digit) * weight))) for digit, weight in zip(digits, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True))
    return total % 10 == int(value[11])


def japanese(value: str) -> bool:
    """The last digit of a My Number."""
    total = sum(int(digit) * (place + 1 if place < 7 else place - 5) for place, digit in enumerate(reversed(value[:11]), 1))
    return (0 if total % 11 <= 1 else 11 - total % 11) == int(value[11])


def mexican(value: str) -> bool:
    """The last digit of a CURP."""
    alphabet = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    total = sum(alphabet.index(letter) * (18 - place) for place, letter in enumerate(value[:17]))
    return (10 - total % 10) % 10 == int(value[17])


@dataclass(frozen=True)
class Id:
    """A kind of number: where it is used, its shape, whether its check digits hold, and the words that must stand before it ("" for none)."""

    where: str
    shape: str
    check: Check
    named: str = ""


S = "[ .-]?"  # what may stand between groups
KINDS = (
    Id("AT social insurance", r"\d{4} ?\d{6}", both(lambda v: weighted("3790584216"[:3] + "0" + "584216", 11)(v[:3] + "0" + v[4:] + v[3]), dated(6, 4)),
       "svnr|sozialversicherung|versicherungsnummer"),
    Id("AU tax file", r"\d{3} ?\d{3} ?\d{3}", lambda v: sum(int(d) * w for d, w in zip(v, (1, 4, 3, 7, 5, 8, 6, 9, 10), strict=True)) % 11 == 0, "tfn|tax file"),
    Id("AU Medicare", r"[2-6]\d{3} ?\d{5} ?\d", weighted("13791379", 10), "medicare"),
    Id("BE national register", r"\d{2}\.?\d{2}\.?\d{2}[- ]?\d{3}[. ]?\d{2}", both(any_of(modulo(97, 2, missing=True), lambda v: modulo(97, 2, missing=True)("2" + v)), dated(2, 4, months=20))),
    Id("BG EGN", r"\d{10}", both(weighted("2485A9736", 11), dated(2, 4, months=20)), "егн|egn"),
    Id("BR CPF", r"\d{3}\.\d{3}\.\d{3}-\d{2}", brazilian(9)),
    Id("BR CPF, bare", r"\d{9}-?\d{2}", brazilian(9), "cpf"),
    Id("BR CNPJ", r"\d{2}\.?\d{3}\.?\d{3}/\d{4}-\d{2}", brazilian(12)),
    Id("CA social insurance", r"[1-9]\d{2}[ -]?\d{3}[ -]?\d{3}", luhn, "sin|social insurance|assurance sociale|nas"),
    Id("CH AHV", r"756\.?\d{4}\.?\d{4}\.?\d{2}", weighted("131313131313", 10, turn=True)),
    Id("CL RUT", r"\d{1,2}\.\d{3}\.\d{3}-[\dkK]", chilean),
    Id("CL RUT, bare", r"\d{7,8}-[\dkK]", chilean, "rut|run"),
    Id("CN resident", r"[1-9]\d{16}[\dXx]", both(weighted("79A584216379A5842"[:17], 11, last="10X98765432"), dated(10, 12))),
    Id("CZ, SK birth", r"\d{6}/\d{4}", both(lambda v: int(v) % 11 == 0, lambda v: 1 <= int(v[2:4]) % 50 % 20 <= 12)),
    Id("DE tax", r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}", iso_11_10, "steuer|idnr|tin|tax id|identifikationsnummer"),
    Id("DE pension", r"\d{2} ?\d{6} ?[A-Za-z] ?\d{3}", both(german_pension, lambda v: 1 <= int(v[4:6]) <= 12)),
    Id("DE identity card", r"[CFGHJKLMNPRTVWXYZ0-9]{9}\d?", varied, "personalausweis|ausweis|reisepass"),
    Id("DK CPR", r"[0-3]\d[01]\d\d{2}[- ]?\d{4}", lambda v: 1 <= int(v[:2]) <= 31 and 1 <= int(v[2:4]) <= 12, "cpr|personnummer|personal id"),
    Id("EE, LT", r"[1-6]\d{10}", both(any_of(weighted("1234567891", 11), weighted("3456789123", 11)), dated(3, 5)), "isikukood|asmens kod|personal code"),
    Id("ES DNI", r"\d{8}[ -]?[A-Z]", letter_of("TRWAGMYFPDXBNJZSQVHLCKE", 0, 8)),
    Id("ES NIE", r"[XYZ]-?\d{7}-?[A-Z]", letter_of("TRWAGMYFPDXBNJZSQVHLCKE", 0, 8)),
    Id("FI personal code", r"[0-3]\d[01]\d\d{2}[-+A-F]\d{3}[0-9A-Y]", lambda v: "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(v[:6] + v[-4:-1]) % 31] == v[-1]),
    Id("FR NIR", r"[1-478] ?\d{2} ?[0-9]{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", french),
    Id("GB insurance", r"[A-CEGHJ-PR-TW-Za-ceghj-pr-tw-z][A-CEGHJ-NPR-TW-Za-ceghj-npr-tw-z] ?\d{2} ?\d{2} ?\d{2} ?[A-Da-d]", varied),
    Id("GB NHS", r"\d{3}[ -]?\d{3}[ -]?\d{4}", weighted("A98765432", 11, turn=True), "nhs"),
    Id("HK identity card", r"[A-Z]{1,2}\d{6}\([0-9A]\)", hong_kong),
    Id("HR OIB", r"\d{11}", iso_11_10, "oib"),
    Id("IE PPS", r"\d{7}[A-W][A-IW]?", lambda v: "WABCDEFGHIJKLMNOPQRSTUV"[(sum(int(d) * (8 - n) for n, d in enumerate(v[:7])) + (9 * ((ord(v[8]) - 64) % 23) if len(v) > 8 else 0)) % 23] == v[7]),
    Id("IL identity", r"\d{9}", luhn, "teudat|zehut|israeli id|תעודת זהות|ת.ז"),
    Id("IN Aadhaar", r"(?<!\d{4} )[2-9]\d{3} \d{4} \d{4}(?! \d{4})|[2-9]\d{3}-\d{4}-\d{4}", verhoeff),
    Id("IN Aadhaar, bare", r"[2-9]\d{11}", verhoeff, "aadhaar|aadhar|आधार|uidai"),
    Id("IN PAN", r"[A-Z]{3}[PCHFATBLJG][A-Z]\d{4}[A-Z]", varied),
    Id("ID NIK", r"\d{16}", dated(8, 6, days=40), "nik|ktp|nomor induk"),
    Id("IT codice fiscale", r"[A-Za-z]{6}[0-9L-Vl-v]{2}[A-EHLMPR-Ta-ehlmpr-t][0-9L-Vl-v]{2}[A-Za-z][0-9L-Vl-v]{3}[A-Za-z]", lambda v: italian(v.upper())),
    Id("JP My Number", r"\d{4}[ -]?\d{4}[ -]?\d{4}", japanese, "my number|mynumber|マイナンバー|個人番号"),
    Id("KR resident", r"\d{6}-[1-8]\d{6}", dated(2, 4)),
    Id("MX CURP", r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[0-9A-Z]\d", mexican),
    Id("MY NRIC", r"\d{6}-\d{2}-\d{4}", dated(2, 4)),
    Id("NL BSN", r"\d{9}|\d{4}\.\d{2}\.\d{3}", lambda v: (sum(int(d) * w for d, w in zip(v, range(9, 1, -1), strict=False)) - int(v[8])) % 11 == 0, "bsn|burgerservice|sofi"),
    Id("NO birth", r"[0-7]\d[0-7]\d\d{2} ?\d{5}", both(norwegian, dated(2, 0, months=40, days=40))),
    Id("NZ tax", r"\d{2,3}[ -]?\d{3}[ -]?\d{3}", varied, "ird"),
    Id("PL PESEL", r"\d{11}", both(weighted("1379137913", 10, turn=True), dated(2, 4, months=20))),
    Id("PL NIP", r"\d{3}-?\d{3}-?\d{2}-?\d{2}|\d{3}-?\d{2}-?\d{2}-?\d{3}", weighted("657234567", 11), "nip"),
    Id("PT NIF", r"\d{3} ?\d{3} ?\d{3}", weighted("98765432", 11, turn=True), "nif|contribuinte"),
    Id("RO CNP", r"[1-9]\d{12}", both(weighted("279146358279", 11), dated(3, 5))),
    Id("RU SNILS", r"\d{3}-\d{3}-\d{3}[ -]\d{2}", lambda v: sum(int(d) * (9 - n) for n, d in enumerate(v[:9])) % 101 % 100 == int(v[9:])),
    Id("RU INN", r"\d{12}|\d{10}", varied, "инн|inn"),
    Id("RU passport", r"\d{2} ?\d{2} ?№? ?\d{6}", varied, "паспорт"),
    Id("SE, personal", r"(?:19|20)?\d{6}[-+]\d{4}", both(lambda v: luhn(re.sub(r"\D", "", v)[-10:]), lambda v: dated(2, 4)(re.sub(r"\D", "", v)[-10:]))),
    Id("SG NRIC", r"[STFGM]\d{7}[A-Z]", singaporean),
    Id("TH citizen", r"[1-8]-?\d{4}-?\d{5}-?\d{2}-?\d", lambda v: (11 - sum(int(d) * (13 - n) for n, d in enumerate(v[:12])) % 11) % 10 == int(v[12])),
    Id("TR kimlik", r"[1-9]\d{10}", turkish),
    Id("TW identity", r"[A-Z][12]\d{8}", taiwanese),
    Id("US employer", r"\d{2}-\d{7}", varied, "ein|employer id|federal tax"),
    Id("US routing", r"[0-3]\d{8}", weighted("37137137", 10, turn=True), "routing|aba|rtn"),
    Id("US Medicare", r"[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}", varied),
    Id("ZA identity", r"\d{6} ?\d{4} ?[01]\d{2}", both(luhn, dated(2, 4))),
    Id("bank account", r"\d(?:[ -]?\d){6,16}", varied, "bank account|kontonummer|kontonr|cuenta bancaria|compte bancaire|conto bancario|conta bancária"),
    Id("driving licence", r"[A-Z0-9](?:[ -]?[A-Z0-9]){5,18}", lambda v: sum(map(str.isdigit, v)) > 3, "driver's lic|driver’s lic|drivers lic|driver lic|driving lic|führerschein|permis de conduire|carnet de conducir|dl no|dl number"),
    Id("passport", r"[A-Z0-9]{6,9}[A-Z]?", lambda v: sum(map(str.isdigit, v)) > 3, "passport|passeport|pasaporte|passaporte|passaporto|reisepass|paszport|paspoort|护照|護照|パスポート|여권"),
)  # fmt: skip
BEFORE = 48
SKIP = re.compile("[ ./-]")
AFTER = r"(?![A-Za-z0-9_]|[.,-]\d|[-.][A-Z]\b)"
START = r"(?<![A-Za-z0-9_./-])(?<![.,+]\d)(?=[A-Za-z]{0,6} ?\d)"


def _names(words: str) -> str:
    """Any of the words; short ones stand whole, long ones may go on."""
    return "|".join(re.escape(word) + (r"\b" if len(word) < 5 else "") for word in words.split("|"))


AFTER = r"(?![A-Za-z0-9_]|[.,-]\d|[-.][A-Z]\b)"
START = r"(?<![A-Za-z0-9_./-])(?<![.,+]\d)(?=[A-Za-z]{0,6} ?\d)"
SHAPES = [(kind, re.compile(rf"(?:{kind.shape}){AFTER}"), re.compile(_names(kind.named or "-"))) for kind in KINDS]
PLAIN = [shape for shape in SHAPES if not shape[0].named]
NAMED = [shape for shape in SHAPES if shape[0].named]
# Where one without a name may stand; names, and how far a number may stand behind its own.
LIKELY = re.compile(START + "(?=(?:" + "|".join(kind.shape for kind, _, _ in PLAIN) + ")" + AFTER + ")")
NAMES = re.compile(f"(?:{_names('|'.join(sorted({kind.named for kind, _, _ in NAMED})))})")
BEHIND = re.compile(r"[^\d\n]{0,32}?" + START)
# What makes a number without a name of its own something else.
OTHER = re.compile(
    r"(?:order|invoice|tracking|ticket|part|serial|sku|model|item|product|article|case|isbn|commit|build|version|bestell|artikel|timestamp|hash)\w*[^\d\n]{0,16}$",
    re.IGNORECASE,
)


def ids(text: str) -> Spans:
    """National numbers, in capitals and without signs."""
    for start in LIKELY.finditer(text):
        if not OTHER.search(text[max(0, start.start() - BEFORE) : start.start()]):
            yield from _at(text, start.start(), PLAIN)
    small = lower(text)
    for name in NAMES.finditer(small):
        if name.start() and small[name.start() - 1].isalpha() and name[0].isascii():
            continue
        kinds = [shape for shape in NAMED if shape[2].match(small, name.start())]
        place = name.end()
        while (start := BEHIND.match(text, place)) and start.end() < name.end() + 33:
            yield from _at(text, start.end(), kinds)
            place = start.end() + 1


def _at(text: str, place: int, shapes: list[tuple[Id, re.Pattern[str], re.Pattern[str]]]) -> Spans:
    """Numbers of these kinds that begin here."""
    for kind, shape, _ in shapes:
        found = shape.match(text, place)
        if found:
            value = SKIP.sub("", found[0]).upper()
            if varied(value) and _holds(kind, found[0], value):
                yield found.start(), found.end(), value


def _holds(kind: Id, written: str, value: str) -> bool:
    """Whether the check digits hold; of some, the signs between count too."""
    value = {"HK identity card": re.sub("[()]", "", value), "FI personal code": written.upper(), "SE, personal": written}.get(
        kind.where, value
    )
    try:
        return kind.check(value)
    except (IndexError, ValueError, KeyError):
        return False
