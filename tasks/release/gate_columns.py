"""Flat columns of the three released tables, which the gate's suites check: flags, ids and roles, never text.

In: the Arrow tables pairs, unpaired and prompts. Out: one flat table each. Prompts are compared by their words: letter case and spacing
are ignored. Answers are compared as in `tasks.common.text_identity`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias, cast

import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import filled, lengths
from tasks.common.text_identity import same_answer
from tasks.common.vocabulary.roles import ASSISTANT
from tasks.common.vocabulary.splits import TRAIN
from tasks.core.tables import TEXT

LINE = pa.scalar("\n", TEXT)
COLON = pa.scalar(":", TEXT)
BLANKS = r"[\s\p{Z}]+"
Released = dict[str, pa.Table]
Columns: TypeAlias = "dict[str, pa.Array[Any] | pa.ChunkedArray[Any]]"


def flatten(tables: Released) -> Released:
    """The flat columns of pairs, unpaired and prompts; prompts in two splits are searched for in all three together."""
    texts = {name: words(rows["prompt"]) for name, rows in tables.items()}
    places = pa.concat_tables(pa.Table.from_pydict({"value": texts[name], "split": rows["split"]}) for name, rows in tables.items())
    shared = crossing(places)
    flat = {name: _common(rows, texts[name], shared) for name, rows in tables.items()}
    return {
        **flat,
        "pairs": _pairs(tables["pairs"], flat["pairs"], texts["pairs"]),
        "unpaired": _unpaired(tables["unpaired"], flat["unpaired"]),
    }


def crossing(places: pa.Table) -> pa.Array[Any]:
    """The values (column `value`) that occur in more than one split (column `split`)."""
    distinct = places.group_by(["value", "split"]).aggregate([])
    counts = distinct.group_by("value").aggregate([("split", "count")])
    return counts.filter(pc.greater(counts["split_count"], pa.scalar(1)))["value"].combine_chunks()


def nested_places(rows: pa.Table, column: str) -> pa.Table:
    """The values of a list column, each with its row's split, as `crossing` takes them."""
    parents = pc.list_parent_indices(rows[column])
    return pa.Table.from_pydict({"value": pc.list_flatten(rows[column]), "split": rows["split"].take(parents)})


def words(messages: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """Each list of messages as one lower-case text with single blanks, roles included."""
    lists = messages.combine_chunks()
    flat = pc.list_flatten(lists)
    lines = pc.binary_join_element_wise(pc.struct_field(flat, "role"), pc.struct_field(flat, "content"), COLON)
    # the join has no kernel for lists of 64-bit offsets; the counts of messages fit 32 bits
    joined = cast("pa.LargeStringArray", pc.binary_join(pa.ListArray.from_arrays(_offsets(lists), lines), LINE))
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(pc.utf8_lower(joined), BLANKS, " "))


def ends(messages: pa.ChunkedArray[Any], place: str) -> pa.Array[Any]:
    """Role of the first or last message of each list; "" where the list is empty."""
    lists = messages.combine_chunks()
    offsets: pa.Array[Any] = _offsets(lists)
    roles: pa.Array[Any] = pc.struct_field(pc.list_flatten(lists), "role")
    first, past = offsets[:-1], offsets[1:]
    at = first if place == "first" else pc.subtract(past, 1)
    return roles.take(pc.if_else(pc.equal(first, past), pa.scalar(None, pa.int32()), at)).fill_null("")


def _offsets(lists: pa.Array[Any]) -> pa.Int32Array:
    sizes = pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int64())
    ends: pa.Int32Array = pc.cumulative_sum(sizes).cast(pa.int32())
    return pa.concat_arrays([pa.array([0], pa.int32()), ends])


def _common(rows: pa.Table, texts: pa.Array[Any], shared: pa.Array[Any]) -> pa.Table:
    key = rows.column_names[0]
    split = filled(rows["split"], "")
    columns: Columns = {
        key: rows[key],
        "split": split,
        "has_prompt": _nonempty(rows["prompt"]),
        "prompt_end": ends(rows["prompt"], "last"),
        "prompt_in_one_split": pc.invert(pc.is_in(texts, value_set=shared)),
    }
    if "weight" in rows.column_names:
        in_train = pc.equal(split, pa.scalar(TRAIN))
        columns["weight"] = filled(rows["weight"], 0.0)
        columns["as_written_or_train"] = pc.or_(in_train, pc.is_null(rows["augmented_from"]))
    return pa.Table.from_pydict(columns)


