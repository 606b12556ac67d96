"""The files of a release that trainers read: one config per data format, one series of Parquet files per split.

In: the Arrow tables pairs, unpaired and prompts. Out: path in the release -> bytes. Every config has a file for every
split, even an empty one, but the card names only splits with rows (`datasets` cannot load others).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.common.vocabulary.splits import SPLITS
from tasks.release import conversation_ids

ROWS_PER_FILE = 250_000
# Fields of `tasks.core.tables.PROMPT` that a release has only if some log has them.
OPTIONAL = (
    "tool_calls",
    "tool_call_id",
    "name",
    "tools",
)


@dataclass(frozen=True)
class Config:
    """One format of training data: the table it comes from and the columns that trainers require."""

    table: str
    trainers: str  # for the card
    shape: tuple[str, ...]


# `datasets` loads these by name. The column `split` is dropped: the file name states it.
CONFIGS = {
    "preference": Config("pairs", "DPO, reward models", ("prompt", "chosen", "rejected")),
    "unpaired": Config("unpaired", "KTO", ("prompt", "completion", "label")),
    "prompts": Config("prompts", "PPO, GRPO, RLOO", ("prompt",)),
}


def files(tables: dict[str, pa.Table]) -> dict[str, bytes]:
    """All Parquet files of the release by path."""
    contents: dict[str, bytes] = {}
    optional = optional_fields(tables)
    for name, config in CONFIGS.items():
        rows = conversation_ids.hidden(as_trainers_read(tables[config.table], optional))
        for split in SPLITS:
            part = portable(rows.filter(pc.equal(rows["split"], pa.scalar(split))).drop_columns(["split"]))
            for number, start in enumerate(range(0, max(len(part), 1), ROWS_PER_FILE)):
                contents[f"{name}/{split}-{number:05d}.parquet"] = parquet(part.slice(start, ROWS_PER_FILE))
    return contents


def optional_fields(tables: Mapping[str, pa.Table]) -> frozenset[str]:
    """The fields besides role and content that any prompt message has."""
    messages = [pc.list_flatten(rows["prompt"]) for rows in tables.values()]
    return frozenset(name for name in OPTIONAL if any(pc.any(pc.is_valid(pc.struct_field(part, name))).as_py() for part in messages))


def as_trainers_read(rows: pa.Table, optional: Collection[str]) -> pa.Table:
    """The rows as `datasets` and TRL read them, with the `optional` fields: `tool_calls` as lists of JSON objects, `tools` as texts.

    A field that no log has is left out, so a release of plain chats has role and content only.
    """
    lists = cast("pa.LargeListArray[Any]", rows["prompt"].combine_chunks())
    messages = pc.list_flatten(lists)
    fields = {name: pc.struct_field(messages, name) for name in ("role", "content")}
    for name in OPTIONAL:
        if name in optional and name != "tools":
            values = pc.struct_field(messages, name)
            fields[name] = as_json_lists(values) if name == "tool_calls" else values
    trimmed = pa.StructArray.from_arrays(list(fields.values()), list(fields))
    offsets = pc.subtract(lists.offsets, lists.offsets[0])
    at = rows.column_names.index("prompt")
    released = rows.set_column(at, "prompt", pa.LargeListArray.from_arrays(offsets, trimmed))
    return released.add_column(at + 1, "tools", offered_tools(lists)) if "tools" in optional else released


def offered_tools(prompts: pa.Array[Any]) -> pa.Array[Any]:
    """The tools of each prompt, read from its first message; null where there are none."""
    lengths = pc.fill_null(pc.list_value_length(prompts), 0).to_numpy(zero_copy_only=False)
    starts = np.cumsum(lengths) - lengths
    tools: pa.Array[Any] = pc.struct_field(pc.list_flatten(prompts), "tools")
    return tools.take(pa.array(starts, pa.int64(), mask=lengths == 0))


def as_json_lists(calls: pa.Array[Any]) -> pa.Array[Any]:
    """JSON texts of lists of tool calls as lists of JSON objects; null where there are none."""
    lists = [None if text is None else [orjson.dumps(call).decode() for call in orjson.loads(text)] for text in calls.to_pylist()]
    return pa.array(lists, pa.list_(pa.string())).cast(pa.list_(pa.json_()))


def portable(rows: pa.Table) -> pa.Table:
    """The same rows with 32-bit offsets, which every Parquet reader supports; files are small enough for them."""
    schema = pa.schema([pa.field(field.name, _portable(field.type)) for field in rows.schema])
    parts = [rows.slice(start, ROWS_PER_FILE).cast(schema) for start in range(0, max(len(rows), 1), ROWS_PER_FILE)]
    return pa.concat_tables(parts)


def parquet(rows: pa.Table) -> bytes:
    """The rows as one Parquet file; the same rows give the same bytes."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, rows.schema, compression="zstd", compression_level=3, write_statistics=False, store_schema=True) as writer:
        if len(rows):  # `datasets` cannot read an empty row group, but can read a file without row groups
            writer.write_table(rows.combine_chunks())
    return bytes(sink.getvalue().to_pybytes())


def _portable(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        return pa.list_(_portable(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _portable(field.type)) for field in kind])
    return kind
