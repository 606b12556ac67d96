"""The suites and the gate: what a rule sees, when it stops, and what its pages may hold."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pytest

from expectations import feedback, pairs, prompts, turns, unpaired
from expectations.gate import Gate, SuiteError, first_rules
from expectations.rules import Rule, Suite, columns_of, contains_all, in_range, is_true, is_true_for, one_of, rows_between, unique
from tasks.common.vocabulary.splits import SPLITS
from tasks.core.errors import UserError
from tests.builders.browser import browser, missing

TURNS = turns.Bounds(
    min_rows=1, max_dropped=0.1, may_drop=0, max_question_chars=9, min_answer_chars=1, max_answer_chars=9, earliest_year=2000,
    latest_year=2099,
    min_known_language=0.5,
)  # fmt: skip
FEEDBACK = feedback.Bounds(min_rows=1, max_dropped=0.1, may_drop=0, min_with_target=0.5, earliest_year=2000, latest_year=2099)
SUITES = [turns.suite(TURNS, 100), feedback.suite(FEEDBACK, 100), pairs.suite(1, SPLITS), unpaired.suite(0), prompts.suite(0)]


def table(**columns: list[object] | pa.Array[Any]) -> pa.Table:
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
    suite = Suite("t", {"short": in_range("n", low=2), "odd": one_of("k", ["a"])}, {})
    rows = Gate("test").rows(suite, table(n=[1, 2, 1, 3], k=["b", "b", "a", "a"]))
    assert first_rules(rows, 4).to_pylist() == ["short", "odd", "short", None]


def test_null_is_no_breach() -> None:
    rows = Gate("test").rows(Suite("t", {"short": in_range("n", low=2)}, {}), table(n=pa.array([None, 1], pa.int64())))
    assert rows["short"].tolist() == [1]


@pytest.mark.parametrize(("tolerance", "expected"), [(0.5, []), (0.2, ["bad"])])
def test_row_rules_break_the_table_only_above_the_tolerance(tolerance: float, expected: list[str]) -> None:
    suite = Suite("t", {"bad": is_true("ok")}, {}, tolerance)
    assert broken(suite, table(ok=[True, True, False])) == expected


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        (rows_between(1), table(a=pa.array([], pa.int64()))),
        (unique("a"), table(a=[1, 1])),
        (unique("a", "b"), table(a=[1, 1], b=["x", "x"])),
        (contains_all("a", ["x", "y"]), table(a=["x", "x"])),
        (is_true_for("a", 0.9), table(a=[True, False])),
    ],
    ids=["rows", "unique", "unique_together", "holds", "share"],
)
def test_table_rules_break(rule: Rule, rows: pa.Table) -> None:
    assert broken(Suite("t", {}, {"rule": rule}), rows) == ["rule"]


def test_a_warning_neither_stops_nor_drops_but_is_reported() -> None:
    suite = Suite("t", {}, {"languages": is_true_for("known", 0.9, severity="warning")})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        assert broken(suite, table(known=[True, False])) == []
    assert any("rule languages: found 1 of 2 rows (50 %)" in str(warning.message) for warning in caught)


def test_a_rule_that_cannot_be_judged_is_an_error_not_a_verdict() -> None:
    suite = Suite("t", {"short": in_range("missing", low=1)}, {"rows": rows_between(0)})
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
    suite = Suite("turns", {"unknown_role": one_of("role", ["user"])}, {"few": rows_between(5)})
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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of a gate that found something of every kind."""
    folder, gate = tmp_path_factory.mktemp("site"), Gate("validate")
    rows = {"unknown_role": one_of("role", ["user", "assistant"]), "too_short": in_range("n", low=1)}
    kinds = {"few": rows_between(5), "copied_key": unique("n"), "languages": is_true_for("known", 0.9, severity="warning")}
    columns = table(role=[*["user"] * 9, "zebra-secret"], n=[0] * 10, known=[*[True] * 8, False, False])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gate.check(Suite("turns", rows, kinds, tolerance=0.2), columns)
    gate.check(Suite("a<b>&c d", {"ok": is_true("ok")}, {"rows": rows_between(1)}), table(ok=[True] * 3))
    gate.publish(folder)
    return folder


def lines(page: str) -> list[list[str]]:
    """Cells of each line of the tables of an HTML page."""
    return [
        [unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall("<td.*?</td>", line)] for line in re.findall("<tr>.*?</tr>", page)
    ]


def test_index_says_what_broke_what_was_counted_and_what_holds(site: Path) -> None:
    page = (site / "index.html").read_text()
    assert "✗ 2 rules broken: the pipeline stopped here" in page
    shown = lines(page)
    assert ["turns", "✗ broken", "10", "5", "2", "1", "2"] in shown
    assert ["a<b>&c d", "✓ holds", "3", "2", "2", "0", "0"] in shown
    assert ["turns: too_short", "✗ broken", "10 of 10 rows (100 %) breaking it", "n at least 1, with at most 20 % breaking it"] in shown
    assert ["turns: languages", "! warning", "2 of 10 rows (20 %) breaking it", "known for at least 90 % of the rows"] in shown
    assert ["unknown_role", "✓ drops rows", "1 of 10 rows (10 %) breaking it"] in [line[:3] for line in shown]
    assert ["few", "✓ holds", "10", "rows at least 5"] in shown
    assert ["ok", "✓ holds", "0 of 3 rows (0 %) breaking it", "ok for every row"] in shown
    assert "zebra-secret" not in page


def test_every_link_of_every_page_leads_to_a_page_that_is_there(site: Path) -> None:
    seen, waiting = set(), [site / "index.html"]
    while waiting:
        page = waiting.pop()
        seen.add(page.resolve())
        text = page.read_text()
        ids = {unescape(quoted or bare) for quoted, bare in re.findall(r'\bid=(?:"([^"]*)"|([^" >]+))', text)}
        for link in map(unescape, re.findall(r'<a\b[^>]*href="([^"]*)"', text)):
            path, _, part = link.partition("#")
            if not path:
                assert part in ids, f"{page}: {link}"
            elif not path.startswith("http"):
                target = (page.parent / unquote(path)).resolve()
                assert target.is_file(), f"{page}: {link}"
                waiting += [target] if target not in seen else []
    assert seen == {path.resolve() for path in site.rglob("*.html")}
    assert len(seen) == 5


def test_index_of_a_gate_that_passed_says_so(tmp_path: Path) -> None:
    gate = Gate("release")
    gate.check(Suite("t", {}, {"rows": rows_between(1)}), table(a=[1]))
    gate.publish(tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert "✓ All required rules hold" in page
    assert "Checks of release" in page
    assert "broken</h2>" not in page.lower()


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}")
@pytest.mark.parametrize("width", [500, 1400])
def test_browser_without_a_network_shows_the_index_and_what_it_links_to(site: Path, tmp_path: Path, width: int) -> None:
    with browser(tmp_path, "--host-resolver-rules=MAP * ~NOTFOUND") as page:
        page.call("POST", "/window/rect", {"width": width, "height": 1000})
        page.open((site / "index.html").as_uri())
        page.see("Checks of validate", "turns: too_short", "drops rows")
        assert page.script("return document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"
        page.picture("index")
        page.click("every result")
        page.see("Unsuccessful Expectations")
        page.click("← all checks")
        page.click("the rules")
        page.see("Must have greater than or equal to 5 rows")
        assert page.hosts() == set()
