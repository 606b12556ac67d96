"""Ids of conversations in a release: salted digests, because an id in a log may name a person ("chat-jane-doe-1988")."""

from __future__ import annotations

from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from tasks.common import salt
from tasks.core.ids import keyed_digest
from tasks.core.tables import TEXT, put

COLUMN = "conversations"


def hidden(rows: pa.Table) -> pa.Table:
    """The rows with a digest, equal for equal ids, in the place of each id of a conversation; those without such a column as they are."""
    if COLUMN not in rows.column_names or not len(rows):
        return rows
    lists = cast("pa.LargeListArray[Any]", rows[COLUMN].combine_chunks())
    names = pc.list_flatten(lists).dictionary_encode()
    key = salt.current()
    digests = pa.array([keyed_digest(key, "conversation", name) for name in cast("list[str]", names.dictionary.to_pylist())], TEXT)
    offsets = pc.subtract(lists.offsets, lists.offsets[0])
    return put(rows, COLUMN, pa.LargeListArray.from_arrays(offsets, digests.take(names.indices)))
