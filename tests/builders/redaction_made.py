"""Made-up values that redaction must find, and what only looks like one: by kind, each in a sentence. Nothing here is anybody's.

In the files of `tests/redaction` a value stands between `‹` and `›`. Keys and numbers with check digits are made from a seed; their
shapes are written down there anew, by the issuers' public descriptions, so that the product's own patterns do not judge themselves.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "redaction"
LOWER, UPPER, DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
ALPHABETS = {
    "x": "0123456789abcdef", "X": "0123456789ABCDEF", "a": LOWER + DIGITS, "A": UPPER + DIGITS, "n": LOWER + UPPER + DIGITS,
    "w": LOWER + UPPER + DIGITS + "-_",
    "l": LOWER + UPPER, "d": DIGITS, "b": UPPER + "234567", "q": "02346789acdefghjklmnpqrstuvwxyz", "e": LOWER + "234567",
    "s": "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
}  # fmt: skip
# Country and what stands behind the check digits of an IBAN.
IBANS = (
    "DE d18|GB BARC d14|FR d23|ES d20|IT X d22|NL INGB d10|BE d12|CH d17|AT d16|PL d24|PT d21|SE d20|DK d14|NO d11|FI d14|IE AIBK d14"
    "|CZ d20|HU d24|RO BTRL d16|TR d22|SA d20|AE d19|IL d19|BR d23 C1"
)


def made(chance: random.Random, pieces: str) -> str:
    """A value by its pieces: literal words, and alphabets with a length; it ends with a digit where the alphabet has any."""
    parts = []
    for piece in pieces.split():
        if piece[0] in ALPHABETS and piece[1:].isdigit():
            letters = ALPHABETS[piece[0]]
            last = [letter for letter in letters if letter.isdigit()] or letters
            parts.append("".join(chance.choices(letters, k=int(piece[1:]) - 1)) + chance.choice(last))
        else:
            parts.append(piece)
    return "".join(parts)


def checked(chance: random.Random, country: str, account: str) -> str:
    """An IBAN with right check digits."""
    number = int("".join(str(int(letter, 36)) for letter in account + country + "00"))
    return f"{country}{98 - number % 97:02d}{account}"


def lines(name: str) -> list[list[str]]:
    """The fields of each line of a file."""
    return [line.replace("\\n", "\n").split("\t") for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()]


def values() -> Iterator[tuple[str, str]]:
    """(kind, sentence with marks around its values)."""
    chance = random.Random(11)
    for (pieces,) in lines("keys"):
        yield "key", f"It is ‹{made(chance, pieces)}› as I said."
    for service, pieces in lines("services"):
        yield "key", f'{service} = "‹{made(chance, pieces)}›"'
    for (row,) in lines("passwords"):
        word = chance.choice(["Tr0ub4dor", "hunter2x", "S3cretRoot", "Wint3r!sC0ming", "P4ss-w0rd"]) + str(chance.randrange(10, 99))
        yield "password", row.format(p=word, b=made(chance, "n40"), h=made(chance, "x40"))
    yield from ((kind, row) for kind, row in lines("values"))
    for row in IBANS.split("|"):
        iban = checked(chance, row.split()[0], made(chance, " ".join(row.split()[1:])))
        spaced = " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))
        yield "iban", f"IBAN: ‹{chance.choice([iban, spaced, iban.lower(), spaced.replace(' ', '-')])}›."


def lookalikes() -> Iterator[tuple[str, str]]:
    """(kind, what only looks like one)."""
    yield from ((kind, row) for kind, row in lines("lookalikes"))
