"""Claims about the gates: ordinary nights pass, planted faults do not, small numbers do not shout, and a person has the last word."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from flows import figures
from flows.nights import gates, levels, telling
from flows.nights.levels import Levels
from flows.versions import record
from tasks.core import params
from tasks.core.errors import UserError
from tests.benchmarks.nights import alarms, detected
from tests.builders import toys
from tests.builders.night_figures import FAULTS, invented
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def settings() -> levels.Params:
    return params.load(ROOT / "params.yaml", levels.SECTION, levels.Params)


def states(was: figures.Figures, now: figures.Figures, settings: levels.Params) -> dict[str, str]:
    """The verdict on each item."""
    return {f"{one.gate} {one.item}": one.verdict for one in gates.compare(was, now, settings)}


@pytest.mark.parametrize("growing", [True, False])
def test_of_two_hundred_ordinary_nights_none_is_told_of(growing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert alarms(invented(1000), 150, 200, growing=growing) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_stops_every_night_of_three_hundred_chats(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert detected(invented(1000), 300, fault, 5) == ["stop"] * 5


def test_a_log_cut_from_306_pairs_to_50_stops_and_one_from_12_to_4_does_not(settings: levels.Params) -> None:
    assert states(pairs(306), pairs(50), settings) == {"volume pairs_train": "stop"}
    assert states(pairs(12), pairs(4), settings) == {"volume pairs_train": "pass"}
    assert states(pairs(306), pairs(0), settings) == {"volume pairs_train": "stop"}
    assert states(pairs(306), pairs(280), settings) == {"volume pairs_train": "pass"}
    assert states(pairs(1000), pairs(700), settings) == {"volume pairs_train": "warn"}
    assert states(pairs(1000), pairs(2500), settings) == {"volume pairs_train": "warn"}


def pairs(count: int) -> figures.Figures:
    return figures.from_record({"pairs_train": count, "prompts_in_two_splits": 0, "probe_accuracy": 0.5}, {})


def test_a_reason_that_is_new_or_gone_is_compared_with_none(settings: levels.Params) -> None:
    def book(**reasons: int) -> figures.Figures:
        account = {"in": 1000, "made": 0, "kept": 0, "dropped": sum(reasons.values()), "reasons": reasons}
        return figures.from_record({}, {"clean": {"turns": account}})

    found = states(book(empty=20), book(error=400), settings)
    assert found == {"drops clean turns": "stop", "drops clean turns empty": "pass", "drops clean turns error": "stop"}


def test_fewer_unread_records_and_votes_less_unequal_are_no_fault(settings: levels.Params) -> None:
    worse, better = {"unread": {"records": (400, 1000)}}, {"unread": {"records": (0, 1000)}}
    assert states(worse, better, settings) == {"unread records": "pass"}
    assert states(better, worse, settings) == {"unread records": "stop"}


def test_levels_that_are_off_never_speak_and_levels_out_of_order_are_refused(settings: levels.Params) -> None:
    quiet = settings.model_copy(update={"languages": Levels(warn=None, stop=None)})
    was, now = {"languages": {"en": (900, 1000), "fr": (100, 1000)}}, {"languages": {"en": (100, 1000), "fr": (900, 1000)}}
    assert set(states(was, now, quiet).values()) == {"pass"}
    assert set(states(was, now, settings).values()) == {"stop"}
    with pytest.raises(UserError, match="warn must not be above stop"):
        params.check("params.yaml", "gates", settings.model_dump() | {"probe": {"warn": 0.5, "stop": 0.1}}, levels.Params)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A toy project whose dataset lies there, beside the record of a version with 306 pairs."""
    root = toys.make(tmp_path / "toy")
    monkeypatch.chdir(root)
    (root / toys.SECOND).mkdir(parents=True)
    set_pairs(root, 306)
    monkeypatch.setattr(record, "newest", lambda: json.loads((root / "record.json").read_text()))
    now = figures.here(Path(toys.SECOND))
    (root / "record.json").write_text(json.dumps({"tag": "dataset@v1.0.0", "metrics": {}, "ledgers": {}, "figures": now}))
    return root


def set_pairs(root: Path, count: int) -> None:
    (root / toys.SECOND / "metrics.json").write_text(json.dumps({"pairs_train": count, "unpaired": 12}))


def test_a_build_is_held_against_the_newest_version_and_a_stop_says_what_to_do(toy: Path) -> None:
    assert gates.judge().state == "pass"
    set_pairs(toy, 50)
    verdict = gates.judge()
    assert verdict.of_gates() == {"volume": "stop"}
    assert telling.stopped(verdict) == (
        "stopped against dataset@v1.0.0: volume: pairs_train was 306, is 50 (changed by 0.84, level 0.4); "
        "find the cause in the logs, or, if this is right, `pairwright run --accept volume`"
    )
    accepted = gates.judge(["volume"])
    assert (accepted.state, accepted.of_gates()) == ("accepted", {"volume": "accepted"})
    assert gates.judge(["probe"]).state == "stop"


def test_before_the_first_version_there_is_nothing_to_compare(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "newest", lambda: None)
    verdict = gates.judge()
    assert (verdict.against, verdict.findings, verdict.state) == (None, (), "pass")


def test_figures_of_a_record_hold_counts_and_no_text(tmp_path: Path) -> None:
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    found = figures.from_record({"pairs_train": 5, "longer_chosen": 0.5}, {"ingest": {"records": account(10, 2), "turns": account(90, 0)}})
    assert found["volume"] == {"pairs_train": (5, 0), "turns": (90, 0)}
    assert found["unread"] == {"records": (2, 12)}
    assert found["drops"] == {"ingest turns": (0, 90)}


def account(kept: int, dropped: int) -> dict[str, object]:
    return {"in": 0, "made": kept + dropped, "kept": kept, "dropped": dropped, "reasons": {"broken": dropped} if dropped else {}}
