"""Which rows the tombstones leave out, before anything is merged: what is left is as though the others had never been in a log.

A conversation goes whole where nobody else is known to speak in it, where it is named, or where its last message is too old. In one that
several people share (a tree of OASST) a person's messages go, and all below them. An act goes with its annotator, its conversation, or an
answer that it is about; one that could be about any of several conversations goes with any. Erased rows are counted, each by its place in
the raw logs: nothing else of them is written.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.arrays import Mask, mask
from tasks.common.tombstones import CONVERSATION, USER, Tombstones, names_of
from tasks.common.vocabulary.reasons import ingest as why
from tasks.core.tables import TEXT, TIME
from tasks.ingest.formats.collisions import NamesByRecord, separate_conversations
from tasks.ingest.formats.loose_messages import Place
from tasks.ingest.formats.parsed import Act
from tasks.ingest.formats.references import Entry, resolve_references

Turn = tuple[str, str]  # conversation and turn
Person = Callable[[str | None], str | None]  # the salted hash of a native id
Pieces = list[tuple[str, Place, dict[str | int, str]]]
PLACES = ("conversation_id", "turn_id")
MICROSECOND = dt.timedelta(microseconds=1)


@dataclass
class Gone:
    """What is erased, by ids that tell apart what has one id in the log."""

    people: set[str] = field(default_factory=set)
    conversations: set[str] = field(default_factory=set)  # whole ones
    turns: set[Turn] = field(default_factory=set)  # of the others

    def mask_of(self, turns: pa.Table) -> Mask:
        """Which turns are erased."""
        gone = _among(turns["conversation_id"], self.conversations) | _among(turns["user_id"], self.people)
        at = np.flatnonzero(_among(turns["conversation_id"], {name for name, _ in self.turns}))
        gone[at] |= np.fromiter((place in self.turns for place in _listed(turns.take(pa.array(at, pa.int64())), PLACES)), np.bool_, len(at))
        return gone

    def has(self, source: str, act: Act, annotator: str | None) -> bool:
        """Whether an act, whose references are resolved, is erased."""
        name = f"{source}:{act.conversation}"
        about = (act.turn, act.better, act.worse, act.shown_first)
        return annotator in self.people or name in self.conversations or any((name, turn) in self.turns for turn in about)


@dataclass
class Left:
    """What is not erased, and the places of what is, by table."""

    turns: pa.Table
    acts: list[Entry]
    erased: dict[str, pa.Table]


def leave_out(turns: pa.Table, acts: Sequence[Entry], tombstones: Tombstones, named: set[str], joined: Pieces, person: Person) -> Left:
    """Raw turns and acts without what is erased; `named` and `joined` are as for `resolve_references`."""
    apart, names, _ = separate_conversations(turns)
    gone = find(apart, {user for *_, act in acts if (user := person(act.annotator))}, tombstones)
    resolved = [(source, at, number, copy.copy(act)) for source, at, number, act in acts]
    notes = resolve_references(resolved, apart, named, joined, names)
    unclear = {(source, at) for source, at, reason, _ in notes if reason == why.TWO_CONVERSATIONS}
    known = set(cast("list[str]", pc.unique(apart["conversation_id"]).to_pylist()))
    lost = [
        gone.has(source, about, person(act.annotator))
        or ((source, at) in unclear and _any_of(names, f"{source}:{act.conversation}", gone))
        or (f"{source}:{about.conversation}" not in known and _alone(f"{source}:{about.conversation}", act, tombstones))
        for (source, at, _, act), (_, _, _, about) in zip(acts, resolved, strict=True)
    ]
    hidden = gone.mask_of(apart)
    rows = [(source, (at.file, at.record, number)) for (source, at, number, _), out in zip(acts, lost, strict=True) if out]
    places = turns.filter(pa.array(hidden)).select(["source", "origin"])
    return Left(
        turns.filter(pa.array(~hidden)),
        [act for act, out in zip(acts, lost, strict=True) if not out],
        {"turns": places, "feedback": _places(rows, places.schema)},
    )


def find(turns: pa.Table, annotators: set[str], tombstones: Tombstones) -> Gone:
    """What of these turns is erased, and who of those who speak or vote."""
    people = {user for user in annotators.union(_distinct(turns["user_id"])) if tombstones.has(USER, user)}
    whole = set[str]()
    if tombstones.has_kind(CONVERSATION):
        whole = {name for name in _distinct(turns["conversation_id"]) if tombstones.has(CONVERSATION, *names_of(name))}
    if tombstones.before:
        whole |= _older(turns, tombstones.before)
    theirs = turns.filter(pa.array(_among(turns["user_id"], people)))
    rows = turns.filter(pa.array(_among(turns["conversation_id"], set(_distinct(theirs["conversation_id"])) - whole)))
    spoken: dict[str, set[str | None]] = {}
    for name, user in _listed(rows, ("conversation_id", "user_id")):
        spoken.setdefault(str(name), set()).add(user)
    whole |= {name for name, users in spoken.items() if users <= people | {None}}
    shared = rows.filter(pa.array(~_among(rows["conversation_id"], whole)))
    return Gone(people, whole, _below(shared, people))


def _older(turns: pa.Table, before: dt.date) -> set[str]:
    """Conversations whose last message has a time, before this day."""
    last = turns.group_by("conversation_id").aggregate([("created_at", "max")])
    day = pa.scalar(dt.datetime.combine(before, dt.time(), dt.UTC), TIME)
    return set(_distinct(last.filter(pa.array(mask(pc.less(last["created_at_max"], day))))["conversation_id"]))


def _below(turns: pa.Table, people: set[str]) -> set[Turn]:
    """Turns of these people in conversations shared with others, and all below; not a turn that is another's in another record."""
    rows = _listed(turns, ("conversation_id", "turn_id", "parent_id", "user_id"))
    others = {(name, turn) for name, turn, _, user in rows if user and user not in people}
    found = {(name, turn) for name, turn, _, user in rows if user in people} - others
    children: dict[tuple[object, object], list[tuple[object, object]]] = {}
    for name, turn, parent, _ in rows:
        children.setdefault((name, parent), []).append((name, turn))
    open_turns = list(found)
    while open_turns:
        fresh = set(children.get(open_turns.pop(), ())) - found
        found |= fresh
        open_turns += fresh
    return cast("set[Turn]", found)


