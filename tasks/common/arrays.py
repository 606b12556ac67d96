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


def sorted_places(*columns: pa.Array | pa.ChunkedArray | Rows) -> pa.Array:
    """Places of the rows in the order of the columns, the first one first; nulls last, equal rows as they come.

    As one record batch: Arrow sorts that by a second column inside the ties of the first alone, not by both at once.
    """
    arrays = [pa.array(column) if isinstance(column, np.ndarray) else flat(column) for column in columns]
    names = [str(number) for number in range(len(arrays))]
    return pc.sort_indices(pa.RecordBatch.from_arrays(arrays, names), sort_keys=[(name, "ascending") for name in names])


def starts(*columns: pa.Array) -> Mask:
    """Where a row is not the row before it; two nulls are one.

    Of sorted rows these are the first of each, at a tenth of the cost of Arrow's `group_by`, which is slow for keys of large strings.
    """
    rows = len(columns[0])
    new = np.zeros(rows, bool)
    new[:1] = True
    for column in columns:
        here, before = column.slice(1), column.slice(0, max(rows - 1, 0))
        both = pc.and_(pc.is_null(here), pc.is_null(before))
        new[1:] |= ~np.asarray(pc.or_(pc.fill_null(pc.equal(here, before), False), both).to_numpy(zero_copy_only=False))
    return new


def sorted_structs(lists: pa.Array, key: str, kind: pa.StructType) -> pa.LargeListArray:
    """Each list of structs in the order of one text field; null becomes the empty list."""
    values, owner = pc.list_flatten(lists), owners(lists)
    return nest(owner, len(lists), values.take(sorted_places(owner, pc.struct_field(values, key))).cast(kind))


def distinct(owner: Rows, count: int, values: pa.Array) -> pa.LargeListArray:
    """Each owner's texts sorted, once each, without nulls."""
    owner, values = _sorted_texts(owner, values)
    once = starts(pa.array(owner), values)
    return nest(owner[once], count, values.filter(pa.array(once)))


def most_frequent(lists: pa.Array) -> pa.Array:
    """Each list's most frequent text, of several the smallest; null counts as no text; null where there is none."""
    owner, values = _sorted_texts(owners(lists), pc.list_flatten(lists))
    first = np.flatnonzero(starts(pa.array(owner), values))
    often = np.diff(first, append=len(owner))
    ranked = first[np.lexsort((-often, owner[first]))]
    best = ranked[np.flatnonzero(np.diff(owner[ranked], prepend=-1))]
    place = np.full(len(lists), -1)
    place[owner[best]] = best
    return values.take(pa.array(place, mask=place < 0))


def _sorted_texts(owner: Rows, values: pa.Array | pa.ChunkedArray) -> tuple[Rows, pa.Array]:
    """The texts that are not null in the order of owner and text, and their owners."""
    texts = flat(values)
    held = np.flatnonzero(pc.is_valid(texts).to_numpy(zero_copy_only=False))
    at = sorted_places(owner[held], texts := texts.take(pa.array(held)))
    return owner[held][at.to_numpy()], texts.take(at)
