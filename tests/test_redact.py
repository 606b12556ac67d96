"""Claims about redaction: what is personal goes, what only looks so stays."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.text.redact import KINDS, Book, iban, luhn

PERSONAL = {
    "email": ["first.last+tag@mail.example.co.uk", "A_B-c9@example.org"],
    "phone": [
        "+1 289 598 0374",
        "336-917-8345",
        "763.420.4744",
        "(415) 555-0132",
        "+49 30 1234 5678",
        "+44 (0)20 7946 0958",
        "030 98765432",
    ],
    "card": ["4510 2671 2457 7503", "4111-1111-1111-1111", "5500005555555559", "378282246310005"],
    "iban": ["DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "FR14 2004 1010 0505 0001 3M02 606"],
    "ip": ["51.101.99.206", "2001:db8:85a3::8a2e:370:7334", "fe80::1"],
    "ssn": ["499-69-5814"],
    "url": ["https://www.chen-murphy.com/5579", "http://example.com/a?token=1#x", "www.example.com/path"],
    "secret": [
        "sk-" + "a1B2" * 10,
        "sk-proj-" + "Ab3_" * 8,
        "ghp_" + "x9Y8" * 9,
        "github_pat_" + "k" * 30,
        "AKIAABCDEFGHIJ234567",
        "xoxb-" + "1234-abcd" * 3,
        "AIza" + "Sy9_" * 9,
        "hf_" + "aB" * 12,
        "glpat-" + "z" * 20,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF_123",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
    ],
}
HARMLESS = [
    "Order A6340 of 2026-01-31 at 12:30",
    "I paid 1,299.00 euros for 2 x 450",
    "version 3.11.7 of 10.4",
    "ISBN 978-3-16-148410-0",
    "flight UA 1234 on March 5th",
    "the years 1990-2000 and 2001-2010",
    "step 3 of 10",
    "tracking 4510 2671 2457 7504",
    "section 1.2.3.4.5",
    "DE89370400440532013001 is no account",
    "scale 1-5",
    "rated 4/5 by 120 people",
    "a::b in C++ std::vector::size",
    "task risk-averse sk-8 skate",
    "me @ home",
    "12:30:45",
    "[EMAIL_1] and [PHONE_2]",
    "my password is what?",
    "token",
    "0.5 - 0.75",
    "3 000 000 people",
]
WORDS = st.text("abcdefgh \n.,", max_size=30)


def book() -> Book:
    return Book(KINDS)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in PERSONAL.items() for value in values])
def test_personal_values_become_placeholders_of_their_kind(kind: str, value: str) -> None:
    assert book().redact(f"It is {value} as I said.") == f"It is [{kind.upper()}_1] as I said."


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_personal_stays(text: str) -> None:
    assert book().redact(text) == text


@pytest.mark.parametrize("lead", ["password: ", "Password is ", "api_key=", "token=", "Bearer "])
def test_named_secrets_go_whatever_they_look_like(lead: str) -> None:
    assert book().redact(f"use {lead}hunter2hunter2hunter2 now") == f"use {lead}[SECRET_1] now"


@given(WORDS, WORDS, st.sampled_from([value for values in PERSONAL.values() for value in values]))
def test_no_value_survives_in_any_surroundings_and_a_second_pass_changes_nothing(before: str, after: str, value: str) -> None:
    once = book().redact(f"{before} {value} {after}")
    assert value not in once
    assert book().redact(once) == once


@given(st.lists(st.sampled_from(PERSONAL["email"] + PERSONAL["phone"]), min_size=1, max_size=6))
def test_the_same_value_gets_the_same_placeholder(values: list[str]) -> None:
    one = book()
    placeholders = [one.redact(value.upper() if "@" in value else value) for value in values]
    assert len(set(placeholders)) == len(set(values))
    assert [one.redact(value) for value in values] == placeholders


@pytest.mark.parametrize(("text", "same"), [("336-917-8345 or (336) 917-8345 or +1 336 917 8345", "[PHONE_1] or [PHONE_1] or [PHONE_1]")])
def test_spellings_of_one_number_are_one(text: str, same: str) -> None:
    assert book().redact(text) == same


def test_only_the_kinds_asked_for_are_redacted() -> None:
    text = "a@example.com, https://example.com/x"
    assert Book(["email"]).redact(text) == "[EMAIL_1], https://example.com/x"


@given(st.integers(0, 10**15 - 1))
def test_exactly_one_last_digit_satisfies_luhn(number: int) -> None:
    valid = [digit for digit in range(10) if luhn(f"{number:015d}{digit}")]
    assert len(valid) == 1 or number == 0


def test_a_changed_digit_breaks_an_iban() -> None:
    good = "DE89370400440532013000"
    chance = random.Random(1)
    for _ in range(200):
        place = chance.randrange(2, len(good))
        changed = good[:place] + str((int(good[place]) + chance.randint(1, 9)) % 10) + good[place + 1 :]
        assert iban(good)
        assert not iban(changed)