def _any_of(names: NamesByRecord, name: str, gone: Gone) -> bool:
    """Whether any of the conversations with one id is erased, in whole or in part."""
    return not gone.conversations.isdisjoint(names[name].values()) or any(
        conversation in names[name].values() for conversation, _ in gone.turns
    )


def _alone(name: str, act: Act, tombstones: Tombstones) -> bool:
    """Whether an act about a conversation that is in no file is erased: by the conversation's id, or by its own age."""
    if tombstones.has(CONVERSATION, *names_of(name)):
        return True
    when = act.created_at if act.created_at is not None else act.seen_at
    if tombstones.before is None or when is None:
        return False
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return when < (dt.datetime.combine(tombstones.before, dt.time(), dt.UTC) - epoch) // MICROSECOND


def emptied(places: pa.Table, schema: pa.Schema) -> pa.Table:
    """Erased rows as `schema` has them: dropped, with their places, and null in all else."""
    known = {name: places[name] for name in places.column_names} | {"dropped": pa.repeat(pa.scalar(why.ERASED, TEXT), len(places))}
    columns = [known.get(column.name, pa.nulls(len(places), column.type)) for column in schema]
    return pa.Table.from_arrays([column.cast(kind.type) for column, kind in zip(columns, schema, strict=True)], schema=schema)


def _places(rows: Iterable[tuple[str, tuple[str, int, int]]], schema: pa.Schema) -> pa.Table:
    origin = ("file", "record", "position")
    return pa.Table.from_pylist(
        [{"source": source, "origin": dict(zip(origin, place, strict=True))} for source, place in sorted(rows)], schema=schema
    )


def _among(column: pa.ChunkedArray[Any], values: set[str]) -> Mask:
    return mask(pc.is_in(column, pa.array(sorted(values), TEXT))) if values else np.zeros(len(column), bool)


def _distinct(column: pa.ChunkedArray[Any]) -> list[str]:
    return [value for value in pc.unique(column).to_pylist() if value is not None]


def _listed(rows: pa.Table, names: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(rows[name].to_pylist() for name in names), strict=True))
