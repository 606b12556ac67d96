"""Check digits: whether a number's own digits prove it. Each check takes the number without signs, in capitals."""

from __future__ import annotations

import re
from collections.abc import Callable

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
ODD_VALUES = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
ODD = dict(zip("0123456789" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ", (*ODD_VALUES[:10], *ODD_VALUES), strict=True))  # of Italy's odd places


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def weighted(weights: str, modulus: int, *, last: str = "", turn: bool = False) -> Check:
    """The sum of digits times weights (1-9, A = 10 ...) gives the digit behind them: its rest, or what is missing to the modulus."""
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
        return bool(int(value[-digits:]) == (divisor - rest if missing else rest) % 10**digits)

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
    return lambda value: bool(letters[int(value[start:end].translate(str.maketrans("XYZ", "012"))) % len(letters)] == value[end])


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


def divided(weights: tuple[int, ...], modulus: int) -> Check:
    """The sum of digits times weights is a multiple of the modulus."""
    return lambda value: sum(int(digit) * weight for digit, weight in zip(value, weights, strict=True)) % modulus == 0


def austrian(value: str) -> bool:
    """The fourth digit of a social insurance number."""
    return weighted("379584216", 11)(value[:3] + value[4:] + value[3])


def belgian(value: str) -> bool:
    """The last two digits, for those born before 2000 and after."""
    return modulo(97, 2, missing=True)(value) or modulo(97, 2, missing=True)("2" + value)


def finnish(value: str) -> bool:
    """The sign at the end, by the rest of all digits."""
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(value[:6] + value[-4:-1]) % 31] == value[-1]


def swedish(value: str) -> bool:
    """Luhn's digit over the last ten, and a date."""
    digits = re.sub(r"\D", "", value)[-10:]
    return luhn(digits) and dated(2, 4)(digits)


def irish(value: str) -> bool:
    """The letter behind seven digits; a second letter counts as well."""
    total = sum(int(digit) * (8 - place) for place, digit in enumerate(value[:7])) + (
        9 * ((ord(value[8]) - 64) % 23) if len(value) > 8 else 0
    )
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == value[7]


def russian(value: str) -> bool:
    """The last two digits of a SNILS."""
    return sum(int(digit) * (9 - place) for place, digit in enumerate(value[:9])) % 101 % 100 == int(value[9:])


def thai(value: str) -> bool:
    """The last of thirteen digits."""
    return (11 - sum(int(digit) * (13 - place) for place, digit in enumerate(value[:12])) % 11) % 10 == int(value[12])


def many_digits(value: str) -> bool:
    """Four digits at least."""
    return sum(map(str.isdigit, value)) > 3
