"""Which message a vote refers to: by id, by a number that may be an id or a place, or by a piece of an answer.

In: all votes, and all turns. References become turn ids, in place. Out: notes of references that match no message, or are ambiguous.

A number is an id where a message has it as its id. A place in the list has keys of its own; only where no message of a conversation has an
id may a number in `better` or `worse` be a place. Nothing is guessed: an ambiguous reference is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.vocabulary.reasons import ingest as why
from tasks.core.tables import TEXT
from tasks.ingest.formats.loose_messages import Place
from tasks.ingest.formats.parsed import Act, IdOrPlace, place

REFERENCES = ("turn", "better", "worse", "shown_first")
FLOAT = re.compile(r"([0-9]+)\.0+")  # an id written as a float
Entry = tuple[str, Place, int, Act]
Note = tuple[str, Place, str, str]
NamesByRecord = Mapping[str, Mapping[Place, str]]  # for ids shared by several conversations: the id of each record's conversation
NO_SUCH_ID = "no message has this number as its id; give a place in the list as message_index, better_index or worse_index"
TWO_MESSAGES = "the number is the id of one message and the place of another without an id; give ids, or use better_index and worse_index"
TWO_CONVERSATIONS = "several conversations have this id and the vote could be about any of them; put it into the file of its conversation"


@dataclass
class Listing:
    """The messages of one conversation."""

    places: dict[int, str] = field(default_factory=dict)  # place in the log's list: turn id
    ids: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Known:
    """Conversations as known when all files are read."""

    with_ids: frozenset[str] | set[str]  # conversations whose messages have ids
    joined: Mapping[str, Mapping[str | int, str]]  # joined answers, by piece
    names_by_record: NamesByRecord
    listings: Mapping[str, Listing]
    names_in: Mapping[tuple[str, str | None], set[str]]  # names of conversations that share an id, by id and file (None: all files)


def resolve_references(
    acts: Iterable[Entry],
    turns: pa.Table,
    with_ids: set[str],
    joined: Iterable[tuple[str, Place, dict[str | int, str]]],
    names_by_record: NamesByRecord,
) -> list[Note]:
    """Resolve all references to turn ids. Returns notes."""
    pieces: dict[str, dict[str | int, str]] = {}
    for name, at, ends in joined:
        pieces.setdefault(names_by_record.get(name, {}).get(at, name), {}).update(ends)
    special = [
        (name, entry)
        for entry in acts
        if (name := f"{entry[0]}:{entry[3].conversation}") in names_by_record or _is_special(name, entry[3], with_ids, pieces)
    ]
    ids = {name for name, _ in special}
    wanted = {
        conversation
        for name in ids
        for conversation in (names_by_record[name].values() if name in names_by_record else (name, _plain(name)))
    }
    names_in: dict[tuple[str, str | None], set[str]] = {}
    for name, records in names_by_record.items():
        for at, conversation in records.items():
            names_in.setdefault((name, at.file), set()).add(conversation)
            names_in.setdefault((name, None), set()).add(conversation)
    known = Known(with_ids, pieces, names_by_record, _listings(turns, wanted), names_in)
    notes: list[Note] = []
    for name, (source, at, _, act) in special:
        fault = _resolve(name, at, act, known)
        if fault is not None:
            notes.append((source, at, *fault))
    return notes


def _is_special(name: str, act: Act, with_ids: set[str], joined: Mapping[str, object]) -> bool:
    """Whether the references of a vote need to be resolved."""
    if name in joined or FLOAT.fullmatch(act.conversation):
        return True
    return name in with_ids and any(
        isinstance(ref, int | IdOrPlace) or (isinstance(ref, str) and FLOAT.fullmatch(ref) is not None)
        for ref in (act.turn, act.better, act.worse, act.shown_first)
    )


def _plain(name: str) -> str:
    """The name without the fraction of a float."""
    source, _, native = name.partition(":")
    match = FLOAT.fullmatch(native)
    return f"{source}:{match[1]}" if match else name


def _listings(turns: pa.Table, names: set[str]) -> dict[str, Listing]:
    """The messages of the named conversations; with several records the places are those of the one with most messages."""
    rows = turns.select(["conversation_id", "turn_id", "origin"]).filter(pc.is_in(turns["conversation_id"], pa.array(sorted(names), TEXT)))
    positions: dict[str, dict[tuple[str, int], dict[int, str]]] = {}
    for name, turn, origin in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        positions.setdefault(name, {}).setdefault((origin["file"], origin["record"]), {})[origin["position"]] = turn
    return {name: _listing(records.values()) for name, records in positions.items()}


def _listing(records: Iterable[dict[int, str]]) -> Listing:
    longest = max(records, key=lambda places: (len(places), sorted(places.items())))
    return Listing(longest, {turn for places in records for turn in places.values()})


def _resolve(name: str, at: Place, act: Act, known: Known) -> tuple[str, str] | None:
    """Set a vote's conversation and turn ids; returns why a reference cannot be resolved, or None."""
    names_by_record = known.names_by_record.get(name)
    if names_by_record is None:
        conversation = _plain(name) if name not in known.listings and _plain(name) in known.listings else name
        act.conversation = conversation.partition(":")[2]
        return _refer(act, conversation, known)
    candidates = {names_by_record[at]} if at in names_by_record else known.names_in.get((name, at.file), known.names_in[name, None])
    if len(candidates) > 1:
        candidates = {conversation for conversation in candidates if _has_messages(act, conversation, known)} or candidates
    if len(candidates) > 1:
        act.turn = act.better = act.worse = act.shown_first = None
        return why.TWO_CONVERSATIONS, TWO_CONVERSATIONS
    (conversation,) = candidates
    suffix = conversation.removeprefix(name)
    act.conversation += suffix
    act.group = None if act.group is None else act.group + suffix
    act.native_id = None if act.native_id is None else act.native_id + suffix
    return _refer(act, conversation, known)


