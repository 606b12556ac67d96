"""What the `pairwright` command prints about a run: the table of stages, and where the results lie."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tasks.common import champion as names
from tasks.core import pipeline
from tasks.core.pipeline import Stage

HEAD = ("stage", "state", "table", "in", "made", "kept", "dropped", "seconds")
LEFT = ("stage", "state", "table")  # these columns are text
CURRENT = ("ran", "restored", "unchanged")  # states of stages whose ledger is of this run, or as good as


def ledger_rows(stage: Stage) -> list[dict[str, Any]]:
    """Counts of every table in the stage's ledger; nothing for a stage that keeps none or has not run."""
    path = stage.output / "ledger.json"
    if not path.is_file():
        return []
    return [{"table": name, **entry} for name, entry in json.loads(path.read_text(encoding="utf-8")).items()]


def stage_table(states: Mapping[str, str], seconds: Mapping[str, float]) -> list[str]:
    """The lines of the table of stages."""
    rows = [HEAD]
    for name, stage in pipeline.stages().items():
        head = (name, states.get(name, "not reached"))
        time = f"{seconds[name]:.1f}" if name in seconds else ""
        for number, entry in enumerate((ledger_rows(stage) if head[1] in CURRENT else []) or [{}]):
            counts = tuple(f"{entry[key]:,}" if key in entry else "" for key in ("in", "made", "kept", "dropped"))
            rows.append((*(head if not number else ("", "")), entry.get("table", ""), *counts, "" if number else time))
    return columns(rows, LEFT)


def columns(rows: Sequence[tuple[str, ...]], left: Sequence[str]) -> list[str]:
    """The lines of a table whose first row is its head; columns named in `left` are text, the others numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_row(rows[0], row, widths, left) for row in rows]


def _row(head: tuple[str, ...], cells: tuple[str, ...], widths: list[int], left: Sequence[str]) -> str:
    text = [cell.ljust(width) if name in left else cell.rjust(width) for name, cell, width in zip(head, cells, widths, strict=True)]
    return "  ".join(text).rstrip()


def results() -> Iterator[str]:
    """Where the outcome lies: outputs that no later stage consumes, pages for people, and the figures of `dvc metrics show`."""
    stages = pipeline.stages()
    for stage in stages.values():
        if stage.output.exists() and any(stage.output == path for other in stages.values() for path in other.data):
            yield f"{stage.output.name + ':':<12}{stage.output}"  # whole outputs that a later stage reads: the release, the models
        if stage.reports and stage.reports.exists():
            yield from (f"{'checks:' if page.stem == INDEX else 'report:':<12}{page}" for page in sorted(stage.reports.glob("*.html")))
        yield from (f"{'report:':<12}{page}" for page in sorted(stage.output.glob("*.html")))
    yield from _metrics(stages)


def _metrics(stages: Mapping[str, Stage]) -> Iterator[str]:
    """One line a metrics file of `dvc.yaml` that tells the outcome of the whole path: held-out accuracy, and what is handed over."""
    document = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))
    files = {path.parent: path for path in map(Path, document.get("metrics", ()))}
    last = list(stages)[-1]
    for name, stage in stages.items():
        path = files.get(stage.output)
        if path and path.is_file() and (name in OUTCOMES or name == last):
            figures = json.loads(path.read_text(encoding="utf-8"))
            for verdict in (folder / VERDICT for folder in (path.parent, stage.reports) if folder):
                figures |= json.loads(verdict.read_text(encoding="utf-8")) if verdict.is_file() else {}
            yield f"{name + ':':<12}{OUTCOMES.get(name, listed)(figures)}"


def listed(figures: Mapping[str, object]) -> str:
    """All figures of a file, in one line."""
    return ", ".join(f"{name} {value}" for name, value in figures.items())


def held_out(figures: Mapping[str, float | str]) -> str:
    """The line about held-out preferences."""
    low, high = figures["test_accuracy_low"], figures["test_accuracy_high"]
    return (
        f"test accuracy {figures['test_accuracy']:.3f} [{low:.3f}, {high:.3f}] on {figures['test_pairs']} pairs (reference 0.500); "
        f"likelihood {figures['test_likelihood_policy']:.3f} (reference {figures['test_likelihood_reference']:.3f}): "
        f"{figures.get('phrase', 'no verdict')}"
    )


def handed_over(figures: Mapping[str, float]) -> str:
    """The line about the variant that compression picked."""
    return (
        f"{figures['pick_bytes'] / 1e6:.1f} MB of the policy's {figures['original_bytes'] / 1e6:.1f}, "
        f"test accuracy {figures['pick_test_accuracy']:.3f} (the policy's {figures['original_test_accuracy']:.3f})"
    )


def promoted(figures: Mapping[str, str]) -> str:
    """The line about which model is handed over, and why."""
    return figures.get("phrase", "the reports of this stage, which say why, are not here")


INDEX = "index"  # of the pages of checks
VERDICT = names.SAID  # what a stage may lay beside its metrics, or into its reports: the outcome in words
OUTCOMES: dict[str, Callable[[dict[str, Any]], str]] = {"evaluate": held_out, "compress": handed_over, names.PROMOTE: promoted}
