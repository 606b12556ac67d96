"""What is compared of a version: its pairs, what was proposed and dropped, the votes, the logs, and the settings it was built with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows import dvc
from flows.versions.stored import Stored, digest
from tasks.common.arrays import flat, strings
from tasks.core import pipeline
from tasks.core.errors import UserError
from tasks.core.tables import TABLES, TEXT

DROPPED = "dropped"
FATE = ("prompt_id", "reason", "stage")  # columns of the table of prompts that a stage dropped
PARAMS = "params.yaml"


@dataclass(frozen=True)
class Settings:
    """What a version was built with."""

    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)  # stage: its parameters, flat
    code: dict[str, dict[str, str]] = field(default_factory=dict)  # stage: file or folder of code, and its digest
    inputs: dict[str, str] = field(default_factory=dict)  # path of other inputs: digest


@dataclass(frozen=True)
class Evidence:
    """What is compared of a version."""

    name: str
    pairs: pa.Table
    proposed: pa.Table  # pairs that `pair` dropped, with the reason in `dropped`
    votes: pa.Table
    acts: pa.Array[Any]  # ids of all acts of feedback that were read
    conversations: pa.Array[Any]  # ids of all conversations that were read
    files: dict[str, str]  # raw files: short digest and path
    prompts: pa.Table  # prompts that a stage dropped: FATE
    settings: Settings


def gather(version: Stored) -> Evidence:
    """Read what is compared out of a version."""
    made, read = pipeline.stage("pair").output, pipeline.stage("clean").output
    pairs = version.table(made / "pairs")
    if pairs is None:
        raise UserError(f"version {version.name}", f"no {made / 'pairs'}", "a dataset that was built", "run `pairwright run` first")
    votes = [table for name in ("votes", f"{DROPPED}/votes") if (table := version.table(made / name)) is not None]
    files = _or_empty(version.table(read / "files"), "files")
    return Evidence(
        version.name,
        pairs,
        _or_empty(version.table(made / DROPPED / "pairs"), "pairs", pa.field(DROPPED, TEXT)),
        pa.concat_tables([table.select(TABLES["votes"].names()) for table in votes]),
        _ids(version.table(read / "feedback"), "feedback_id"),
        _ids(version.table(read / "turns"), "conversation_id"),
        dict(zip(strings(files["file"]), strings(files["name"]), strict=True)),
        pa.concat_tables([_no_prompts(), *_dropped_prompts(version)]),
        settings(version.lock),
    )


def _or_empty(table: pa.Table | None, name: str, *more: pa.Field[Any]) -> pa.Table:
    return pa.schema([*TABLES[name].schema(), *more]).empty_table() if table is None else table


def _ids(table: pa.Table | None, column: str) -> pa.Array[Any]:
    return pa.array([], TEXT) if table is None else flat(table[column]).unique()


def _no_prompts() -> pa.Table:
    return pa.schema([(name, TEXT) for name in FATE]).empty_table()


def _dropped_prompts(version: Stored) -> Iterator[pa.Table]:
    """Prompts that a stage dropped, with stage and reason."""
    for name in dvc.dataset_stages():
        table = version.table(pipeline.stage(name).output / DROPPED / "candidates") if name != "ingest" else None
        if table is not None:
            rows = table.select(["prompt_id", DROPPED]).append_column("stage", pa.repeat(pa.scalar(name, TEXT), len(table)))
            yield rows.rename_columns(list(FATE)).cast(_no_prompts().schema)


def settings(lock: dict[str, Any]) -> Settings:
    """What the stages of the dataset last ran with, as `dvc.lock` has it."""
    names = [name for name in dvc.dataset_stages() if name in lock]
    parameters = {name: dict(_flat("", lock[name].get("params", {}).get(PARAMS, {}).get(name))) for name in names}
    deps = {name: {entry["path"]: entry["md5"] for entry in lock[name]["deps"]} for name in names}
    code = {name: {path: md5 for path, md5 in found.items() if path.startswith(dvc.CODE)} for name, found in deps.items()}
    outputs = {stage.output for stage in pipeline.stages().values()}
    others = {path for found in deps.values() for path in found if not path.startswith(dvc.CODE) and not outputs & _above(path)}
    return Settings(parameters, code, {path: digest(lock, Path(path)) or "" for path in sorted(others)})


def _above(path: str) -> set[Path]:
    return {Path(path), *Path(path).parents}


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 (a parameter may be anything)
    """The parameters with dots between the names of their levels."""
    if not isinstance(value, dict) or not value:
        yield path, value
        return
    for key, inner in value.items():
        yield from _flat(f"{path}.{key}" if path else str(key), inner)
