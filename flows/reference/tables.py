"""The page of tables: their columns, the structs in them, and the words that stand in them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from flows.reference.markdown import docstring, page, sentence, table, text
from tasks.common.vocabulary import kinds, roles, splits, states
from tasks.core import pipeline
from tasks.core.tables import STRUCTS, TABLES, Column, Table, struct_of

LEAD = (
    "A table is a folder of Parquet files under `data/<stage>/<table>`, sorted by its key, which is unique. Dropped rows lie in "
    "`data/<stage>/dropped/<table>` with the further column `dropped`, their reason. Types are Arrow's; text is `large_string`."
)
WORDS: dict[str, tuple[str, Mapping[str, str]]] = {
    "Roles": ("They stand in `role`.", roles.MEANINGS),
    "States of a message": ("They stand in `status` of turns.", states.MEANINGS),
    "Kinds of feedback": ("They stand in `kind` of feedback, votes, annotators and agreement.", kinds.MEANINGS),
    "Who gave feedback": ("They stand in `annotator_kind`.", kinds.ANNOTATORS),
    "Weak evidence": ("They stand in `evidence` of candidates; else a kind of feedback does.", kinds.WEAK_EVIDENCE),
    "Splits": ("They stand in `split` and `place`.", splits.MEANINGS),
}


def render(root: Path) -> str:
    """The page as Markdown."""
    writers = _writers(root)
    known = [_table(name, shape, writers.get(name, [])) for name, shape in TABLES.items()]
    structs = [f"### {name}\n\n{_columns(fields)}" for name, fields in STRUCTS.items()]
    words = [f"### {title}\n\n{lead}\n\n{_words(meanings)}" for title, (lead, meanings) in WORDS.items()]
    return page("Tables", LEAD, *known, "## Structs in columns", *structs, "## Words in columns", *words)


def _writers(root: Path) -> dict[str, list[str]]:
    """The stages that write each table."""
    found: dict[str, list[str]] = {}
    for name, stage in pipeline.stages(root).items():
        for written in getattr(importlib.import_module(stage.module), "WRITES", ()):
            found.setdefault(written, []).append(f"`{name}`")
    return found


def _table(name: str, shape: type[Table], writers: list[str]) -> str:
    key = ", ".join(f"`{column}`" for column in shape.KEY)
    facts = f"Key: {key}. Written by {', '.join(writers)}."
    return f"## {name}\n\n{docstring(shape)}\n\n{facts}\n\n{_columns(shape.COLUMNS)}"


def _columns(columns: Iterable[Column]) -> str:
    rows = [(f"`{column.name}`", type_name(column.type), text(column.meaning)) for column in columns]
    return table(("column", "type", "meaning"), rows)


def type_name(kind: pa.DataType) -> str:
    """An Arrow type in words; a struct by its name on the page."""
    if pa.types.is_large_list(kind):
        return f"list of {type_name(kind.value_type)}"
    if pa.types.is_struct(kind):
        name = next(name for name, fields in STRUCTS.items() if struct_of(fields).equals(kind))
        return f"[{name}](#{name.lower()})"
    if pa.types.is_timestamp(kind):
        return "time, UTC"
    return "text" if pa.types.is_large_string(kind) else str(kind).replace("double", "float64")


def _words(meanings: Mapping[str, str]) -> str:
    return table(("word", "meaning"), [(f"`{word}`" if word else '`""`', sentence(text(meaning))) for word, meaning in meanings.items()])