def _pairs(rows: pa.Table, flat: pa.Table, prompts: pa.Array[Any]) -> pa.Table:
    chosen, rejected = answers(rows["chosen"]), answers(rows["rejected"])
    forward, backward = _key(prompts, chosen, rejected), _key(prompts, rejected, chosen)
    margin = rows["margin"]
    positive = pc.and_(pc.is_finite(margin), pc.greater(margin, pa.scalar(0)))
    more: Columns = {
        "recipe": rows["recipe"],
        "has_answers": pc.and_(_nonempty(rows["chosen"]), _nonempty(rows["rejected"])),
        "answers_by_assistant": _all(pc.equal(ends(rows[side], "first"), pa.scalar(ASSISTANT)) for side in ("chosen", "rejected")),
        "sides_differ": pc.not_equal(chosen, rejected),
        "not_reversed": pc.invert(pc.and_(pc.is_in(forward, value_set=backward), pc.not_equal(chosen, rejected))),
        "not_repeated": _first_of_each(forward, rows["augmented_from"]),
        "margin_positive": pc.or_(pc.is_null(margin), filled(positive, False)),
        "confidence": filled(rows["confidence"], 0.0),
        "cluster_in_one_split": _in_one_split(
            rows["cluster_id"], crossing(rows.select(["cluster_id", "split"]).rename_columns(["value", "split"]))
        ),
        "conversations_in_one_split": _lists_in_one_split(rows),
    }
    return pa.Table.from_pydict({**dict(zip(flat.column_names, flat.columns, strict=True)), **more})


def _unpaired(rows: pa.Table, flat: pa.Table) -> pa.Table:
    more: Columns = {
        "has_answers": _nonempty(rows["completion"]),
        "answers_by_assistant": pc.equal(ends(rows["completion"], "first"), pa.scalar(ASSISTANT)),
        "has_label": pc.is_valid(rows["label"]),
    }
    return pa.Table.from_pydict({**dict(zip(flat.column_names, flat.columns, strict=True)), **more})


def _key(*texts: pa.Array[Any]) -> pa.Array[Any]:
    key: pa.Array[Any] = pc.binary_join_element_wise(*texts, pa.scalar("\0", TEXT))  # type: ignore[call-overload]  # a scalar separator
    return key


def answers(messages: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """One text per answer, equal where two answers are the same (`tasks.common.text_identity`)."""
    lists = messages.combine_chunks()
    contents = pc.struct_field(pc.list_flatten(lists), "content").to_pylist()
    spelt = pa.array([same_answer(text or "") for text in contents], TEXT)
    return cast("pa.LargeStringArray", pc.binary_join(pa.ListArray.from_arrays(_offsets(lists), spelt), pa.scalar("\x1e", TEXT)))


def _nonempty(messages: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """True where there is a message, and no message is blank."""
    lists = messages.combine_chunks()
    text = pc.fill_null(pc.struct_field(pc.list_flatten(lists), "content"), "")
    blank = pc.equal(pc.utf8_trim_whitespace(text), pa.scalar(""))
    if lists.type.value_type.get_field_index("tool_calls") >= 0:  # a message that calls a tool needs no words
        blank = pc.and_(blank, pc.is_null(pc.struct_field(pc.list_flatten(lists), "tool_calls")))
    blanks = pc.unique(pc.list_parent_indices(lists).filter(blank))
    numbers = pa.array(range(len(lists)), pa.int64())
    held = pc.greater(pa.array(lengths(lists)), pa.scalar(0))
    return pc.and_(held, pc.invert(pc.is_in(numbers, value_set=blanks)))


def _first_of_each(keys: pa.Array[Any], augmented_from: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """False for later copies of an original pair; a repeat made by `rebalance` names its parent and may recur."""
    numbers = pa.array(range(len(keys)), pa.int64())
    written = pa.table({"key": keys, "number": numbers}).filter(pc.is_null(augmented_from))
    firsts = written.group_by("key").aggregate([("number", "min")])["number_min"]
    return pc.or_(pc.is_valid(augmented_from), pc.is_in(numbers, value_set=firsts.combine_chunks()))


def _in_one_split(values: pa.ChunkedArray[Any], shared: pa.Array[Any]) -> pa.Array[Any]:
    return pc.invert(pc.is_in(values, value_set=shared))


def _lists_in_one_split(rows: pa.Table) -> pa.Array[Any]:
    """True where none of the row's conversations has a row in another split."""
    places = nested_places(rows, "conversations")
    parents = pc.list_parent_indices(rows["conversations"])
    torn = pc.unique(parents.filter(pc.is_in(places["value"], value_set=crossing(places))))
    return pc.invert(pc.is_in(pa.array(range(len(rows)), pa.int64()), value_set=torn))


def _all(flags: Iterable[pa.Array[Any]]) -> pa.Array[Any]:
    first, *others = flags
    for other in others:
        first = pc.and_(first, other)
    return first
