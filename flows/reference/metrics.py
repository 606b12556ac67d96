"""The page of metrics: each figure that is reported, and what it means."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from flows.reference.figures import STAGES, VERDICT
from flows.reference.markdown import page, table, text
from flows.reference.settings import field_comments
from tasks.common.training_methods import Choice, Method, Need, Weights
from tasks.core import pipeline
from tasks.release.analysis.bias import Bias, Share
from tasks.release.probe.accuracy import Accuracy
from tasks.release.probe.learning_curve import Curve, More, Point
from tasks.release.probe.probe import Probed
from tasks.release.probe.suspect_labels import Planted, Suspect, Suspects
from tasks.release.split_certificate import NAME, SECTIONS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LEAD = (
    "Stages write few flat figures to `metrics.json` (`dvc metrics show` prints them, `dvc metrics diff` compares them) and everything "
    "else to reports. In names, a part in angle brackets stands for several words."
)
METRICS = "metrics.json"
# The reports of a release that are the fields of a class, with the classes of what is in them.
REPORTS: dict[str, tuple[type[DataclassInstance], ...]] = {
    "probe.json": (Probed, Accuracy, Curve, Point, More, Suspects, Suspect, Planted),
    "bias.json": (Bias, Share),
    "methods.json": (Choice, Method, Need, Weights),
}


def render(root: Path) -> str:
    """The page as Markdown."""
    outputs = {name: stage.output for name, stage in pipeline.stages(root).items()}
    release, evaluation = outputs["release"], outputs["evaluate"]
    flat = [
        _named(" and ".join(f"`{outputs[stage] / METRICS}`" for stage, _ in same), known)
        for known, same in ((dict(known), list(same)) for known, same in groupby(STAGES.items(), lambda entry: entry[1]))
    ]
    reports = [_report(str(release / file), classes) for file, classes in REPORTS.items()]
    others = [_named(f"`{release / NAME}`", SECTIONS), _named(f"`{evaluation / 'verdict.json'}`", VERDICT)]
    return page("Metrics", LEAD, *flat, *reports, *others)


def _named(title: str, known: Mapping[str, str]) -> str:
    return f"## {title}\n\n" + table(("figure", "meaning"), _rows(known))


def _rows(known: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return [(f"`{name}`", text(meaning)) for name, meaning in known.items()]


def _report(file: str, classes: tuple[type[DataclassInstance], ...]) -> str:
    first, *inner = classes
    parts = [f"## `{file}`", text(inspect.getdoc(first) or ""), table(("field", "meaning"), _rows(meanings(first)))]
    for one in inner:
        parts += [f"### {one.__name__}", text(inspect.getdoc(one) or ""), table(("field", "meaning"), _rows(meanings(one)))]
    return "\n\n".join(parts)


def meanings(report: type[DataclassInstance]) -> dict[str, str]:
    """The fields of a report's class, each with the comment beside it."""
    found = field_comments(report)
    return {field.name: found.get(field.name, "") for field in fields(report)}
