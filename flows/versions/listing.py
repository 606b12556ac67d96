"""The versions of a dataset in a table: what git knows, so that a clone without data tells it too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from flows import git
from flows.versions import record
from flows.versions.stored import Stored, opened
from tasks.common.vocabulary.splits import SPLITS
from tasks.core import pipeline
from tasks.core.errors import UserError

FORMAT = "%(refname:short)%09%(creatordate:short)"
HEAD = ("version", "date", *SPLITS, "pairs", "change", "model", "test accuracy", "bytes")
HERE, AWAY, UNKNOWN = "here", "not here", "not known: the remote does not answer"
ACCURACY = ("test_accuracy", "pick_test_accuracy")  # in the message of a model's tag


@dataclass(frozen=True)
class Line:
    """One version."""

    tag: str
    date: str
    pairs: dict[str, int]  # by split
    change: int | None  # pairs more than in the version before; none for the first
    model: str | None  # tag of the newest model trained on it
    test_accuracy: float | None
    bytes: str  # whether those of the release can be had

    def total(self) -> int:
        """Pairs of all splits."""
        return sum(self.pairs.values())


def lines() -> list[Line]:
    """The versions, oldest first."""
    dates = dict(entry.split("\t") for entry in git.run("for-each-ref", f"--format={FORMAT}", "refs/tags").splitlines())
    tags = sorted((tag for tag in dates if tag.startswith(f"{record.DATASET}@") and record.TAG.fullmatch(tag)), key=record.number)
    return list(_told(tags, dates))


def _told(tags: list[str], dates: dict[str, str]) -> Iterator[Line]:
    before: int | None = None
    for tag in tags:
        metrics = record.read(tag).get("metrics", {})
        pairs = {split: int(metrics.get(f"pairs_{split}", 0)) for split in SPLITS}
        model = _model(record.number(tag), dates)
        total = sum(pairs.values())
        with opened(tag) as (version,):
            state = _state(version)
        accuracy = _accuracy(model) if model else None
        yield Line(tag, dates[tag], pairs, None if before is None else total - before, model, accuracy, state)
        before = total


def _state(version: Stored) -> str:
    """Whether a release's bytes can be had. Of a remote that is away the table says so, since everything else in it is in git."""
    try:
        return HERE if version.is_whole(pipeline.stage("release").output) else AWAY
    except UserError:
        return UNKNOWN


def _model(version: int, dates: dict[str, str]) -> str | None:
    """The newest model trained on a version."""
    found = [match for tag in dates if (match := record.TAG.fullmatch(tag)) and match["artifact"] == record.MODEL]
    own = [int(match["training"]) for match in found if int(match["version"]) == version]
    return record.model_tag(version, max(own)) if own else None


def _accuracy(tag: str) -> float | None:
    """The share of held-out preferences that a model tells right, as its tag says."""
    said = dict(line.split(": ", 1) for line in git.run("tag", "--list", "--format=%(contents)", tag).splitlines() if ": " in line)
    return next((float(said[name]) for name in ACCURACY if name in said), None)


def table() -> list[str]:
    """The table's lines, with its head."""
    found = lines()
    if not found:
        raise UserError("versions", "none yet", f"a tag such as {record.tag(1)}", "run `pairwright run`, which publishes what it makes")
    rows = [HEAD, *map(_cells, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cells(line: Line) -> tuple[str, ...]:
    change = "" if line.change is None else f"{line.change:+,}"
    accuracy = "" if line.test_accuracy is None else f"{line.test_accuracy:.3f}"
    splits = (f"{line.pairs[split]:,}" for split in SPLITS)
    return (line.tag, line.date, *splits, f"{line.total():,}", change, line.model or "", accuracy, line.bytes)


def as_json() -> str:
    """The versions as a JSON document."""
    return json.dumps([asdict(line) | {"total": line.total()} for line in lines()], indent=1)
