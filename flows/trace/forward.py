"""From a row of the dataset on: the versions that hold it, in which split, and the models that were trained on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows import git
from flows.trace.backward import LOOKUPS
from flows.versions import record
from flows.versions.stored import WORKSPACE, AwayError, opened
from tasks.core import pipeline

TRAINED_ON = "train"  # the split that models learn from


def on(column: str, name: str) -> list[dict[str, Any]]:
    """Each version with what it says of the row: its split, and its models; the workspace last."""
    tags = sorted((tag for tag in git.tags(f"{record.DATASET}@*") if record.TAG.fullmatch(tag)), key=record.number)
    return list(_told([*tags, WORKSPACE], column, name))


def _told(versions: list[str], column: str, name: str) -> Iterator[dict[str, Any]]:
    stage, table = next((stage, table) for stage, table, key in LOOKUPS if key == column)
    with opened(*versions) as opens:
        for version in opens:
            try:
                rows = version.table(pipeline.stage(stage).output / table)
            except AwayError:
                yield {"version": version.name, "state": "bytes away"}
                continue
            found = [] if rows is None else rows.filter(pc.equal(rows[column], pa.scalar(name, pa.large_string())))["split"].to_pylist()
            if found:
                models = _models(version.name) if found[0] == TRAINED_ON else []
                yield {"version": version.name, "state": "holds it", "split": found[0], "models": models}


def _models(version: str) -> list[str]:
    """Tags of the models trained on a version."""
    return [] if version == WORKSPACE else sorted(git.tags(f"{record.MODEL}@v{record.number(version)}.*"))
