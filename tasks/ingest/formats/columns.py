"""From parsed records to the columns of `turns` and `feedback`: ids, hashed users, depth in the tree, origins.

In: `ParsedRecord` after `ParsedRecord`, and plain conversations in bulk. Out: two Arrow tables with the schemas of `Turns` (and a column
`preferred`: the text a vote was about) and `Feedback` (and `seen_at`, `retracts`: see `Act`), still with duplicates.

Time is linear in the size of the logs: rows become Arrow columns batch by batch, so that the Python objects of at most one batch are alive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.raw_files.files import Unreadable
from tasks.common.tombstones import NONE, Tombstones
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT, ROLES, SYSTEM, TOOL, USER
from tasks.core.ids import person_id, stable_id
from tasks.core.tables import ORIGIN, TEXT, TEXTS, TIME, Feedback, Turns
from tasks.ingest.formats import erased
from tasks.ingest.formats.collisions import separate_conversations
from tasks.ingest.formats.jsonl import Plain, topic_of
from tasks.ingest.formats.loose_messages import LOOSE, Place, Waiting, locate
from tasks.ingest.formats.message_trees import BEYOND, depths
from tasks.ingest.formats.nearest_format import is_printable, listed_names
from tasks.ingest.formats.parsed import Act, Conversation, IdOrPlace, Message, ParsedRecord, moment, name_of, place
from tasks.ingest.formats.references import resolve_references
from tasks.ingest.formats.retractions import IMPLIED
from tasks.ingest.formats.roles import UNKNOWN, bridged

ROWS_AT_A_TIME = 20_000
ROLE_NAMES = pa.array(sorted(ROLES), TEXT)
ROLE_CODES = {name: code for code, name in enumerate(sorted(ROLES))}
UNLIKE = "roles do not alternate, or an assistant speaks first: not every chat template accepts such a prompt"
# By the previous role, the roles that do not alternate with it; "": no previous message, or an unknown role.
TURNS = {"": (ASSISTANT,), SYSTEM: (ASSISTANT,), USER: (USER,), ASSISTANT: (ASSISTANT,), TOOL: ()}
RAW_TURNS = Turns.schema().append(pa.field("preferred", pa.bool_()))
RAW_FEEDBACK = Feedback.schema().append(pa.field("seen_at", TIME)).append(pa.field("retracts", TEXT))


class TableBuilder:
    """Takes parsed records in any order; `turns()` and `feedback()` return the tables. `salt` is called when there is a user id to hash."""

    def __init__(self, salt: Callable[[], str], tombstones: Tombstones = NONE) -> None:
        self._salt = salt
        self._tombstones = tombstones
        self.erased: dict[str, pa.Table] = {}  # by table: the places of rows that are left out; known after `turns`
        self._chunks: list[pa.Table] = []
        self._rows: list[tuple[Any, ...]] = []
        self._acts: list[tuple[str, Place, int, Act]] = []
        self._waiting: list[Waiting] = []
        self._people: dict[str, str] = {}
        self._named: set[str] = set()  # conversations whose messages have ids of their own
        self._joined: list[tuple[str, Place, dict[str | int, str]]] = []  # the joined answers of a record, by id and place of their pieces
        self._unlike: Counter[tuple[str, str]] = Counter()  # by format and file: conversations whose roles do not alternate

    def add(self, source: str, at: Place, parsed: ParsedRecord) -> list[tuple[str, str]]:
        """Add everything in one record, or raise `Unreadable` and add nothing. Returns notes of what was left out."""
        notes = list(parsed.notes)
        placed = []
        for conversation in parsed.conversations:
            known, strangers = bridged(conversation.messages)
            notes.extend((why.UNKNOWN_ROLE, name) for name in strangers)
            if strangers and not known:
                raise Unreadable(why.UNKNOWN_ROLE, "no message has a known role: " + listed_names(filter(is_printable, strangers)))
            depth, more = depths(known)
            notes.extend(more)
            placed.append((conversation, depth))
        unknown = [loose.message.role.removeprefix(UNKNOWN) for loose in parsed.loose if loose.message.role.startswith(UNKNOWN)]
        if unknown and len(unknown) == len(parsed.loose) and not placed:
            raise Unreadable(why.UNKNOWN_ROLE, "the message has no known role: " + listed_names(filter(is_printable, unknown)))
        position = 0
        for conversation, depth in placed:
            self._add_conversation(source, at, position, conversation, depth)
            position += len(conversation.order or conversation.messages)
        acts = [act for act in parsed.acts if act.retracts != IMPLIED]
        alone = not parsed.conversations and len(acts) == 1
        self._acts.extend((source, at, -1 if alone else index, act) for index, act in enumerate(acts))
        self._acts.extend((source, at, -1, act) for act in parsed.acts if act.retracts == IMPLIED)
        notes.extend((why.UNKNOWN_ROLE, role) for role in unknown)
        self._waiting.extend(Waiting(source, at, loose) for loose in parsed.loose if not loose.message.role.startswith(UNKNOWN))
        return notes

    def _add_conversation(self, source: str, at: Place, first: int, conversation: Conversation, depth: dict[str, int]) -> None:
        name = f"{source}:{conversation.native_id}"
        user = self._person(conversation.user)
        names = conversation.order or [message.turn_id for message in conversation.messages]
        places = {turn: index for index, turn in enumerate(names)}
        for message in conversation.messages:
            if message.turn_id in depth:
                position = first + places[message.turn_id]
                self._rows.append(self._row(source, name, at, position, message, depth, user, conversation))
        if any(turn != place(index) for index, turn in enumerate(names)):
            self._named.add(name)
        self._note_pieces(name, at, conversation)
        self._unlike[source, at.file] += not _alternates([message for message in conversation.messages if message.turn_id in depth])
        if len(self._rows) >= ROWS_AT_A_TIME:
            self._flush()

    def _note_pieces(self, name: str, at: Place, conversation: Conversation) -> None:
        """Keep which answers a record's joined pieces belong to, by id and by place."""
        places = {turn: index for index, turn in enumerate(conversation.order or [message.turn_id for message in conversation.messages])}
        pieces: dict[str | int, str] = {}
        for turn, end in conversation.joined.items():
            pieces[turn] = pieces[places[turn]] = end
        if pieces:
            self._joined.append((name, at, pieces))

    def _row(
        self,
        source: str,
        name: str,
        at: Place,
        position: int,
        message: Message,
        depth: dict[str, int],
        user: str | None,
        conversation: Conversation,
    ) -> tuple[object, ...]:
        return (
            name,
            message.turn_id,
            message.parent_id,
            depth[message.turn_id],
            message.role,
            message.content,
            message.tool_calls,
            message.tool_call_id,
            message.tool_name,
            None if depth[message.turn_id] else conversation.tools,
            message.reasoning,
            message.attachments or None,
            message.model,
            self._person(message.user) or user,
            message.created_at if message.created_at is not None else conversation.created_at,
            message.status,
            None,
            None,
            conversation.topic,
            source,
            (at.file, at.record, position),
            message.preferred,
        )

    def _person(self, native: str | None) -> str | None:
        if native is None:
            return None
        hashed = self._people.get(native)
        if hashed is None:
            hashed = self._people[native] = person_id(native, self._salt())
        return hashed

    def add_plain(self, source: str, file: str, lines: Plain) -> None:
        """Add conversations of plain `role` and `content` lines, as selected by `jsonl.plain`, without an object per message."""
        if not lines.records:
            return
        values, total = [record.value for record in lines.records], len(lines.roles)
        counts = np.array(lines.counts)
        starts = np.cumsum(counts) - counts
        owner = np.repeat(np.arange(len(values)), counts)
        position = np.arange(total) - np.repeat(starts, counts)
        index = position.copy()  # the place in the log's list
        for number, whole in lines.whole.items():
            index[starts[number] : starts[number] + counts[number]] = [int(message.turn_id) for message in whole.messages]
            self._note_pieces(f"{source}:{whole.native_id}", Place(file, lines.records[number].number), whole)
        places = pa.array([place(number) for number in range(int(index.max()) + 1)], TEXT)
        codes = np.frombuffer(bytes(map(ROLE_CODES.__getitem__, lines.roles)), np.uint8)
        self._unlike[source, file] += _unlike(codes, starts)
        roles = ROLE_NAMES.take(codes)

        def spread(column: Sequence[object], kind: pa.DataType = TEXT) -> pa.Array[Any]:
            """Values of conversations, repeated for each message."""
            return pa.array(column, kind).take(owner)

        models = [name_of(value.get("model")) for value in values]
        model = pa.nulls(total, TEXT)
        if any(models):
            model = pc.if_else(pc.equal(roles, pa.scalar(ASSISTANT)), spread(models), model)
        depth = pa.array(position, pa.int32())
        at = [_same(file, total), spread([record.number for record in lines.records], pa.int64()), pa.array(index, pa.int32())]
        columns = [
            spread([f"{source}:{name}" for name in lines.names]),
            places.take(pa.array(index)),
            places.take(pa.array(np.roll(index, 1), mask=position == 0)),
            depth,
            roles,
            pa.array(lines.contents, TEXT),
            *[pa.nulls(total, TEXT)] * 5,  # calls and their answers, tools, reasoning
            pa.nulls(total, TEXTS),
            model,
            spread([self._person(name_of(value.get("user_id"))) for value in values]),
            spread([moment(value.get("created_at")) for value in values], pa.int64()).cast(TIME),
            _same("", total),
            pa.nulls(total, TEXT),
            pa.nulls(total, TEXT),
            spread([topic_of(value) for value in values]),
            _same(source, total),
            pa.StructArray.from_arrays(at, fields=list(ORIGIN)),
            _same(False, total, pa.bool_()),
        ]
        self._chunks.append(pa.Table.from_arrays(columns, schema=RAW_TURNS))

    def _flush(self) -> None:
        if self._rows:
            self._chunks.append(_table(self._rows, RAW_TURNS))
            self._rows = []

    def turns(self) -> tuple[pa.Table, list[tuple[str, Place, str, str]]]:
        """All turns, and notes of loose messages without a place in a tree: (format, place, reason, detail). Call once."""
        notes = self._place_loose()
        self._flush()
        chunks, self._chunks = self._chunks, []
        turns = self._without_erased(pa.concat_tables(chunks) if chunks else RAW_TURNS.empty_table())
        turns, names_by_record, more = separate_conversations(turns)
        notes += more + resolve_references(self._acts, turns, self._named, self._joined, names_by_record)
        for (source, file), count in sorted(self._unlike.items()):
            if count:
                notes.append((source, Place(file, -1), why.ROLES_NOT_ALTERNATING, f"in {count} conversations {UNLIKE}"))
        return turns, notes

    def _without_erased(self, turns: pa.Table) -> pa.Table:
        """The turns that are not erased; acts that are erased are let go."""
        if not self._tombstones:
            return turns
        left = erased.leave_out(turns, self._acts, self._tombstones, self._named, self._joined, self._person)
        self._acts, self.erased = left.acts, left.erased
        return left.turns

    def _place_loose(self) -> list[tuple[str, Place, str, str]]:
        """Find conversation and depth of messages that came one per record, through their parents in any file."""
        if not self._waiting:
            return []
        self._flush()
        notes: list[tuple[str, Place, str, str]] = []
        waiting = sorted(self._waiting, key=lambda item: (item.source, item.loose.message.turn_id, item.at))
        by_id = {(item.source, item.loose.message.turn_id): item for item in reversed(waiting)}
        known = self._known_depths({f"{item.source}:{item.loose.tree}" for item in waiting if item.loose.tree})
        root: dict[tuple[str, str], tuple[str, int] | None] = {}
        for item in waiting:
            located = locate(item, by_id, known, root)
            message = item.loose.message
            if located is None:
                notes.append((item.source, item.at, why.MISSING_PARENT, "an earlier message of its conversation is in no file"))
                if item.loose.tree is None:
                    continue
            tree, depth = located or (str(item.loose.tree), BEYOND)
            conversation = Conversation(tree, [message])
            name = f"{item.source}:{tree}"
            self._rows.append(self._row(item.source, name, item.at, LOOSE, message, {message.turn_id: depth}, None, conversation))
        return notes

    def _known_depths(self, names: set[str]) -> dict[tuple[str, str], int]:
        """Depth of every turn so far of the conversations named."""
        wanted, depth = pa.array(sorted(names), TEXT), dict[tuple[str, str], int]()
        for chunk in self._chunks:
            part = chunk.filter(pc.is_in(chunk["conversation_id"], wanted)).select(["conversation_id", "turn_id", "position"])
            for name, turn, position in zip(*(column.to_pylist() for column in part.columns), strict=True):
                depth[name, turn] = min(position, depth.get((name, turn), position))
        return depth

    def feedback(self) -> pa.Table:
        """All votes, with places resolved to turn ids. Call after `turns`, which resolves them."""
        chunks = [RAW_FEEDBACK.empty_table()]
        while self._acts:  # frees the objects batch by batch
            part = self._acts[-ROWS_AT_A_TIME:]
            del self._acts[-ROWS_AT_A_TIME:]
            chunks.append(_table([self._act_row(*entry) for entry in part], RAW_FEEDBACK))
        return pa.concat_tables(chunks)

    def _act_row(self, source: str, at: Place, position: int, act: Act) -> tuple[object, ...]:
        name = f"{source}:{act.conversation}"
        turn, better, worse, first = (_turn(ref) for ref in (act.turn, act.better, act.worse, act.shown_first))
        annotator = self._person(act.annotator)
        low, high = act.scale or (None, None)
        group = None if act.group is None else f"{source}:{act.group}"
        if act.native_id is not None:
            feedback_id = stable_id(source, act.native_id)
        else:
            words = () if act.value is not None or act.label is None else (act.label,)
            parts = (name, turn, act.kind, act.value, better, worse, group, act.text, annotator, act.created_at, *words)
            feedback_id = stable_id(source, *map(repr, parts))
        return (
            feedback_id,
            name,
            turn,
            act.kind,
            act.value,
            low,
            high,
            act.label,
            better,
            worse,
            first,
            group,
            act.text,
            annotator,
            act.annotator_kind,
            act.created_at,
            source,
            (at.file, at.record, position),
            act.seen_at,
            act.retracts,
        )


