"""promote: the new model is handed over only where it is better, and what is handed over is one of the two, byte by byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows import report
from tasks.common import champion as names
from tasks.core.errors import UserError
from tests.builders import training
from tests.builders.training import digests, tiny
from trainer.evaluation import quality
from trainer.promotion import decision, outcome
from trainer.promotion.writing import WRITERS

WRITTEN = {name: dict.fromkeys(quality.COLUMNS, 0.28 if name == "challenger" else 0.0) for name in WRITERS}
WORSE = ["28 % of its answers never end (champion 0 %, chosen answers 0 %)"]


def rule(**other: object) -> Any:
    return tiny(names.PROMOTE, **other)


def measured(stands: str = "better", low: float = 0.01, worse: list[str] = [], prompts: int = 64) -> dict[str, Any]:  # noqa: B006 (read only)
    """A comparison with figures."""
    return {
        "outcome": outcome.MEASURED,
        "why": "",
        "challenger": {"source": "scratch", "digest": "b6188f21"},
        "champion": {"name": "model@v3.0.0", "digest": "25e097c8"},
        "accuracy": {
            "challenger": {"accuracy": 0.79, "low": 0.74, "high": 0.83},
            "champion": {"accuracy": 0.81, "low": 0.76, "high": 0.85},
        },
        "difference": {"mean": 0.0, "low": low, "high": 0.1},
        "pairs": 248,
        "groups": 201,
        "p": 0.03,
        "stands": stands,
        "writing": {"prompts": prompts, "worse": worse, "length_ratio": {"challenger": 1.48, "champion": 0.97}, **WRITTEN},
    }


def plain(kind: str) -> dict[str, Any]:
    return {"outcome": kind, "why": "a reason", "challenger": {"digest": "b6188f21"}, "champion": {"name": "model@v3.0.0"}}


@pytest.mark.parametrize(
    ("comparison", "given", "promoted"),
    [
        (plain(outcome.FIRST), {}, True),
        (plain(outcome.ERASED), {}, True),
        (plain(outcome.SAME), {}, False),
        (plain(outcome.INCOMPARABLE), {"require_champion": False}, True),
        (plain(outcome.INCOMPARABLE), {"rule": "always"}, True),
        (measured("better"), {}, True),
        (measured("not told apart"), {}, False),
        (measured("worse"), {}, False),
        (measured("better", worse=WORSE), {}, False),
        (measured("not told apart", low=-0.01), {"rule": "not_worse"}, True),
        (measured("not told apart", low=-0.03), {"rule": "not_worse"}, False),
        (measured("worse", low=-0.01), {"rule": "not_worse"}, False),
        (measured("not told apart", low=-0.01, worse=WORSE), {"rule": "not_worse"}, False),
        (measured("worse", worse=WORSE), {"rule": "always"}, True),
    ],
)
def test_when_the_new_model_is_promoted(comparison: dict[str, Any], given: dict[str, Any], promoted: bool) -> None:
    decided = decision.decide(comparison, rule(**given))
    assert decided.promoted == promoted
    assert decided.phrase.startswith("promoted the new model" if promoted else "kept model@v3.0.0: ")


def test_the_line_says_the_figures_and_what_is_written_worse() -> None:
    assert decision.decide(measured("worse"), rule()).phrase == ("kept model@v3.0.0: test 0.790 against 0.810 on 248 shared pairs, p 0.03")
    assert decision.decide(measured(worse=WORSE), rule()).phrase.endswith(f", p 0.03; it writes worse: {WORSE[0]}")
    assert decision.decide(measured(prompts=0), rule()).phrase.endswith("p 0.03, what they write not looked at")
    assert decision.decide(plain(outcome.ERASED), rule()).phrase == "promoted the new model: a reason"


def test_a_champion_that_cannot_be_compared_with_stops_the_run_in_one_line() -> None:
    with pytest.raises(UserError) as raised:
        decision.decide(plain(outcome.INCOMPARABLE), rule())
    assert str(raised.value) == (
        "promote: found a reason; expected a champion to hold the new model against; "
        "run `dvc pull`, or set promote.require_champion to false, which promotes the new model"
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two models, and room for a comparison."""
    for place, text in ((f"champion/{names.MODEL}", "old"), ("models/candidate", "new")):
        folder = tmp_path / "data" / place
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "weights").write_text(text)
    (tmp_path / "data/comparison").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("comparison", "taken"),
    [(measured("better"), "models/candidate"), (measured("worse"), "champion/model"), (plain(outcome.SAME), "models/candidate")],
)
def test_what_is_handed_over_is_a_copy_and_the_decision_lies_in_the_reports(root: Path, comparison: dict[str, Any], taken: str) -> None:
    (root / "data/comparison" / names.COMPARISON).write_text(json.dumps(comparison))
    final = training.run(root, names.PROMOTE, rule())
    assert digests(final) == digests(root / "data" / taken)
    told = json.loads((root / "data/reports/promote" / report.VERDICT).read_text())
    assert told == {"phrase": decision.decide(comparison, rule()).phrase, "promoted": comparison == measured("better")}
    assert report.OUTCOMES[names.PROMOTE](told) == told["phrase"]


@pytest.mark.parametrize(
    ("comparison", "said", "left_out"),
    [
        (
            measured("worse", worse=WORSE),
            ["Kept model@v3.0.0", "0.790 [0.740, 0.830]", f"Worse: {WORSE[0]}", "1.48", "25e097c8"],
            "Not looked",
        ),
        (measured("better", prompts=0), ["Promoted the new model over model@v3.0.0", "p 0.03", "Not looked at"], "never end"),
        (plain(outcome.FIRST) | {"champion": None}, ["Promoted", "b6188f21"], "test pairs"),
        (measured("better") | {"champion": {"name": "<b>x</b>"}}, ["over &lt;b&gt;x&lt;/b&gt;"], "<b>x"),
    ],
)
def test_a_page_shows_the_decision_with_the_figures_behind_it(
    root: Path, comparison: dict[str, Any], said: list[str], left_out: str
) -> None:
    (root / "data/comparison" / names.COMPARISON).write_text(json.dumps(comparison))
    training.run(root, names.PROMOTE, rule())
    shown = (root / "data/reports/promote/report.html").read_text(encoding="utf-8")
    assert [words for words in said if words not in shown] == []
    assert left_out not in shown


def test_a_champion_that_is_to_be_kept_and_is_not_there_is_one_line(root: Path) -> None:
    (root / "data/comparison" / names.COMPARISON).write_text(json.dumps(measured("worse")))
    (root / "data/champion" / names.MODEL).rename(root / "elsewhere")
    with pytest.raises(UserError, match="champion/model: found nothing there"):
        training.run(root, names.PROMOTE, rule())
