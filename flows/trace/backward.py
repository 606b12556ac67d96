"""From a row of the dataset back: recipe, votes, answers, what cleaning changed, and the raw records."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.common.arrays import strings
from tasks.common.redaction.redact import PLACEHOLDER
from tasks.common.text_repair import repair
from tasks.core import pipeline
from tasks.core.errors import UserError

# Tables in which an id is looked up: stage, table, column of the id.
LOOKUPS = (("pair", "pairs", "pair_id"), ("pair", "unpaired", "example_id"), ("pair", "prompts", "prompt_id"))
ABOUT = (
    *("recipe", "version", "annotators", "split", "source", "language", "topic", "margin", "confidence", "confidence_basis", "weight"),
    *("votes_for", "votes_against", "votes_tied", "basis", "label", "augmented_from", "augmenter", "prompt_id"),
)
OF_VOTE = ("kind", "value", "raw", "response_id", "better", "worse", "annotator", "annotator_kind", "reliability", "created_at", "origin")
OF_ANSWER = ("response_id", "model", "written_by", "turns", "ups", "downs", "ratings", "score")
SIDES = ("chosen", "rejected", "completion")


def back(wanted: str) -> dict[str, Any]:
    """What is known of the one row whose id begins so."""
    column, row = find(wanted)
    names = raw_files()
    return {
        "id": row[column],
        "column": column,
        "about": {key: row[key] for key in ABOUT if row.get(key) is not None and key != column},
        "votes": list(_votes(row)),
        "answers": list(_answers(row)),
        "cleaning": _cleaning(row["origins"]),
        "records": [_record(origin, names) for origin in row["origins"]],
    }


def find(wanted: str) -> tuple[str, dict[str, Any]]:
    """Id column and row of the one id that begins so."""
    for stage, table, column in LOOKUPS:
        folder = pipeline.stage(stage).output / table
        if not folder.is_dir():
            raise UserError(str(folder), "nothing there", "the dataset's rows", "run `pairwright run`")
        rows = pq.read_table(folder, filters=pc.starts_with(pc.field(column), wanted))
        if len(rows) == 1:
            return column, rows.to_pylist()[0]
        if len(rows) > 1:
            raise UserError(f"id {wanted!r}", f"{len(rows)} rows of {folder} that begin so", "one", "give more of the id")
    tables = ", ".join(table for _, table, _ in LOOKUPS)
    raise UserError(
        f"id {wanted!r}", "no such row", f"an id of {tables}", "copy it from the release, or from the first column of its tables"
    )


def _read(stage: str, table: str, column: str, values: list[str]) -> list[dict[str, Any]]:
    """Rows of a stage's table with one of these values; none where the stage wrote no such table."""
    folder = pipeline.stage(stage).output / table
    if not folder.is_dir() or not values:
        return []
    return pq.read_table(folder, filters=pc.is_in(pc.field(column), value_set=pa.array(values, pa.large_string()))).to_pylist()


def _original(row: dict[str, Any]) -> str:
    """The prompt that people saw: of a variant, the one that it is made from."""
    return str(row.get("augmented_from") or row["prompt_id"])


def _votes(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The votes behind the row, as the table of votes has them, and which answer each is for."""
    prompt = _original(row)
    behind = set(row.get("votes") or ())
    for vote in _read("pair", "votes", "prompt_id", [prompt]):
        if vote["feedback_id"] in behind or (row.get("example_id") and vote["example_id"] == row["example_id"]):
            yield {"feedback_id": vote["feedback_id"], **{key: vote[key] for key in OF_VOTE}, "created_at": _time(vote["created_at"])}


def _time(value: dt.datetime | None) -> str | None:
    return value.isoformat() if value else None


def _answers(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The answers of the row with what was gathered about each; of a variant those of the prompt that it is made from."""
    own = {side: row[side][-1]["content"] for side in SIDES if row.get(side)}
    gathered = _read("aggregate", "candidates", "prompt_id", [_original(row)])
    responses = {response["content"]: response for found in gathered for response in found["responses"]}
    for side, content in own.items():
        known = responses.get(content, {})
        model = {"model": row[name]} if (name := "model" if side == "completion" else f"{side}_model") in row else {}
        yield {"side": side, **{key: known.get(key) for key in OF_ANSWER if key in known}, **model}


def _cleaning(origins: list[str]) -> dict[str, Any] | None:
    """What cleaning did to the messages of these records: placeholders by kind, and texts repaired, where the raw tables are here."""
    stage = pipeline.stage("clean")
    folder = stage.output / "turns"
    if not folder.is_dir():
        return None
    clean = _turns(folder, origins)
    kinds = Counter(kind for text in clean.values() for kind, _ in re.findall(PLACEHOLDER, text))
    before = next((path for path in stage.data if path.name == "turns"), None)
    raw = _turns(before, origins) if before and before.is_dir() else None
    repaired = None if raw is None else sum(repair(raw[place]) != raw[place] for place in clean if place in raw)
    return {"messages": len(clean), "redacted": dict(sorted(kinds.items())), "repaired": repaired}


def _turns(folder: Path, origins: list[str]) -> dict[str, str]:
    """Place and text of the messages of these records."""
    rows = pq.read_table(folder, columns=["origin", "content"])
    origin = rows["origin"].combine_chunks()
    parts = [pc.struct_field(origin, name).cast(pa.large_string()) for name in ("file", "record", "position")]
    places: pa.Array[Any] = pc.binary_join_element_wise(*parts, pa.scalar(":", pa.large_string()))
    there = pc.is_in(places, value_set=pa.array(origins, pa.large_string()))
    return dict(zip(strings(places.filter(there)), strings(rows["content"].filter(there)), strict=True))


def _record(origin: str, names: dict[str, str]) -> dict[str, Any]:
    file, record, position = origin.split(":", 2)
    return {"file": names.get(file), "digest": file, "record": int(record), "position": int(position)}


def raw_files() -> dict[str, str]:
    """Short file id -> path of the raw file, from the table that ingest keeps; where that is not here, from the redacted one after it."""
    first, *later = pipeline.stages().values()
    folder = next((at for stage in (first, *later) if (at := stage.output / "files").is_dir()), None)
    names: dict[str, str] = {}
    if folder is None:
        return names
    table = pq.read_table(folder, columns=["file", "name"])
    for file, name in zip(strings(table["file"]), strings(table["name"]), strict=True):
        names.setdefault(file, str(first.data[0] / name))
    return names
