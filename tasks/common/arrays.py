"""Columns handled whole: lists of them, row numbers, the first reason that holds. No loop over rows."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Rows = npt.NDArray[np.int64]  # numbers of rows, places in a column, or counts; -1 stands for none
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Column = npt.NDArray[Any]  # of Python objects, or of numbers of any kind
A = TypeVar("A", bound="pa.Array[Any] | pa.ChunkedArray[Any]")


def absent(column: Column) -> Mask:
    """Where an array of Python objects holds None."""
    return np.asarray(column == None, bool)  # noqa: E711 (elementwise)


def flat(column: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """One array, whether or not it comes in chunks."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def filled(column: A, value: str | int | float) -> A:
    """The column with a value in place of null."""
    return cast("A", pc.fill_null(column, value))  # type: ignore[type-var]  # the stub knows no plain value


def replaced(column: pa.Array[Any], holds: pa.BooleanArray, values: pa.Array[Any]) -> pa.Array[Any]:
    """The column with these values, in their order, where `holds` is true."""
    return cast("pa.Array[Any]", pc.replace_with_mask(column, holds, values))


def strings(texts: pa.Array[Any] | pa.ChunkedArray[Any]) -> list[str]:
    """A column of texts without nulls as a list."""
    return cast("list[str]", texts.to_pylist())


def numbers(column: pa.Array[Any] | pa.ChunkedArray[Any]) -> Rows:
    """Whole numbers, such as places that `index_in` found; -1 for null."""
    return filled(column, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def struct(kind: pa.StructType, *columns: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.StructArray:
    """Columns as one array of structs of the given type."""
    arrays = [flat(column).cast(field.type) for column, field in zip(columns, kind, strict=True)]
    return pa.StructArray.from_arrays(arrays, fields=list(kind))


def nest(owner: Rows, owners: int, values: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.LargeListArray[Any]:
    """The values as one list an owner; `owner` is sorted."""
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=owners))])
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat(values))


def owners(lists: pa.Array[Any]) -> Rows:
    """For each element of the lists, the row that it belongs to."""
    return np.repeat(np.arange(len(lists)), lengths(lists))


def lengths(lists: pa.Array[Any]) -> Rows:
    """Length of each list; 0 for null."""
    counts: pa.Array[Any] = pc.list_value_length(lists)
    return filled(counts, 0).to_numpy(zero_copy_only=False).astype(np.int64)


def sorted_places(*columns: pa.Array[Any] | pa.ChunkedArray[Any] | Rows) -> pa.Array[Any]:
    """Places of the rows in the order of the columns, the first one first; nulls last, equal rows as they come.

    As one record batch: Arrow sorts that by a second column inside the ties of the first alone, not by both at once.
    """
    arrays = [pa.array(column) if isinstance(column, np.ndarray) else flat(column) for column in columns]
    names = [str(number) for number in range(len(arrays))]
    return pc.sort_indices(pa.RecordBatch.from_arrays(arrays, names), sort_keys=[(name, "ascending") for name in names])


def starts(*columns: pa.Array[Any]) -> Mask:
    """Where a row is not the row before it; two nulls are one.

    Of sorted rows these are the first of each, at a tenth of the cost of Arrow's `group_by`, which is slow for keys of large strings.
    """
    rows = len(columns[0])
    new = np.zeros(rows, bool)
    new[:1] = True
    for column in columns:
        here, before = column.slice(1), column.slice(0, max(rows - 1, 0))
        both = pc.and_(pc.is_null(here), pc.is_null(before))
        new[1:] |= ~mask(pc.or_(filled(pc.equal(here, before), False), both))
    return new


def sorted_structs(lists: pa.Array[Any], key: str, kind: pa.StructType) -> pa.LargeListArray[Any]:
    """Each list of structs in the order of one text field; null becomes the empty list."""
    values, owner = pc.list_flatten(lists), owners(lists)
    return nest(owner, len(lists), values.take(sorted_places(owner, pc.struct_field(values, key))).cast(kind))


def distinct(owner: Rows, count: int, values: pa.Array[Any]) -> pa.LargeListArray[Any]:
    """Each owner's texts sorted, once each, without nulls."""
    owner, values = _sorted_texts(owner, values)
    once = starts(pa.array(owner), values)
    return nest(owner[once], count, values.filter(pa.array(once)))


def most_frequent(lists: pa.Array[Any]) -> pa.Array[Any]:
    """Each list's most frequent text, of several the smallest; null counts as no text; null where there is none."""
    owner, values = _sorted_texts(owners(lists), pc.list_flatten(lists))
    first = np.flatnonzero(starts(pa.array(owner), values))
    often = np.diff(first, append=len(owner))
    ranked = first[np.lexsort((-often, owner[first]))]
    best = ranked[np.flatnonzero(np.diff(owner[ranked], prepend=-1))]
    place = np.full(len(lists), -1)
    place[owner[best]] = best
    return values.take(pa.array(place, mask=place < 0))


def _sorted_texts(owner: Rows, values: pa.Array[Any] | pa.ChunkedArray[Any]) -> tuple[Rows, pa.Array[Any]]:
    """The texts that are not null in the order of owner and text, and their owners."""
    texts = flat(values)
    held = np.flatnonzero(pc.is_valid(texts).to_numpy(zero_copy_only=False))
    at = sorted_places(owner[held], texts := texts.take(pa.array(held, pa.int64())))
    return owner[held][at.to_numpy()], texts.take(at)


def find(wanted: pa.ChunkedArray[Any] | pa.Array[Any], among: pa.ChunkedArray[Any] | pa.Array[Any]) -> Rows:
    """The row of each value among others; -1: it is not there."""
    return numbers(pc.index_in(wanted, among))


def codes(column: pa.ChunkedArray[Any] | pa.Array[Any]) -> Rows:
    """Numbers that are equal where texts are."""
    return np.asarray(flat(column).dictionary_encode().indices.to_numpy(zero_copy_only=False)).astype(np.int64)


def reach(start: Rows, count: Rows) -> tuple[Rows, Rows]:
    """Every place of the stretches that begin at `start` and hold `count`: the stretch's number, and the place."""
    owner = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    return owner, start[owner] + within


def stretches(sorted_keys: Rows, wanted: Rows) -> tuple[Rows, Rows]:
    """Where each wanted key begins among sorted ones, and how often it stands there."""
    start = np.searchsorted(sorted_keys, wanted, side="left")
    return start, np.searchsorted(sorted_keys, wanted, side="right") - start


def distinct_keys(keys: Rows) -> Rows:
    """The distinct keys, sorted: several times as fast as `np.unique`, which hashes."""
    keys = np.sort(keys)
    return keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys


def first_holding(*conditions: Mask) -> Rows:
    """For each row the place of the first condition that holds, or -1."""
    found = np.full(len(conditions[0]), -1)
    for place in reversed(range(len(conditions))):
        found[conditions[place]] = place
    return found


def first_reason(*reasons: tuple[str, Mask]) -> pa.Array[Any]:
    """For each row the first reason that holds, or null."""
    found = first_holding(*(holds for _, holds in reasons))
    return pa.array([reason for reason, _ in reasons], pa.large_string()).take(pa.array(found, pa.int64(), mask=found < 0))


def mask(holds: pa.Array[Any] | pa.ChunkedArray[Any]) -> Mask:
    """Truth values as a mask; null is false."""
    return np.asarray(flat(filled(holds, False)).to_numpy(zero_copy_only=False), np.bool_)
