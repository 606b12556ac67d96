"""Different conversations with the same id: every exporter counts from 1.

In: all turns as the readers returned them. Out: the turns, in which conversations with different openings have different ids, and the id of
each record's conversation. Records that share the first user question, or a message id too long to be a counter, are one conversation,
however much they differ below. Under a short id they are not one where a later question by another (or an unknown) user has different
words: many chats begin with "hello". The conversation with the earliest question keeps the id, so that a later file changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tasks.common.arrays import flat
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import USER
from tasks.core.ids import stable_id
from tasks.core.tables import TEXT
from tasks.ingest.formats.loose_messages import LOOSE, Place
from tasks.ingest.formats.merge_exports import in_several_records
from tasks.ingest.formats.message_trees import BEYOND

Note = tuple[str, Place, str, str]
NamesByRecord = dict[str, dict[Place, str]]
SURE = 16  # an id with this many characters is not a counter: it means the same message in every file
JOIN = pa.scalar("\x1f", TEXT)


def separate_conversations(turns: pa.Table) -> tuple[pa.Table, NamesByRecord, list[Note]]:
    """The turns, the names of conversations by id and record where an id has several, and notes."""
    several = in_several_records(turns)
    openings = _openings(turns.filter(pa.array(several))) if several.any() else {}
    names_by_record = {name: renamed for name, records in openings.items() if (renamed := _names_by_record(name, records))}
    if not names_by_record:
        return turns, {}, []
    mask = flat(pc.is_in(turns["conversation_id"], pa.array(sorted(names_by_record), TEXT)))
    few = turns.select(["conversation_id", "origin", "source"]).filter(mask).to_pylist()
    places = [Place(row["origin"]["file"], row["origin"]["record"]) for row in few]
    fresh = []
    notes = set[Note]()
    for row, at in zip(few, places, strict=True):
        name = row["conversation_id"]
        unique = names_by_record[name].setdefault(at, name)
        fresh.append(unique)
        if unique != name:
            suffix = unique.removeprefix(name)
            detail = f"another conversation has the same id but a different opening: kept separate, with {suffix} appended to its id"
            notes.add((row["source"], at, why.ANOTHER_CONVERSATION, detail))
    names = pc.replace_with_mask(turns["conversation_id"].combine_chunks(), mask, pa.array(fresh, TEXT))
    return turns.set_column(turns.column_names.index("conversation_id"), "conversation_id", names), names_by_record, sorted(notes)


def _openings(turns: pa.Table) -> dict[str, dict[Place, tuple[set[str], int]]]:
    """For ids with several openings: the first questions (digests, ids) of each record, and the time of its first message."""
    rows = turns.filter(pc.and_(pc.equal(turns["role"], pa.scalar(USER)), pc.less(turns["position"], pa.scalar(BEYOND))))
    loose = pc.equal(pc.struct_field(rows["origin"], "position"), pa.scalar(LOOSE, pa.int32()))  # opens a conversation at its root
    rows = rows.filter(pc.or_(pc.invert(loose), pc.equal(rows["position"], pa.scalar(0, pa.int32()))))
    origin = cast("pa.StructArray", rows["origin"].combine_chunks())
    names, position = rows["conversation_id"].combine_chunks(), rows["position"].to_numpy()
    record = _record_numbers(names, origin)
    first = np.full(int(record.max(initial=-1)) + 1, BEYOND)
    np.minimum.at(first, record, position)
    rows = rows.filter(pa.array(position == first[record]))
    texts = pc.utf8_trim_whitespace(pc.replace_substring_regex(rows["content"], r"\s+", " "))
    files = cast("pa.ChunkedArray[Any]", pc.binary_join(rows["attachments"], JOIN)).fill_null(pa.scalar("", TEXT))
    whole = pc.binary_join_element_wise(texts, files, JOIN)  # type: ignore[call-overload]  # a scalar separator
    table = pa.Table.from_pydict({"name": rows["conversation_id"], "text": whole})
    counts = table.group_by(["name", "text"]).aggregate([]).group_by("name").aggregate([([], "count_all")])
    later = _later(turns)
    unlike = [*counts.filter(pc.greater(counts["count_all"], pa.scalar(1)))["name"].to_pylist(), *later]
    mask = pc.is_in(table["name"], pa.array(unlike, TEXT))
    talks: dict[tuple[str, str], list[_Talk]] = {}
    openings: dict[str, dict[Place, tuple[set[str], int]]] = {}
    questions = zip(table.filter(mask).to_pylist(), rows.select(["turn_id", "origin", "created_at"]).filter(mask).to_pylist(), strict=True)
    for question, row in sorted(questions, key=lambda one: (one[1]["origin"]["file"], one[1]["origin"]["record"])):
        at = Place(row["origin"]["file"], row["origin"]["record"])
        when = int(row["created_at"].timestamp()) if row["created_at"] is not None else 1 << 62
        texts_here, earliest = openings.setdefault(question["name"], {}).get(at, (set[str](), 1 << 62))
        talk = _joined(talks.setdefault((question["name"], question["text"]), []), later.get(question["name"], {}).get(at))
        signs = {stable_id(question["text"], *talk), *([row["turn_id"]] if len(row["turn_id"]) >= SURE else [])}
        openings[question["name"]][at] = (texts_here | signs, min(earliest, when))
    return openings


@dataclass
class _Talk:
    """The user and the questions of one conversation, from all its records."""

    user: str  # "" if unknown
    questions: dict[str, str]  # digests of the questions, by the ids of their turns


def _later(turns: pa.Table) -> dict[str, dict[Place, _Talk]]:
    """For conversations with short ids in which one turn has two different questions: the questions of each record."""
    native = pc.replace_substring_regex(turns["conversation_id"], r"^[^:]*:", "")
    by_user = pc.and_(pc.equal(turns["role"], pa.scalar(USER)), pc.less(turns["position"], pa.scalar(BEYOND)))
    counted = pc.and_(pc.less(pc.utf8_length(native), pa.scalar(SURE)), pc.less(pc.utf8_length(turns["turn_id"]), pa.scalar(SURE)))
    rows = turns.filter(pc.and_(by_user, counted)).select(["conversation_id", "turn_id", "content", "user_id", "origin"])
    questions = rows.group_by(["conversation_id", "turn_id", "content"]).aggregate([])
    counts = questions.group_by(["conversation_id", "turn_id"]).aggregate([([], "count_all")])
    unlike = pc.unique(counts.filter(pc.greater(counts["count_all"], pa.scalar(1)))["conversation_id"])
    talks: dict[str, dict[Place, _Talk]] = {}
    for row in rows.filter(pc.is_in(rows["conversation_id"], unlike)).to_pylist():
        at = Place(row["origin"]["file"], row["origin"]["record"])
        talk = talks.setdefault(row["conversation_id"], {}).setdefault(at, _Talk("", {}))
        talk.user = talk.user or row["user_id"] or ""
        talk.questions[row["turn_id"]] = stable_id(" ".join((row["content"] or "").split()))
    return talks


def _joined(talks: list[_Talk], talk: _Talk | None) -> list[str]:
    """What distinguishes the talk from others with the same opening; it joins the first one by the same user, or without contradiction."""
    if talk is None:
        return []
    for number, other in enumerate(talks):
        same = talk.user == other.user != ""
        if same or all(other.questions.get(turn, text) == text for turn, text in talk.questions.items()):
            other.user, other.questions = other.user or talk.user, talk.questions | other.questions
            return [str(number)] if number else []
    talks.append(talk)
    return [str(len(talks) - 1)] if len(talks) > 1 else []


def _record_numbers(names: pa.Array[Any], origin: pa.StructArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A number for each record of each conversation."""
    keys = pa.table({"name": names, "file": origin.field("file"), "record": origin.field("record")})
    order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])
    ordered = keys.take(order)
    starts = np.zeros(len(keys), dtype=bool)
    for column in ordered.columns:
        starts[1:] |= pc.not_equal(column.slice(1), column.slice(0, max(len(column) - 1, 0))).to_numpy()
    numbers = np.empty(len(keys), dtype=np.int64)
    numbers[order.to_numpy()] = np.cumsum(starts)
    return numbers


def _names_by_record(name: str, records: dict[Place, tuple[set[str], int]]) -> dict[Place, str]:
    """The id of each record's conversation; empty where all records hold the same one."""
    sorted_records = sorted(records.items())
    first: dict[str, int] = {}  # by question: the first record that has it
    edges = np.array([(number, first.setdefault(text, number)) for number, (_, (texts, _)) in enumerate(sorted_records) for text in texts])
    count, labels = connected_components(
        coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(sorted_records), len(sorted_records))), directed=False
    )
    if count < 2:
        return {}
    texts, earliest, places = [set[str]() for _ in range(count)], [1 << 62] * count, [list[Place]() for _ in range(count)]
    for label, (at, (questions, moment)) in zip(labels.tolist(), sorted_records, strict=True):
        texts[label] |= questions
        earliest[label] = min(earliest[label], moment)
        places[label].append(at)
    order = sorted(range(count), key=lambda label: (earliest[label], min(texts[label])))
    suffixes = ["", *(f"~{min(texts[label])[:8]}" for label in order[1:])]
    return {at: name + suffix for suffix, label in zip(suffixes, order, strict=True) for at in places[label]}
