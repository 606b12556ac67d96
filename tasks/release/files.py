"""The files of a release that trainers read: one config a shape, one Parquet file series a split.

In: the Arrow tables pairs, unpaired and prompts. Out: path in the release -> bytes. Every config has a file for every
split, if need be without rows, but the card names only those with rows (`datasets` cannot load others).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.pairs import SPLITS

ROWS_PER_FILE = 250_000
# Fields of `tasks.core.tables.PROMPT` that the release has only where a log has them.
BESIDE = (
    "tool_calls",
    "tool_call_id",
    "name",
    "tools",
)


@dataclass(frozen=True)
class Config:
    """One shape of training data: the table it comes from and the columns that a trainer must find there."""

    table: str
    trainers: str  # for the card
    shape: tuple[str, ...]


# `datasets` reads these by name. The column `split` goes: a row's file says it.
CONFIGS = {
    "preference": Config("pairs", "DPO, reward models", ("prompt", "chosen", "rejected")),
    "unpaired": Config("unpaired", "KTO", ("prompt", "completion", "label")),
    "prompts": Config("prompts", "PPO, GRPO, RLOO", ("prompt",)),
}


def files(tables: dict[str, pa.Table]) -> dict[str, bytes]:
    """All Parquet files of the release by path."""
    found: dict[str, bytes] = {}
    beside = held(tables)
    for name, config in CONFIGS.items():
        rows = spread(tables[config.table], beside)
        for split in SPLITS:
            part = portable(rows.filter(pc.equal(rows["split"], split)).drop_columns(["split"]))
            for number, start in enumerate(range(0, max(len(part), 1), ROWS_PER_FILE)):
                found[f"{name}/{split}-{number:05d}.parquet"] = parquet(part.slice(start, ROWS_PER_FILE))
    return found


def held(tables: Mapping[str, pa.Table]) -> frozenset[str]:
    """What the messages of any prompt hold besides role and content."""
    messages = [pc.list_flatten(rows["prompt"]) for rows in tables.values()]
    return frozenset(name for name in BESIDE if any(pc.any(pc.is_valid(pc.struct_field(said, name))).as_py() for said in messages))


def spread(rows: pa.Table, beside: Collection[str]) -> pa.Table:
    """The rows as `datasets` and TRL read them, with the fields named: `tool_calls` as lists of JSON objects, `tools` as a column of texts.

    What no log has is no field, so that a release of plain chats has role and content only.
    """
    lists = rows["prompt"].combine_chunks()
    messages = pc.list_flatten(lists)
    fields = {name: pc.struct_field(messages, name) for name in ("role", "content")}
    for name in BESIDE:
        if name in beside and name != "tools":
            told = pc.struct_field(messages, name)
            fields[name] = as_json_lists(told) if name == "tool_calls" else told
    said = pa.StructArray.from_arrays(list(fields.values()), list(fields))
    offsets = pc.subtract(lists.offsets, lists.offsets[0])
    at = rows.column_names.index("prompt")
    spoken = rows.set_column(at, "prompt", pa.LargeListArray.from_arrays(offsets, said))
    return spoken.add_column(at + 1, "tools", offered(lists)) if "tools" in beside else spoken


def offered(prompts: pa.Array) -> pa.Array:
    """The tools of each prompt, which stand in its first message; null where there are none."""
    lengths = pc.fill_null(pc.list_value_length(prompts), 0).to_numpy(zero_copy_only=False)
    starts = np.cumsum(lengths) - lengths
    return pc.struct_field(pc.list_flatten(prompts), "tools").take(pa.array(starts, pa.int64(), mask=lengths == 0))


def as_json_lists(calls: pa.Array) -> pa.Array:
    """Texts that hold a list of tool calls as lists of JSON objects; null where there are none."""
    lists = [None if text is None else [orjson.dumps(call).decode() for call in orjson.loads(text)] for text in calls.to_pylist()]
    return pa.array(lists, pa.list_(pa.string())).cast(pa.list_(pa.json_()))


def portable(rows: pa.Table) -> pa.Table:
    """The same rows with 32-bit offsets, which every reader of Parquet knows; files are small enough for them."""
    schema = pa.schema([pa.field(field.name, _portable(field.type)) for field in rows.schema])
    parts = [rows.slice(start, ROWS_PER_FILE).cast(schema) for start in range(0, max(len(rows), 1), ROWS_PER_FILE)]
    return pa.concat_tables(parts)


def parquet(rows: pa.Table) -> bytes:
    """The rows as one Parquet file; the same rows give the same bytes."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, rows.schema, compression="zstd", compression_level=3, write_statistics=False, store_schema=True) as writer:
        if len(rows):  # `datasets` cannot read a row group without rows, but a file without row groups
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