def _has_messages(act: Act, conversation: str, known: Known) -> bool:
    """Whether a conversation has all messages that the vote refers to."""
    listing = known.listings.get(conversation, Listing())
    turns = [_turn(ref, conversation, known) for ref in (getattr(act, key) for key in REFERENCES) if ref is not None]
    return all(turn in listing.ids for turn, _ in turns)


def _refer(act: Act, conversation: str, known: Known) -> tuple[str, str] | None:
    fault = None
    for key in REFERENCES:
        turn, wrong = _turn(getattr(act, key), conversation, known)
        setattr(act, key, turn)
        fault = fault or wrong
    return fault


def _turn(ref: str | int | IdOrPlace | None, conversation: str, known: Known) -> tuple[str | None, tuple[str, str] | None]:
    """A reference as a turn id, and the fault if there is one."""
    listing, joined = known.listings.get(conversation, Listing()), known.joined.get(conversation, {})
    if isinstance(ref, IdOrPlace):
        if conversation in known.with_ids:
            return _by_number(ref.number, listing, joined)
        ref = ref.number
    if isinstance(ref, int):
        turn = listing.places.get(ref, place(ref)) if conversation in known.with_ids else place(ref)
        return joined.get(ref, joined.get(turn, turn)), None
    if ref is not None and ref not in listing.ids and (match := FLOAT.fullmatch(ref)) and match[1] in listing.ids:
        ref = match[1]
    return (None if ref is None else joined.get(ref, ref)), None


def _by_number(number: int, listing: Listing, joined: Mapping[str | int, str]) -> tuple[str | None, tuple[str, str] | None]:
    """The message with this number as its id."""
    turn = str(number)
    if turn not in listing.ids and turn not in joined:
        return turn, (why.NO_SUCH_MESSAGE, NO_SUCH_ID)
    if turn != place(number) and listing.places.get(number) == place(number):
        return None, (why.TWO_MESSAGES, TWO_MESSAGES)
    return joined.get(turn, turn), None
