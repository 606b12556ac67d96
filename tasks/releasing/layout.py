"""The files of a release that trainers read: one config a shape, one Parquet file series a split.

In: the Arrow tables pairs, unpaired and prompts. Out: path in the release -> bytes. Every config has a file for every
split, if need be without rows, but the card names only those with rows (`datasets` cannot load others).
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.pairs import SPLITS

ROWS_PER_FILE = 250_000


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
    calls = any(calls_tools(rows) for rows in tables.values())
    for name, config in CONFIGS.items():
        rows = with_calls(tables[config.table], calls)
        for split in SPLITS:
            part = portable(rows.filter(pc.equal(rows["split"], split)).drop_columns(["split"]))
            for number, start in enumerate(range(0, max(len(part), 1), ROWS_PER_FILE)):
                found[f"{name}/{split}-{number:05d}.parquet"] = parquet(part.slice(start, ROWS_PER_FILE))
    return found


def calls_tools(rows: pa.Table) -> bool:
    """Whether a message of a prompt calls a tool."""
    return bool(pc.any(pc.is_valid(pc.struct_field(pc.list_flatten(rows["prompt"]), "tool_calls"))).as_py())


def with_calls(rows: pa.Table, calls: bool) -> pa.Table:
    """Prompts whose `tool_calls` are lists of JSON objects, as `datasets` and TRL read them; without the field where no log calls tools."""
    lists = rows["prompt"].combine_chunks()
    messages = pc.list_flatten(lists)
    fields = {name: pc.struct_field(messages, name) for name in ("role", "content")}
    if calls:
        fields["tool_calls"] = as_json_lists(pc.struct_field(messages, "tool_calls"))
    said = pa.StructArray.from_arrays(list(fields.values()), list(fields))
    offsets = pc.subtract(lists.offsets, lists.offsets[0])
    return rows.set_column(rows.column_names.index("prompt"), "prompt", pa.LargeListArray.from_arrays(offsets, said))


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
