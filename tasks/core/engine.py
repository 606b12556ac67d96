"""The engine: Daft, embedded and in process.

`PAIRWRIGHT_WORKERS` bounds its threads (default: all cores), which may not change a byte of any table.

Daft's Ray runner is refused: it returns rows as wholes but in arbitrary order, even of a plain read, and stages put what they compute
beside what they read by place. `PAIRWRIGHT_RUNNER` is looked at to say so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tasks.core import telemetry  # noqa: F401  (before daft: switches its usage reports off)

import daft  # isort: skip
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.core.errors import UserError, one_of
from tasks.core.tables import Table

Tables = dict[str, daft.DataFrame]
Ids = npt.NDArray[np.uint64]
RUNNERS = ("native",)


def workers() -> int:
    """Number of workers: $PAIRWRIGHT_WORKERS, else the cores that this process may use."""
    given = os.environ.get("PAIRWRIGHT_WORKERS", "")
    if not given:
        return len(os.sched_getaffinity(0))
    if not given.isdecimal() or int(given) < 1:
        raise UserError("PAIRWRIGHT_WORKERS", repr(given), "a whole number from 1", "correct or unset the variable")
    return int(given)


def start() -> None:
    """Set up Daft, once per process; must be called before the first DataFrame is computed."""
    runner = os.environ.get("PAIRWRIGHT_RUNNER", RUNNERS[0])
    if runner not in RUNNERS:
        found = "'ray', which returns rows in a different order and so would change the tables" if runner == "ray" else repr(runner)
        raise UserError("PAIRWRIGHT_RUNNER", found, one_of(RUNNERS), "correct or unset the variable")
    workers()  # checked every time, so that a wrong number is always reported
    _set_up()


@cache
def _set_up() -> None:
    """Called once: Daft's number of threads cannot be changed later."""
    daft.set_runner_native(num_threads=workers())
    # Arrow's default allocator returns memory and faults it in again: two CPU seconds and 80 MB more for 1.5 million turns.
    pa.set_memory_pool(pa.system_memory_pool())


def batch(result: pa.DataType) -> Callable[[Callable[..., pa.Array[Any]]], Callable[..., daft.Expression]]:
    """Decorator: a function over Arrow-backed Series becomes an expression of this type, computed batch by batch in this process."""
    kind = daft.DataType.from_arrow_type(result)

    def decorate(function: Callable[..., pa.Array[Any]]) -> Callable[..., daft.Expression]:
        return daft.func.batch(return_dtype=kind, use_process=False)(function)

    return decorate


def read_table(folder: Path) -> daft.DataFrame:
    """A table's folder of Parquet files as a lazy DataFrame."""
    return daft.read_parquet(f"{folder}/*.parquet")


def from_arrow(data: pa.Table, table: type[Table] | None = None) -> daft.DataFrame:
    """An Arrow table as a DataFrame, cast to the table's schema when one is given."""
    return daft.from_arrow(data.cast(table.schema()) if table else data)


def in_parts(data: pa.Table) -> daft.DataFrame:
    """An Arrow table as a DataFrame with one partition per batch: for a very large table, which would be copied otherwise."""
    return daft.from_arrow([pa.Table.from_batches([batch]) for batch in data.to_batches()]) if len(data) else daft.from_arrow(data)


def to_arrow(frame: daft.DataFrame, schema: pa.Schema) -> pa.Table:
    """The frame's columns named in `schema`, in its order and types."""
    columns = [daft.col(name) for name in schema.names]
    return frame.select(*columns).to_arrow().cast(schema)


def pieces(frame: daft.DataFrame) -> Iterator[pa.Table]:
    """The frame's rows as they are computed, piece by piece; the first piece is empty and has the schema."""
    schema = frame.schema().to_pyarrow_schema()
    pa.default_memory_pool().release_unused()  # returns freed memory before the largest step
    yield schema.empty_table()
    for batch in frame.to_arrow_iter():
        yield pa.Table.from_batches([batch]).cast(schema)


def hashes(data: pa.Table, columns: tuple[str, ...]) -> Ids:
    """A 64-bit hash of these columns for each row; a null counts as an empty text. About 20 ms a million rows."""
    found = [np.asarray(_hash([part.column(name) for name in columns])) for part in data.select(list(columns)).to_batches()]
    return np.concatenate([np.zeros(0, np.uint64), *found])


def _hash(columns: list[pa.Array[Any]]) -> pa.Array[Any]:
    found: daft.Series | None = None
    for column in columns:
        found = daft.Series.from_arrow(column).hash(found)
    assert found is not None
    return found.to_arrow()


def write_sorted(data: pa.Table, key: tuple[str, ...], folder: Path, rows_per_shard: int) -> None:
    """Write the table sorted by `key`, in shards of a fixed number of rows; at least one shard, even when empty."""
    folder.mkdir(parents=True)
    order = _order(data, key)
    for number, start_row in enumerate(range(0, max(len(data), 1), rows_per_shard)):
        # One shard at a time: a sorted copy of the whole table would double the peak memory.
        shard = data.slice(start_row, rows_per_shard) if order is None else data.take(order.slice(start_row, rows_per_shard))
        shard = shard.combine_chunks()
        pq.write_table(
            shard, folder / f"{number:05d}.parquet", compression="zstd", compression_level=3, write_statistics=False, store_schema=True
        )


def sort(data: pa.Table, key: tuple[str, ...]) -> pa.Table:
    """Rows in the order of `key` (byte order of text)."""
    order = _order(data, key)
    return data if order is None else data.take(order)


def _order(data: pa.Table, key: tuple[str, ...]) -> pa.Array[Any] | None:
    """Row numbers in the order of `key`; None when they are in order already."""
    return None if _in_order(data, key) else pc.sort_indices(data, sort_keys=[(name, "ascending") for name in key])


def _in_order(data: pa.Table, key: tuple[str, ...]) -> bool:
    """Whether no row has a greater `key` than the next one: several times cheaper than sorting again."""
    tied: pa.BooleanArray | pa.BooleanScalar = pa.scalar(True)
    for name in key:
        here, after = data[name].slice(0, max(len(data) - 1, 0)), data[name].slice(1)
        greater = pc.and_(tied, pc.greater(here, after))
        if greater.null_count or pc.any(greater).as_py():  # with a null the order is unknown: sort
            return False
        tied = pc.and_(tied, pc.equal(here, after))
    return True
