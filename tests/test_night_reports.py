"""Claims about what a run leaves for those who watch it: log lines with a level, a Prometheus text file, a table of its own rows."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows import report
from flows.log_lines import Levels
from flows.nights import journal, place, prometheus
from flows.stage_tasks import Told
from tests.builders import toys

LEDGER = {"turns": {"in": 10, "made": 0, "kept": 8, "dropped": 2, "reasons": {"empty": 2}}}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = toys.make(tmp_path / "toy")
    monkeypatch.chdir(root)
    for folder in (toys.FIRST, toys.SECOND, toys.TRAIN):
        (root / folder).mkdir(parents=True)
        (root / folder / "ledger.json").write_text(json.dumps(LEDGER))
    (root / toys.SECOND / "metrics.json").write_text(json.dumps({"pairs_train": 5, "pairs_test": 1, "unpaired": 3}))
    (root / toys.TRAIN / "metrics.json").write_text(json.dumps({"test_accuracy": 0.75, "test_pairs": 4}))
    return root


def test_a_line_of_a_stage_has_the_level_that_its_words_tell() -> None:
    said = [
        ("ingest: warning: 3 records were not read", "WARNING"),
        ("WARNING: output is not in cache", "WARNING"),
        ("/x/y.py:12: UserWarning: odd", "WARNING"),
        ("ingest: read 3 records", "INFO"),
        ("error: data/raw: nothing there", "ERROR"),
        ("ERROR: failed to reproduce 'ingest'", "ERROR"),
        ("Traceback (most recent call last):", "ERROR"),
        ('  File "x.py", line 1', "ERROR"),
        ("ValueError: no", "ERROR"),
        ("ingest: goes on about a warning: that it heard", "INFO"),
    ]
    levels = Levels()
    assert [(line, logging.getLevelName(levels.of(line))) for line, _ in said] == said


def test_a_failed_or_unreached_stage_shows_no_rows_of_an_earlier_run(toy: Path) -> None:
    head, first, second, train = report.stage_table({"first": "ran", "second": "FAILED"}, {"first": 1.0, "second": 2.0})
    assert head.split() == list(report.HEAD)
    assert first.split() == ["first", "ran", "turns", "10", "0", "8", "2", "1.0"]
    assert second.split() == ["second", "FAILED", "2.0"]
    assert train.split() == ["train", "not", "reached"]


def told(stage: str, state: str) -> Told:
    return {"stage": stage, "state": state, "seconds": 1.5, "message": ""}


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """What Prometheus's own parser reads, by name and values of labels."""
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation and family.type == "gauge" for family in families)
    return {(one.name, tuple(one.labels.values())): one.value for family in families for one in family.samples}


def test_figures_of_a_run_are_read_by_the_parser_of_prometheus(toy: Path) -> None:
    outcomes = [told("first", "Completed"), told("second", "Unchanged"), told("gates", "Warned"), told("train", "Completed")]
    states = {"volume": "warn", "probe": "pass"}
    found = samples(prometheus.render(prometheus.metrics("build", outcomes, success=True, began=1.0, ended=9.5, gates=states)))
    assert found["pairwright_run_success", ("build",)] == 1
    assert found["pairwright_run_end_time_seconds", ("build",)] == 9.5
    assert found["pairwright_step_seconds", ("first",)] == 1.5
    assert found["pairwright_rows", ("first", "turns", "kept")] == 8
    assert found["pairwright_rows_dropped", ("second", "turns", "empty")] == 2
    assert found["pairwright_pairs", ("train",)] == 5
    assert found["pairwright_gate_state", ("volume",)] == 1
    assert found["pairwright_gate_state", ("probe",)] == 0
    assert found["pairwright_model_test_accuracy_ratio", ()] == 0.75


def test_figures_of_a_failed_run_hold_no_rows_of_the_stage_that_failed(toy: Path) -> None:
    outcomes = [told("first", "Completed"), told("second", "Failed")]
    found = samples(prometheus.render(prometheus.metrics("build", outcomes, success=False, began=1.0, ended=2.0, gates={})))
    assert found["pairwright_run_success", ("build",)] == 0
    assert found["pairwright_step_success", ("second",)] == 0
    assert {labels[0] for name, labels in found if name == "pairwright_rows"} == {"first"}
    assert not {name for name, _ in found} & {"pairwright_pairs", "pairwright_model_test_accuracy_ratio"}


def test_labels_are_escaped() -> None:
    text = prometheus.render([prometheus.Metric("m", "Text.", [prometheus.Sample({"a": 'say "\\"\nno'}, 1)])])
    assert samples(text) == {("m", ('say "\\"\nno',)): 1.0}


def test_figures_are_replaced_in_one_piece_and_no_collector_reads_the_one_that_is_being_written(toy: Path) -> None:
    place.write(place.METRICS, "old")
    seen: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", lambda beside, target: seen.extend((beside.name, target.read_text())))
        place.write(place.METRICS, "new")
    beside, still = seen
    assert not beside.endswith(".prom")
    assert still == "old"


@pytest.mark.filterwarnings("ignore:Logger .* attempted to send logs")
def test_the_log_is_one_json_line_a_record_and_begins_anew_with_each_run(toy: Path) -> None:
    logger = logging.getLogger("prefect.task_runs")
    for words in ("first run", "second run"):
        journal.begin()
        logger.warning("%s: ß", words, extra={"task_run_name": "ingest"})
        journal.end()
    logger.warning("after the end")
    (line,) = (place.folder() / place.LOG).read_text(encoding="utf-8").splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("+00:00")
    assert entry == {"level": "WARNING", "stage": "ingest", "message": "second run: ß"}