def _alternates(messages: Sequence[Message]) -> bool:
    """Whether user and assistant alternate on every branch, the user first."""
    roles = {message.turn_id: message.role for message in messages}
    return not any(message.role in TURNS[roles.get(message.parent_id, TOOL) if message.parent_id else ""] for message in messages)


def _unlike(codes: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> int:
    """The number of conversations in which user and assistant do not alternate; each is a run of role codes from its start."""
    before = np.roll(codes, 1)
    before[starts] = ROLE_CODES[SYSTEM]
    wrong = (codes == ROLE_CODES[ASSISTANT]) & ((before == codes) | (before == ROLE_CODES[SYSTEM]))
    wrong |= (codes == ROLE_CODES[USER]) & (before == codes)
    return int(np.count_nonzero(np.add.reduceat(wrong, starts)))


def _turn(ref: str | int | IdOrPlace | None) -> str | None:
    """A turn's id; a number is a place."""
    number = ref.number if isinstance(ref, IdOrPlace) else ref
    return place(number) if isinstance(number, int) else number


def _same(value: object, count: int, kind: pa.DataType = TEXT) -> pa.Array[Any]:
    same: pa.Array[Any] = pa.repeat(pa.scalar(value, kind), count)  # type: ignore[call-overload]  # of any kind
    return same


def _table(rows: list[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    """Rows as an Arrow table; times are whole microseconds."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    return pa.Table.from_arrays([_array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)


def _array(column: Sequence[object], kind: pa.DataType) -> pa.Array[Any]:
    if kind == TIME:
        return pa.array(column, pa.int64()).cast(TIME)
    if kind == ORIGIN:
        parts = list(zip(*column, strict=True)) if column else [()] * len(ORIGIN)
        return pa.StructArray.from_arrays(
            [pa.array(part, inner.type) for part, inner in zip(parts, ORIGIN, strict=True)], fields=list(ORIGIN)
        )
    return pa.array(column, kind)
