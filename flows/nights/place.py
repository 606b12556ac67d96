"""Where a run leaves its log, its figures and what the gates found: beside the reports, outside DVC, and in no version."""

from __future__ import annotations

from pathlib import Path

from tasks.core import pipeline

LOG, METRICS, GATES = "log.jsonl", "metrics.prom", "gates.json"


def folder() -> Path:
    """The folder, made if it is not there."""
    first = next(iter(pipeline.stages().values()))
    place = first.output.parent / "reports" / "run"
    place.mkdir(parents=True, exist_ok=True)
    return place


def write(name: str, text: str) -> None:
    """A file of the folder, whole or not at all; its name beside ends as no reader of the folder expects."""
    beside = folder() / f".{name}.new"
    beside.write_text(text, encoding="utf-8")
    beside.replace(folder() / name)
