"""Columns of lists, handled whole: sorting, repeats, the most frequent value. No loop over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Column = npt.NDArray[Any]  # of Python objects, or of numbers of any kind


def absent(column: Column) -> Mask:
    """Where an array of Python objects holds None."""
    return np.asarray(column == None, bool)  # noqa: E711 (elementwise)


def flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array, whether or not it comes in chunks."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def struct(kind: pa.StructType, *columns: pa.Array | pa.ChunkedArray) -> pa.StructArray:
    """Columns as one array of structs of the given type."""
    arrays = [flat(column).cast(field.type) for column, field in zip(columns, kind, strict=True)]
    return pa.StructArray.from_arrays(arrays, fields=list(kind))


def nest(owner: Rows, owners: int, values: pa.Array | pa.ChunkedArray) -> pa.LargeListArray:
    """The values as one list an owner; `owner` is sorted."""
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=owners))])
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat(values))


def owners(lists: pa.Array) -> Rows:
    """For each element of the lists, the row that it belongs to."""
    return np.repeat(np.arange(len(lists)), lengths(lists))


def lengths(lists: pa.Array) -> Rows:
    """Length of each list; 0 for null."""
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64))


def sorted_structs(lists: pa.Array, key: str, kind: pa.StructType) -> pa.LargeListArray:
    """Each list of structs in the order of one text field; null becomes the empty list."""
    values, owner = pc.list_flatten(lists), owners(lists)
    order = pc.sort_indices(pa.table({"owner": owner, "key": pc.struct_field(values, key)}), [("owner", "ascending"), ("key", "ascending")])
    return nest(owner, len(lists), values.take(order).cast(kind))


def distinct(owner: Rows, count: int, values: pa.Array) -> pa.LargeListArray:
    """Each owner's texts sorted, once each, without nulls."""
    table = pa.table({"owner": owner, "value": values}).drop_null()
    table = table.group_by(["owner", "value"], use_threads=False).aggregate([])
    table = table.sort_by([("owner", "ascending"), ("value", "ascending")])
    return nest(table["owner"].to_numpy(), count, table["value"])


def most_frequent(lists: pa.Array) -> pa.Array:
    """Each list's most frequent text, of several the smallest; null counts as no text; null where there is none."""
    table = pa.table({"owner": owners(lists), "value": pc.list_flatten(lists)}).drop_null()
    counts = table.group_by(["owner", "value"], use_threads=False).aggregate([([], "count_all")])
    counts = counts.sort_by([("owner", "ascending"), ("count_all", "descending"), ("value", "ascending")])
    owner = counts["owner"].to_numpy()
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    place = np.full(len(lists), -1)
    place[owner[first]] = first
    return flat(counts["value"].take(pa.array(place, mask=place < 0)))
