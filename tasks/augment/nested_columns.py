"""Columns of messages and answers as flat Arrow arrays: read and replace texts inside lists without a Python loop."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import strings
from tasks.common.vocabulary.roles import USER
from tasks.core.ids import stable_id

TEXT = pa.large_string()
Integers = npt.NDArray[np.int64]


def flat(lists: pa.ChunkedArray[Any] | pa.Array[Any]) -> tuple[Integers, pa.StructArray]:
    """Offsets from 0 and the structs of a list column without null lists."""
    array = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False).astype(np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return offsets, cast("pa.StructArray", cast("pa.LargeListArray[Any]", array).flatten())


def last_user(lists: pa.ChunkedArray[Any] | pa.Array[Any]) -> Integers:
    """Place, in the flat array, of each prompt's last message by a user; -1 where there is none."""
    offsets, messages = flat(lists)
    is_user = pc.equal(messages.field("role"), pa.scalar(USER)).to_numpy(zero_copy_only=False)
    places = np.arange(len(is_user), dtype=np.int64)
    latest = np.concatenate([[-1], np.maximum.accumulate(np.where(is_user, places, -1))]) if len(places) else np.full(1, -1)
    last = latest[offsets[1:]]
    return np.where(last >= offsets[:-1], last, -1)


def replace_texts(lists: pa.ChunkedArray[Any] | pa.Array[Any], places: Integers, texts: pa.Array[Any]) -> pa.Array[Any]:
    """The list column with `content` replaced at ascending `places` of the flat array."""
    offsets, structs = flat(lists)
    mask = np.zeros(len(structs), bool)
    mask[places] = True
    content = pc.replace_with_mask(structs.field("content").cast(TEXT), pa.array(mask), texts.cast(TEXT))
    names = [field.name for field in structs.type]
    fields = [content if name == "content" else structs.field(name) for name in names]
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.StructArray.from_arrays(fields, names))


def prompt_keys(prompts: pa.ChunkedArray[Any] | pa.Array[Any]) -> pa.Array[Any]:
    """One key per prompt, equal for prompts that differ only in letter case and white space."""
    offsets, messages = flat(prompts)
    folded = pc.replace_substring_regex(pc.utf8_lower(messages.field("content").cast(TEXT)), r"[\s\p{Z}]+", " ")
    columns = (messages.field("role").cast(TEXT), pc.utf8_trim_whitespace(folded))
    lines = pc.binary_join_element_wise(*columns, pa.scalar("\x1f", TEXT))  # type: ignore[call-overload]  # a scalar separator
    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), lines)
    texts = cast("pa.LargeStringArray", pc.binary_join(lists, pa.scalar("\x1e", TEXT)))
    return pa.array([stable_id(text) for text in strings(texts)], TEXT)
