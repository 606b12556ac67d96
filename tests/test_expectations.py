"""The suites and the gate: what a rule sees, when it stops, and what its pages may hold."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path

import pyarrow as pa
import pytest

from expectations import feedback, pairs, prompts, turns, unpaired
from expectations.gate import Gate, SuiteError, first_rules
from expectations.rules import Rule, Suite, among, between, columns_of, holds, rows_between, true, true_for, unique
from tasks.core.errors import UserError

TURNS = turns.Bounds(
    min_rows=1, max_dropped=0.1, may_drop=0, max_question_chars=9, min_answer_chars=1, max_answer_chars=9, earliest_year=2000,
    latest_year=2099,
    min_known_language=0.5,
)  # fmt: skip
FEEDBACK = feedback.Bounds(min_rows=1, max_dropped=0.1, may_drop=0, min_with_target=0.5, earliest_year=2000, latest_year=2099)
SUITES = [turns.suite(TURNS, 100), feedback.suite(FEEDBACK, 100), pairs.suite(1, pairs.SPLITS), unpaired.suite(0), prompts.suite(0)]


def table(**columns: list[object]) -> pa.Table:
    return pa.table(columns)


def broken(suite: Suite, rows: pa.Table) -> list[str]:
    gate = Gate("test")
    gate.check(suite, rows)
    return [outcome.rule for outcome in gate.broken]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_rule_names_are_drop_reasons_and_expectations_exist(suite: Suite) -> None:
    import great_expectations.expectations as kinds

    assert not set(suite.rows) & set(suite.table)
    for name, rule in {**suite.rows, **suite.table}.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert hasattr(kinds, rule.expectation)


def test_importing_the_suites_does_not_import_great_expectations() -> None:
    code = "import sys, expectations.gate, expectations.turns, tasks.validate, tasks.release; print('great_expectations' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    assert done.stdout.strip() == "False"


def test_the_first_rule_that_a_row_breaks_is_its_reason() -> None:
    suite = Suite("t", {"short": between("n", low=2), "odd": among("k", ["a"])}, {})
    rows = Gate("test").rows(suite, table(n=[1, 2, 1, 3], k=["b", "b", "a", "a"]))
    assert first_rules(rows, 4).to_pylist() == ["short", "odd", "short", None]


def test_null_is_no_breach() -> None:
    rows = Gate("test").rows(Suite("t", {"short": between("n", low=2)}, {}), table(n=pa.array([None, 1], pa.int64())))
    assert rows["short"].tolist() == [1]


@pytest.mark.parametrize(("tolerance", "expected"), [(0.5, []), (0.2, ["bad"])])
def test_row_rules_break_the_table_only_above_the_tolerance(tolerance: float, expected: list[str]) -> None:
    suite = Suite("t", {"bad": true("ok")}, {}, tolerance)
    assert broken(suite, table(ok=[True, True, False])) == expected


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        (rows_between(1), table(a=pa.array([], pa.int64()))),
        (unique("a"), table(a=[1, 1])),
        (unique("a", "b"), table(a=[1, 1], b=["x", "x"])),
        (holds("a", ["x", "y"]), table(a=["x", "x"])),
        (true_for("a", 0.9), table(a=[True, False])),
    ],
    ids=["rows", "unique", "unique_together", "holds", "share"],
)
def test_table_rules_break(rule: Rule, rows: pa.Table) -> None:
    assert broken(Suite("t", {}, {"rule": rule}), rows) == ["rule"]


def test_a_warning_neither_stops_nor_drops_but_is_told() -> None:
    suite = Suite("t", {}, {"languages": true_for("known", 0.9, severity="warning")})
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", UserWarning)
        assert broken(suite, table(known=[True, False])) == []
    assert any("rule languages: found 1 of 2 rows (50 %)" in str(warning.message) for warning in heard)


def test_a_rule_that_cannot_be_judged_is_an_error_not_a_verdict() -> None:
    suite = Suite("t", {"short": between("missing", low=1)}, {"rows": rows_between(0)})
    with pytest.raises(SuiteError, match="rule short"):
        Gate("test").check(suite, table(n=[1]))
    with pytest.raises(SuiteError, match="rule short"):
        Gate("test").rows(suite, table(n=[1]))


def test_wrong_columns_are_named() -> None:
    gate = Gate("test")
    gate.check(columns_of("turns", ["a", "b"]), table(a=[1], c=[1]))
    assert "missing b" in gate.broken[0].found
    assert "unexpected c" in gate.broken[0].found


def test_error_names_rule_observed_expected_and_a_page_that_exists_and_holds_no_values(tmp_path: Path) -> None:
    gate = Gate("validate")
    suite = Suite("turns", {"unknown_role": among("role", ["user"])}, {"few": rows_between(5)})
    gate.check(suite, table(role=["user", "zebra-secret"]))
    gate.publish(tmp_path)
    with pytest.raises(UserError) as caught:
        gate.enforce(tmp_path)
    message = str(caught.value)
    assert "validate: turns: rule unknown_role: found 1 of 2 rows (50 %) breaking it; expected role one of user" in message
    assert "1 more broken: few" in message
    page = re.search(r"see (\S+\.html)", message)
    assert page
    assert Path(page[1]).is_file()
    assert "\n" not in message
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"zebra-secret" in path.read_bytes()]


def test_pages_fetch_nothing_from_elsewhere(tmp_path: Path) -> None:
    gate = Gate("test")
    gate.check(Suite("t", {}, {"rows": rows_between(1)}), table(a=[1]))
    gate.publish(tmp_path)
    assert (tmp_path / "index.html").is_file()
    for path in tmp_path.rglob("*.html"):
        assert not re.findall(r"""(?:src|<link[^>]*href)\s*=\s*["']https?:""", path.read_text())
        assert "<script" not in path.read_text()
