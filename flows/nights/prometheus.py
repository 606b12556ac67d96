"""Figures of the last run as a text file that node_exporter's textfile collector reads.

`data/reports/run/metrics.prom`; point `--collector.textfile.directory` at its folder, or link the file into the one that is set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flows.nights import place
from flows.report import ledger_rows
from flows.stage_tasks import WELL, Told
from tasks.core import pipeline

GATE_STATES = {"pass": 0, "accepted": 0, "warn": 1, "stop": 2}
COUNTS = ("in", "made", "kept", "dropped")
PAIRS = "pairs_"
# Figures of a model: name in its metrics file, name here, help.
MODEL = {
    "test_accuracy": ("pairwright_model_test_accuracy_ratio", "Share of held-out pairs that the policy ranks as people did."),
    "test_pairs": ("pairwright_model_test_pairs", "Held-out pairs that the policy was judged by."),
}


class Sample(NamedTuple):
    """One value of a metric."""

    labels: Mapping[str, str]
    value: float


class Metric(NamedTuple):
    """A metric, with its values."""

    name: str
    text: str
    samples: Sequence[Sample]


def render(metrics: Iterable[Metric]) -> str:
    """The text format; a metric without a value is left out."""
    return "".join(line + "\n" for metric in metrics if metric.samples for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.text}"
    yield f"# TYPE {metric.name} gauge"
    for labels, value in metric.samples:
        shown = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
        yield f"{metric.name}{'{' + shown + '}' if shown else ''} {value:.17g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def metrics(flow: str, outcomes: Sequence[Told], *, success: bool, began: float, ended: float, gates: Mapping[str, str]) -> list[Metric]:
    """Everything that is told of a run; rows of those stages alone whose output is of this run or was up to date in it."""
    run = {"flow": flow}
    done = [one["stage"] for one in outcomes if one["state"] in WELL and one["stage"] in pipeline.stages()]
    rows = [(stage, entry) for stage in done for entry in ledger_rows(pipeline.stage(stage))]
    return [
        Metric("pairwright_run_success", "Whether the last run ended well.", [Sample(run, int(success))]),
        Metric("pairwright_run_start_time_seconds", "When the last run began.", [Sample(run, began)]),
        Metric("pairwright_run_end_time_seconds", "When the last run ended.", [Sample(run, ended)]),
        Metric("pairwright_step_seconds", "What each step of the last run took.", _steps(outcomes, "seconds")),
        Metric("pairwright_step_success", "Whether each step of the last run ended well.", _steps(outcomes, "state")),
        Metric("pairwright_rows", "Rows of each table of a stage, by what became of them.", [one for row in rows for one in _counts(*row)]),
        Metric("pairwright_rows_dropped", "Rows that a stage dropped, by reason.", [one for row in rows for one in _reasons(*row)]),
        Metric("pairwright_pairs", "Pairs of the release, by split.", list(_pairs(done))),
        Metric(
            "pairwright_gate_state",
            "The gates against the last version: 0 passed, 1 warned, 2 stopped the run.",
            [Sample({"gate": name}, GATE_STATES[state]) for name, state in gates.items()],
        ),
        *_model(done),
    ]


def _steps(outcomes: Sequence[Told], what: str) -> list[Sample]:
    return [
        Sample({"step": one["stage"], "state": one["state"]}, round(one["seconds"], 3) if what == "seconds" else int(one["state"] in WELL))
        for one in outcomes
    ]


def _counts(stage: str, entry: Mapping[str, Any]) -> Iterator[Sample]:
    yield from (Sample({"stage": stage, "table": entry["table"], "rows": name}, entry[name]) for name in COUNTS if name in entry)


def _reasons(stage: str, entry: Mapping[str, Any]) -> Iterator[Sample]:
    for reason, count in entry.get("reasons", {}).items():
        yield Sample({"stage": stage, "table": entry["table"], "reason": reason}, count)


def _figures(stage: str) -> dict[str, Any]:
    path = pipeline.stage(stage).output / "metrics.json"
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def _pairs(done: Iterable[str]) -> Iterator[Sample]:
    for name, value in (item for stage in done for item in _figures(stage).items()):
        if name in (f"{PAIRS}train", f"{PAIRS}validation", f"{PAIRS}test"):
            yield Sample({"split": name.removeprefix(PAIRS)}, value)


def _model(done: Iterable[str]) -> Iterator[Metric]:
    found = [figures for stage in done if "test_accuracy" in (figures := _figures(stage))][:1]
    for name, (called, text) in MODEL.items():
        yield Metric(called, text, [Sample({}, figures[name]) for figures in found if name in figures])


def write(text: str) -> Path:
    """Lay the file down in one piece."""
    place.write(place.METRICS, text)
    return place.folder() / place.METRICS
