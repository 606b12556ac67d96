"""Claims about redaction: what is personal goes, what only looks so stays."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Collection
from typing import cast

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.common.redaction.check_digits import luhn
from tasks.common.redaction.personal import ibans
from tasks.common.redaction.redact import KINDS, Books, find, flat, mark_all
from tasks.common.redaction.services import SERVICES
from tasks.common.redaction.tokens import BLOCKS, GUESSED, PREFIXED, SHAPED
from tests.benchmarks import redaction_values
from tests.builders import redaction_made
from tests.conftest import SHARED

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
    "key": [
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
    '{"text":"60060221"}',
    "order number 4512367890 of 12.05.2024",
    "price + 16.78 - 0.006 * temperature",
    "the year 2001-2010 phone 1990 2000",
    "cidr_block = 10.0.1.0/24 and mask 255.255.255.0 on 127.0.0.1",
    "version 10.0.19041.1",
    "open http://localhost:8080/index.html",
    "git clone git@github.com:org/repo.git",
    "logo@2x.png",
    "MyERC1155Token is ERC1155",
    "def f(token: str, password: str = None)",
    "password = os.environ['DB_PASSWORD1']",
    "The password is required",
    "AT&T 5G; 100% of 1,000,000.00",
]
WORDS = st.text("abcdefgh \n.,", max_size=30)


def redacted(*texts: str, kinds: Collection[str] = KINDS) -> list[str]:
    """The messages of one conversation after redaction."""
    column, names = pa.array(texts, pa.large_string()), pa.array(["c"] * len(texts), pa.large_string())
    books = Books()
    books.reserve(names, column)
    return cast("list[str]", books.number(names, mark_all(column, kinds)).to_pylist())


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in PERSONAL.items() for value in values])
def test_personal_values_become_placeholders_of_their_kind(kind: str, value: str) -> None:
    assert redacted(f"It is {value} as I said.") == [f"It is [{kind.upper()}_1] as I said."]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_personal_stays(text: str) -> None:
    assert redacted(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("use password: hunter2hunter2 now", "use password: [PASSWORD_1] now"),
        ("My password is hunter2!x.", "My password is [PASSWORD_1]."),
        ('export API_KEY="a1b2c3d4e5"', 'export API_KEY="[PASSWORD_1]"'),
        ("DB_PASSWORD=s3cr3t-value", "DB_PASSWORD=[PASSWORD_1]"),
        ("mein Passwort: geheim123", "mein Passwort: [PASSWORD_1]"),
        ("Authorization: Bearer abc123def456ghi789", "Authorization: Bearer [KEY_1]"),
        ("my ssn 499695814 ok", "my ssn [SSN_1] ok"),
        ("call me on 9472 7916 ok", "call me on [PHONE_1] ok"),
        ("Telefon 0171 2345678", "Telefon [PHONE_1]"),
        ("我的手机13812345678", "我的手机[PHONE_1]"),
        ("card ４５１０-２６７１-２４５７-７５０３", "card [CARD_1]"),
        ("call 336‑917‑8345 or 336−917−8345", "call [PHONE_1] or [PHONE_1]"),
        ("(336-917-8345)", "([PHONE_1])"),
        ("see (https://example.com/x).", "see ([URL_1])."),
        ("mail to:a.b@example.com.", "mail to:[EMAIL_1]."),
        ("at 51.101.99.206:8080", "at [IP_1]:8080"),
        ("4510 2671 2457 7503 12 people", "[CARD_1] 12 people"),
    ],
)
def test_values_go_with_what_is_theirs_and_leave_the_rest(text: str, expected: str) -> None:
    assert redacted(text) == [expected]


@settings(deadline=None)
@given(WORDS, WORDS, st.sampled_from([value for values in PERSONAL.values() for value in values]))
def test_no_value_survives_in_any_surroundings_and_a_second_pass_changes_nothing(before: str, after: str, value: str) -> None:
    (once,) = redacted(f"{before} {value} {after}")
    assert value not in once
    assert redacted(once) == [once]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([value for values in PERSONAL.values() for value in values] + HARMLESS), max_size=5),
    st.text(" ,.:/-\n", max_size=3),
)
def test_values_side_by_side_hide_none_of_each_other(values: list[str], between: str) -> None:
    (once,) = redacted(f" {between} ".join(values))
    assert not [value for value in values if value in once and value not in HARMLESS]
    assert redacted(once) == [once]


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
def test_any_text_is_redacted_once_for_all(text: str) -> None:
    (once,) = redacted(text)
    assert redacted(once) == [once]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PERSONAL["email"] + PERSONAL["phone"]), min_size=1, max_size=6))
def test_the_same_value_gets_the_same_placeholder(values: list[str]) -> None:
    placeholders = redacted(*(value.upper() if "@" in value else value for value in values))
    assert len(set(placeholders)) == len(set(values))
    assert redacted(*values) == placeholders


def test_spellings_of_one_number_are_one() -> None:
    (text,) = redacted("336-917-8345 or (336) 917-8345 or +1 336 917 8345, not 336-917-8346")
    assert text == "[PHONE_1] or [PHONE_1] or [PHONE_1], not [PHONE_2]"


def test_only_the_kinds_asked_for_are_redacted() -> None:
    assert redacted("a@example.com, https://example.com/x", kinds=["email"]) == ["[EMAIL_1], https://example.com/x"]


def test_conversations_number_for_themselves() -> None:
    column = mark_all(pa.array(["b@x.org a@x.org", "a@x.org", "a@x.org c@x.org"], pa.large_string()), KINDS)
    done = Books().number(pa.array(["one", "two", "one"], pa.large_string()), column).to_pylist()
    assert done == ["[EMAIL_1] [EMAIL_2]", "[EMAIL_1]", "[EMAIL_2] [EMAIL_3]"]


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
        assert list(ibans(good))
        assert not list(ibans(changed))


def uncovered(sentence: str) -> list[str]:
    """The values between the marks of a made-up sentence of which a letter or digit would stay."""
    parts = re.split("[‹›]", sentence)
    text, result = "".join(parts), find(flat("".join(parts)), KINDS)
    starts = [sum(map(len, parts[:at])) for at in range(1, len(parts), 2)]
    inside = [range(start, start + len(value)) for start, value in zip(starts, parts[1::2], strict=True)]
    stays = lambda place: text[place].isalnum() and not any(start <= place < end for start, end, _, _ in result)  # noqa: E731
    return [text[span.start : span.stop] for span in inside if any(map(stays, span))]


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in redaction_made.values()}))
def test_made_up_values_of_all_forms_are_found(kind: str) -> None:
    assert all("‹" in row for label, row in redaction_made.values() if label == kind)
    assert not [row for label, row in redaction_made.values() if label == kind and uncovered(row)]


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in redaction_made.lookalikes()}))
def test_what_only_looks_like_a_value_of_any_form_stays(kind: str) -> None:
    rows = [row for label, row in redaction_made.lookalikes() if label == kind]
    assert not [text for row in rows for text in (row, f"I saw {row} there.") if find(text, KINDS)]


def test_the_made_up_tables_are_as_long_as_they_are_said_to_be() -> None:
    assert (len(list(redaction_made.values())) >= 350, len(list(redaction_made.lookalikes())) >= 350) == (True, True)


def test_every_issuer_of_keys_and_every_service_has_a_made_up_key() -> None:
    label = [re.split("[‹›]", row)[:2] for kind, row in redaction_made.values() if kind == "key"]
    issued = [
        issuer for issuer, (words, _) in (PREFIXED | GUESSED).items() if not any(key.startswith(tuple(words.split())) for _, key in label)
    ]
    named = [
        service
        for service, (words, _) in SERVICES.items()
        if not any(before.lower().startswith(tuple(words.split())) for before, _ in label)
    ]
    assert (issued, named) == ([], [])
    assert len(PREFIXED | GUESSED | SHAPED | BLOCKS) + len(SERVICES) >= 220


@pytest.mark.parametrize(
    "text", ["datadog: agent-installation-guide-2024", "mattermost: thequickbrownfoxjumpsoverx", "$2b$12$ is how bcrypt begins"]
)
def test_a_service_alone_makes_no_key(text: str) -> None:
    assert not find(text, KINDS)


def test_drawn_values_are_found_and_drawn_lookalikes_stay() -> None:
    missed = [row for _, row in redaction_values.values() if uncovered(row)]
    false = [row for _, row in redaction_values.lookalikes() if find(flat(row), KINDS)]
    assert (len(missed) <= 0.05 * 350, len(false) <= 0.02 * 350) == (True, True), (missed, false)


MARKED = {"CREDIT_CARD", "PHONE_NUMBER", "EMAIL_ADDRESS", "DOMAIN_NAME", "IBAN_CODE", "US_SSN", "IP_ADDRESS", "US_DRIVER_LICENSE"}


def test_structured_kinds_of_a_public_set_are_found_and_little_else() -> None:
    path = SHARED / "data" / "presidio_research" / "data" / "synth_dataset_v2.json"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    wanted = right = finds = true = 0
    for row in json.loads(path.read_text(encoding="utf-8")):
        result = find(row["full_text"], KINDS)
        spans = [range(span["start_position"], span["end_position"]) for span in row["spans"] if span["entity_type"] in MARKED]
        wanted, finds = wanted + len(spans), finds + len(result)
        right += sum(any(start <= span.start and span.stop <= end for start, end, _, _ in result) for span in spans)
        true += sum(any(start < span.stop and span.start < end for span in spans) for start, end, _, _ in result)
    assert right >= 0.99 * wanted
    assert true >= 0.98 * finds
