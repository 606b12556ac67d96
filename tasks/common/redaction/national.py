"""Numbers by which a state knows a person: one line a kind, with its shape, its check digits, and the words that must name it.

A number without check digits, or with one that every eleventh number satisfies, counts only beside its name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.common.redaction import check_digits as check
from tasks.common.redaction.check_digits import Check
from tasks.common.redaction.spans import Spans, lower


@dataclass(frozen=True)
class Id:
    """A kind of number: where it is used, its shape, whether its check digits hold, and the words of which one must stand before it."""

    where: str
    shape: str
    check: Check
    named: str = ""


S = "[ .-]?"  # what may stand between groups
KINDS = (
    Id(
        "AT social insurance", r"\d{4} ?\d{6}", check.both(check.austrian, check.dated(6, 4)), "svnr|sozialversicherung|versicherungsnummer"
    ),
    Id("AU tax file", r"\d{3} ?\d{3} ?\d{3}", check.divided((1, 4, 3, 7, 5, 8, 6, 9, 10), 11), "tfn|tax file"),
    Id("AU Medicare", r"[2-6]\d{3} ?\d{5} ?\d", check.weighted("13791379", 10), "medicare"),
    Id("BE national register", r"\d{2}\.?\d{2}\.?\d{2}[- ]?\d{3}[. ]?\d{2}", check.both(check.belgian, check.dated(2, 4, months=20))),
    Id("BG EGN", r"\d{10}", check.both(check.weighted("2485A9736", 11), check.dated(2, 4, months=20)), "егн|egn"),
    Id("BR CPF", r"\d{3}\.\d{3}\.\d{3}-\d{2}", check.brazilian(9)),
    Id("BR CPF, bare", r"\d{9}-?\d{2}", check.brazilian(9), "cpf"),
    Id("BR CNPJ", r"\d{2}\.?\d{3}\.?\d{3}/\d{4}-\d{2}", check.brazilian(12)),
    Id("CA social insurance", r"[1-9]\d{2}[ -]?\d{3}[ -]?\d{3}", check.luhn, "sin|social insurance|assurance sociale|nas"),
    Id("CH AHV", r"756\.?\d{4}\.?\d{4}\.?\d{2}", check.weighted("131313131313", 10, turn=True)),
    Id("CL RUT", r"\d{1,2}\.\d{3}\.\d{3}-[\dkK]", check.chilean),
    Id("CL RUT, bare", r"\d{7,8}-[\dkK]", check.chilean, "rut|run"),
    Id("CN resident", r"[1-9]\d{16}[\dXx]", check.both(check.weighted("79A584216379A5842", 11, last="10X98765432"), check.dated(10, 12))),
    Id("CZ, SK birth", r"\d{6}/\d{4}", check.both(check.divided((-1, 1) * 5, 11), check.dated(2, 4, months=50))),
    Id("CZ, SK birth, bare", r"\d{9,10}", check.varied, "rodné číslo|rodne cislo|rodné č"),
    Id("DE tax", r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}", check.iso_11_10, "steuer|idnr|tin|tax id|identifikationsnummer"),
    Id("DE pension", r"\d{2} ?\d{6} ?[A-Za-z] ?\d{3}", check.both(check.german_pension, check.dated(4, 2))),
    Id("DE identity card", r"[CFGHJKLMNPRTVWXYZ0-9]{9}\d?", check.varied, "personalausweis|ausweis|reisepass"),
    Id("DK CPR", r"[0-3]\d[01]\d\d{2}[- ]?\d{4}", check.dated(2, 0), "cpr|personnummer|personal id"),
    Id(
        "EE, LT",
        r"[1-6]\d{10}",
        check.both(check.any_of(check.weighted("1234567891", 11), check.weighted("3456789123", 11)), check.dated(3, 5)),
        "isikukood|asmens kod|personal code",
    ),
    Id("ES DNI", r"\d{8}[ -]?[A-Z]", check.letter_of("TRWAGMYFPDXBNJZSQVHLCKE", 0, 8)),
    Id("ES NIE", r"[XYZ]-?\d{7}-?[A-Z]", check.letter_of("TRWAGMYFPDXBNJZSQVHLCKE", 0, 8)),
    Id("FI personal code", r"[0-3]\d[01]\d\d{2}[-+A-F]\d{3}[0-9A-Y]", check.finnish),
    Id("FR NIR", r"[1-478] ?\d{2} ?[0-9]{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", check.french),
    Id("GB insurance", r"[A-CEGHJ-PR-TW-Za-ceghj-pr-tw-z][A-CEGHJ-NPR-TW-Za-ceghj-npr-tw-z] ?\d{2} ?\d{2} ?\d{2} ?[A-Da-d]", check.varied),
    Id("GB NHS", r"\d{3}[ -]?\d{3}[ -]?\d{4}", check.weighted("A98765432", 11, turn=True), "nhs"),
    Id("HK identity card", r"[A-Z]{1,2}\d{6}\([0-9A]\)", check.hong_kong),
    Id("HR OIB", r"\d{11}", check.iso_11_10, "oib"),
    Id("IE PPS", r"\d{7}[A-W][A-IW]?", check.irish),
    Id("IL identity", r"\d{9}", check.luhn, "teudat|zehut|israeli id|תעודת זהות|ת.ז"),
    Id("IN Aadhaar", r"(?<!\d{4} )[2-9]\d{3} \d{4} \d{4}(?! \d{3})|[2-9]\d{3}-\d{4}-\d{4}", check.verhoeff),
    Id("IN Aadhaar, bare", r"[2-9]\d{11}", check.verhoeff, "aadhaar|aadhar|आधार|uidai"),
    Id("IN PAN", r"[A-Z]{3}[PCHFATBLJG][A-Z]\d{4}[A-Z]", check.varied),
    Id("ID NIK", r"\d{16}", check.dated(8, 6, days=40), "nik|ktp|nomor induk"),
    Id("IT codice fiscale", r"[A-Za-z]{6}[0-9L-Vl-v]{2}[A-EHLMPR-Ta-ehlmpr-t][0-9L-Vl-v]{2}[A-Za-z][0-9L-Vl-v]{3}[A-Za-z]", check.italian),
    Id("JP My Number", r"\d{4}[ -]?\d{4}[ -]?\d{4}", check.japanese, "my number|mynumber|マイナンバー|個人番号"),
    Id("KR resident", r"\d{6}-[1-8]\d{6}", check.dated(2, 4)),
    Id("MX CURP", r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[0-9A-Z]\d", check.mexican),
    Id("MY NRIC", r"\d{6}-\d{2}-\d{4}", check.dated(2, 4)),
    Id("NL BSN", r"\d{9}|\d{4}\.\d{2}\.\d{3}", check.divided((9, 8, 7, 6, 5, 4, 3, 2, -1), 11), "bsn|burgerservice|sofi"),
    Id("NO birth", r"[0-7]\d[0-7]\d\d{2} ?\d{5}", check.both(check.norwegian, check.dated(2, 0, months=40, days=40))),
    Id("NZ tax", r"\d{2,3}[ -]?\d{3}[ -]?\d{3}", check.varied, "ird"),
    Id("PL PESEL", r"\d{11}", check.both(check.weighted("1379137913", 10, turn=True), check.dated(2, 4, months=20))),
    Id("PL NIP", r"\d{3}-?\d{3}-?\d{2}-?\d{2}|\d{3}-?\d{2}-?\d{2}-?\d{3}", check.weighted("657234567", 11), "nip"),
    Id("PT NIF", r"\d{3} ?\d{3} ?\d{3}", check.weighted("98765432", 11, turn=True), "nif|contribuinte"),
    Id("RO CNP", r"[1-9]\d{12}", check.both(check.weighted("279146358279", 11), check.dated(3, 5))),
    Id("RU SNILS", r"\d{3}-\d{3}-\d{3}[ -]\d{2}", check.russian),
    Id("RU INN", r"\d{12}|\d{10}", check.varied, "инн|inn"),
    Id("RU passport", r"\d{2} ?\d{2} ?№? ?\d{6}", check.varied, "паспорт"),
    Id("SE, personal", r"(?:19|20)?\d{6}[-+]\d{4}", check.swedish),
    Id("SG NRIC", r"[STFGM]\d{7}[A-Z]", check.singaporean),
    Id("TH citizen", r"[1-8]-\d{4}-\d{5}-\d{2}-\d", check.thai),
    Id("TH citizen, plain", r"[1-8]\d{12}", check.thai, "citizen|thai id|national id|id card|บัตรประชาชน|เลขประจำตัว"),
    Id("TR kimlik", r"[1-9]\d{10}", check.turkish),
    Id("TW identity", r"[A-Z][12]\d{8}", check.taiwanese),
    Id("US employer", r"\d{2}-\d{7}", check.varied, "ein|employer id|federal tax"),
    Id("US routing", r"[0-3]\d{8}", check.weighted("37137137", 10, turn=True), "routing|aba|rtn"),
    Id(
        "US Medicare",
        r"[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}",
        check.varied,
    ),
    Id("ZA identity", r"\d{6} ?\d{4} ?[01]\d{2}", check.both(check.luhn, check.dated(2, 4))),
    Id(
        "bank account",
        r"\d(?:[ -]?\d){6,16}",
        check.varied,
        "bank account|kontonummer|kontonr|cuenta bancaria|compte bancaire|conto bancario|conta bancária",
    ),
    Id(
        "driving licence",
        r"[A-Z0-9](?:[ -]?[A-Z0-9]){5,18}",
        check.many_digits,
        "driver's lic|driver’s lic|drivers lic|driver lic|driving lic|führerschein|permis de conduire|carnet de conducir",
    ),
    Id(
        "passport",
        r"[A-Z0-9]{6,9}[A-Z]?",
        check.many_digits,
        "passport|passeport|pasaporte|passaporte|passaporto|reisepass|paszport|paspoort|护照|護照|パスポート|여권",
    ),
)
BEFORE = 48
SKIP = re.compile("[ ./-]")


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
    r"(?:order|invoice|tracking|ticket|part|serial|sku|model|item|product|article|case|isbn|commit|build|version|bestell|artikel"
    r"|timestamp|hash|snowflake|\bean|\bupc|\bgtin)\w*[^\d\n]{0,16}$",
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
        while (behind := BEHIND.match(text, place)) and behind.end() < name.end() + 33:
            yield from _at(text, behind.end(), kinds)
            place = behind.end() + 1


def _at(text: str, place: int, shapes: list[tuple[Id, re.Pattern[str], re.Pattern[str]]]) -> Spans:
    """Numbers of these kinds that begin here."""
    for kind, shape, _ in shapes:
        if found := shape.match(text, place):
            value = SKIP.sub("", found[0]).upper()
            if check.varied(value) and _holds(kind, found[0], value):
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
