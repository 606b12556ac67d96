"""Which rows of which tables hold something of a subject: they name it, its conversations, or the raw records that it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.common.arrays import Mask, mask
from tasks.common.tombstones import CONVERSATION, Tombstones, names_of
from tasks.common.vocabulary.reasons.ingest import ERASED
from tasks.core import pipeline
from tasks.core.tables import ORIGIN, TABLES, TEXT
from tasks.ingest.formats import erased

TURNS, FEEDBACK = "turns", "feedback"


@dataclass(frozen=True)
class Held:
    """Rows of a subject in one table of one stage."""

    stage: str
    table: str  # with `dropped/` before it where the rows were dropped
    rows: int


def marks_of(turns: pa.Table, feedback: pa.Table, search: Tombstones) -> set[str]:
    """Texts by which rows are known to hold something of the subject: people, acts, and places in raw logs.

    Not the ids of conversations: where one is erased, another with the same id in the log has it alone.
    """
    annotators = {name for name in feedback["annotator"].to_pylist() if name}
    gone = erased.find(turns, annotators, search)
    named = search.has_kind(CONVERSATION)
    names = {name for name in pc.unique(feedback["conversation_id"]).to_pylist() if name} if named else set()
    about = gone.conversations | {name for name in names if search.has(CONVERSATION, *names_of(name))}
    theirs = turns.filter(pa.array(gone.mask_of(turns)))
    acts = feedback.filter(pa.array(_among(feedback["annotator"], gone.people) | _among(feedback["conversation_id"], about)))
    places = pa.concat_tables([theirs.select(["origin"]), acts.select(["origin"])])["origin"]
    texts = [text for rows in (_places(places.combine_chunks()), acts["feedback_id"]) for text in rows.to_pylist()]
    return gone.people | {text for text in texts if text}


def _places(origins: Any) -> pa.Array[Any]:  # noqa: ANN401 (a struct array)
    """Places as later tables have them, `file:record:position`."""
    parts = [part.cast(TEXT) for part in origins.flatten()]
    joined: pa.Array[Any] = pc.binary_join_element_wise(*parts, pa.scalar(":", TEXT))
    return joined


def here(search: Tombstones) -> set[str]:
    """The marks that the tables of the workspace give."""
    found: set[str] = set()
    for stage in pipeline.stages().values():
        turns, feedback = (whole(stage.output, name) for name in (TURNS, FEEDBACK))
        if len(turns) or len(feedback):
            found |= marks_of(turns, feedback, search)
    return found


def whole(folder: Path, name: str) -> pa.Table:
    """Kept and dropped rows of a table, or none."""
    schema = TABLES[name].schema()
    parts = [pq.read_table(path, columns=schema.names).cast(schema) for path in _shards(folder, name)]
    return pa.concat_tables([schema.empty_table(), *parts])


def _shards(folder: Path, name: str) -> list[Path]:
    return [path for place in (folder / name, folder / "dropped" / name) for path in sorted(place.glob("*.parquet"))]


def counted(marks: set[str]) -> Iterator[Held]:
    """How many rows of each table in the workspace hold one of the marks."""
    for name, stage in pipeline.stages().items():
        counts: dict[str, int] = {}
        for path in sorted(stage.output.rglob("*.parquet")):
            rows = hits(pq.read_table(path), marks)
            table = path.parent.relative_to(stage.output).as_posix()
            counts[table] = counts.get(table, 0) + rows
        yield from (Held(name, table, rows) for table, rows in counts.items() if rows)


def hits(table: pa.Table, marks: set[str]) -> int:
    """How many rows have a cell, or a part of one, that is one of the marks."""
    wanted = pa.array(sorted(marks), TEXT)
    found = np.zeros(len(table), np.bool_)
    for column in table.columns:
        found |= _hit(column.combine_chunks(), wanted)
    if "dropped" in table.column_names:  # of rows that are erased nothing is written but where they stood
        found &= ~np.asarray(pc.equal(table["dropped"], pa.scalar(ERASED, TEXT)).fill_null(False), np.bool_)
    return int(found.sum())


def _hit(column: Any, wanted: pa.Array[Any]) -> Mask:  # noqa: ANN401 (an array of any type, nested or not)
    """Rows of a column, nested or not, that hold one of the texts."""
    found = np.zeros(len(column), np.bool_)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.asarray(pc.is_in(column.cast(TEXT), wanted).fill_null(False), np.bool_)
    if column.type == ORIGIN:
        return _hit(_places(column), wanted)
    if pa.types.is_struct(column.type):
        for part in column.flatten():
            found |= _hit(part, wanted)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        parents = np.asarray(pc.list_parent_indices(column))
        found[parents[_hit(pc.list_flatten(column), wanted)]] = True
    return found


def _among(column: pa.ChunkedArray[Any], values: Iterable[str]) -> Mask:
    return mask(pc.is_in(column, pa.array(sorted(values), TEXT)))
