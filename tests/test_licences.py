"""Claims about licences: each package that `make` can install has a known one, and it is allowed or an exception with a reason."""

from __future__ import annotations

from email.message import Message

import pytest

from flows.supply import licences, locks
from tests.conftest import ROOT

RULES = licences.rules(ROOT)
LISTED = licences.listed(ROOT)
REMEDY = "run `python -m flows.supply.licences` and `python -m flows.reference`"


def test_every_package_of_the_lists_has_a_licence_and_no_other_package_has() -> None:
    assert LISTED.keys() == locks.everything(locks.files(ROOT)).keys(), REMEDY


def test_a_listed_licence_is_the_one_that_the_installed_package_tells() -> None:
    told = {name: licences.licence(name, RULES) for name in LISTED}
    assert {name: expression for name, expression in told.items() if expression and expression != LISTED[name]} == {}, REMEDY
    assert sum(map(bool, told.values())) > 200


@pytest.mark.parametrize("name", LISTED)
def test_a_licence_is_allowed_or_the_package_an_exception_with_a_reason(name: str) -> None:
    assert licences.allows(LISTED[name], RULES.allowed) or RULES.reason(name), (
        f"{name}: {LISTED[name]} is not allowed in locks/licences.yaml"
    )


def test_no_exception_is_left_over() -> None:
    refused = [name for name, expression in LISTED.items() if not licences.allows(expression, RULES.allowed)]
    for pattern in RULES.exceptions:
        assert any(RULES.reason(name) == RULES.exceptions[pattern] for name in refused), f"{pattern} needs no exception"


def test_a_licence_that_nobody_knows_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    message = Message()
    message["License"] = "Ask my lawyer"
    monkeypatch.setattr("importlib.metadata.metadata", lambda name: message)
    assert licences.licence("requests", RULES) == ""


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT AND ISC", True),
        ("GPL-3.0-only AND MIT OR ISC", True),
        ("GPL-3.0-only AND (MIT OR ISC)", False),
        ("MIT AND (GPL-3.0-only OR ISC)", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH GCC-exception-2.0", False),
        ("Apache-2.0 WITH Another-exception", False),
    ],
)
def test_an_expression_is_allowed_when_it_can_be_met_with_allowed_ones(expression: str, allowed: bool) -> None:
    assert licences.allows(expression, RULES.allowed) is allowed
