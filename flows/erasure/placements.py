"""What `data/splits` remembers of a subject: digests of prompts, answers, conversations and people that nobody else has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core import engine, params, pipeline, shell
from tasks.core.tables import TEXT, Candidates
from tasks.split import assignment_table
from tasks.split import stage as split

CANDIDATES = "candidates"
KINDS = {  # of what is remembered: the column of the facts
    "prompt": "prompt_id",
    "user": "users",
    "conversation": "conversations",
    "opening": "opening",
    "answer": "answers",
    "look": "look",
}


def forget(candidates: Iterable[pa.Table], marks: set[str]) -> str:
    """Take out what only rows of the subject brought; `candidates` are those of all versions. What was done."""
    engine.start()
    folder = pipeline.stage(split.STAGE).input("splits")
    known = assignment_table.load(folder)
    theirs, others = set[tuple[str, str]](), set[tuple[str, str]]()
    for table in candidates:
        for rows_of, found in zip(_apart(table, marks), (theirs, others), strict=True):
            found |= set(_digests(known, rows_of))
    gone = {digest for _, digest in theirs - others} | {known.digest("user", mark) for mark in marks}
    left = {digest: mark for digest, mark in known.marks.items() if digest not in gone}
    assignment_table.save(folder, assignment_table.Assignment(known.key, left))
    return f"{folder}: {len(known.marks) - len(left)} placements forgotten"


def here() -> pa.Table:
    """The candidates of the workspace as `split` reads them, or none."""
    folder = pipeline.stage(split.STAGE).input(CANDIDATES)
    return table(engine.read_table(folder).to_arrow() if any(Path(folder).glob("*.parquet")) else Candidates.schema().empty_table())


def table(found: pa.Table) -> pa.Table:
    """Candidates with the columns of this version."""
    return found.select(Candidates.names()).cast(Candidates.schema())


def _apart(found: pa.Table, marks: set[str]) -> tuple[pa.Table, pa.Table]:
    """Rows whose every raw record is the subject's, and the others."""
    places = found["origins"].combine_chunks()
    inside = np.asarray(pc.is_in(pc.list_flatten(places), pa.array(sorted(marks), TEXT)), np.bool_)
    elsewhere = np.zeros(len(found), np.bool_)
    elsewhere[np.asarray(pc.list_parent_indices(places))[~inside]] = True
    return found.filter(pa.array(~elsewhere)), found.filter(pa.array(elsewhere))


def _digests(known: assignment_table.Assignment, found: pa.Table) -> Iterator[tuple[str, str]]:
    if not len(found):
        return
    settings = params.load(shell.PARAMS, split.STAGE, split.Params)
    facts = split.known_facts(engine.from_arrow(found, Candidates), settings)
    for kind, column in KINDS.items():
        yield from ((kind, digest) for digest in known.digests(kind, _values(facts[column].combine_chunks())))


def _values(column: Any) -> list[object]:  # noqa: ANN401 (an array, of lists or not)
    flat = pc.list_flatten(column) if pa.types.is_list(column.type) or pa.types.is_large_list(column.type) else column
    return [value for value in pc.unique(flat).to_pylist() if value is not None]


def of(found: Iterable[pa.Table]) -> list[pa.Table]:
    """Candidates of the workspace and of other places."""
    return [one for one in (here(), *map(table, found)) if len(one)]
