"""Which message an act names: by its id, by a number that may be an id or a place, or by a piece of an answer.

In: all acts, and all turns. The acts' references become turn ids, in place. Out: notes of those that name no message, or one of two.

A number is the id of the message that has it as its id. A place in the list has keys of its own; only where no message of a conversation
has an id may a number in `better` or `worse` be a place. Nothing is guessed: what could be both is neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.tables import TEXT
from tasks.ingest.formats.loose_messages import Place
from tasks.ingest.formats.parsed import Act, IdOrPlace, place

REFERENCES = ("turn", "better", "worse", "shown_first")
FLOAT = re.compile(r"([0-9]+)\.0+")  # an id that went through a column of floats
Entry = tuple[str, Place, int, Act]
Note = tuple[str, Place, str, str]
Homes = Mapping[str, Mapping[Place, str]]  # of ids that several conversations share: the name by the record that tells it
NO_SUCH_ID = (
    "a number stands for a message, and none has it as its id; a place in the list goes into message_index, better_index, worse_index"
)
TWO_MESSAGES = "a number is the id of one message and the place of another that has no id; give ids, or use better_index and worse_index"
TWO_CONVERSATIONS = "several conversations have this id and the act could be about any of them; put it into the file of its own"


@dataclass
class Listing:
    """The messages of one conversation."""

    places: dict[int, str] = field(default_factory=dict)  # place in the log's list: turn id
    ids: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Known:
    """What is known of conversations when all files are read."""

    named: frozenset[str] | set[str]  # those whose messages have ids of their own
    joined: Mapping[str, Mapping[str | int, str]]  # the whole answers, by piece
    homes: Homes
    listings: Mapping[str, Listing]
    told_in: Mapping[tuple[str, str | None], set[str]]  # the names of conversations with one id, by the id and a file, or all of them


def settle(
    acts: Iterable[Entry], turns: pa.Table, named: set[str], joined: Iterable[tuple[str, Place, dict[str | int, str]]], homes: Homes
) -> list[Note]:
    """Turn ids for all references that are none yet. Returns notes."""
    pieces: dict[str, dict[str | int, str]] = {}
    for name, at, ends in joined:
        pieces.setdefault(homes.get(name, {}).get(at, name), {}).update(ends)
    special = [
        (name, entry)
        for entry in acts
        if (name := f"{entry[0]}:{entry[3].conversation}") in homes or _is_special(name, entry[3], named, pieces)
    ]
    asked = {name for name, _ in special}
    wanted = {home for name in asked for home in (homes[name].values() if name in homes else (name, _plain(name)))}
    told_in: dict[tuple[str, str | None], set[str]] = {}
    for name, records in homes.items():
        for at, home in records.items():
            told_in.setdefault((name, at.file), set()).add(home)
            told_in.setdefault((name, None), set()).add(home)
    known = Known(named, pieces, homes, _listings(turns, wanted), told_in)
    notes: list[Note] = []
    for name, (source, at, _, act) in special:
        fault = _settle(name, at, act, known)
        if fault is not None:
            notes.append((source, at, *fault))
    return notes


def _is_special(name: str, act: Act, named: set[str], joined: Mapping[str, Any]) -> bool:
    """Whether an act needs more than its references say."""
    if name in joined or FLOAT.fullmatch(act.conversation):
        return True
    return name in named and any(
        isinstance(ref, int | IdOrPlace) or (isinstance(ref, str) and FLOAT.fullmatch(ref) is not None)
        for ref in (act.turn, act.better, act.worse, act.shown_first)
    )


def _plain(name: str) -> str:
    """The name without the fraction that a column of floats put there."""
    source, _, native = name.partition(":")
    found = FLOAT.fullmatch(native)
    return f"{source}:{found[1]}" if found else name


def _listings(turns: pa.Table, names: set[str]) -> dict[str, Listing]:
    """The messages of the conversations named; of several records the places are those of the one with most messages."""
    rows = turns.select(["conversation_id", "turn_id", "origin"]).filter(pc.is_in(turns["conversation_id"], pa.array(sorted(names), TEXT)))
    told: dict[str, dict[tuple[str, int], dict[int, str]]] = {}
    for name, turn, origin in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        told.setdefault(name, {}).setdefault((origin["file"], origin["record"]), {})[origin["position"]] = turn
    return {name: _listing(records.values()) for name, records in told.items()}


def _listing(records: Iterable[dict[int, str]]) -> Listing:
    longest = max(records, key=lambda places: (len(places), sorted(places.items())))
    return Listing(longest, {turn for places in records for turn in places.values()})


def _settle(name: str, at: Place, act: Act, known: Known) -> tuple[str, str] | None:
    """Give an act its conversation and turn ids; why it has none, if so."""
    homes = known.homes.get(name)
    if homes is None:
        home = _plain(name) if name not in known.listings and _plain(name) in known.listings else name
        act.conversation = home.partition(":")[2]
        return _refer(act, home, known)
    candidates = {homes[at]} if at in homes else known.told_in.get((name, at.file), known.told_in[name, None])
    if len(candidates) > 1:
        candidates = {home for home in candidates if _holds(act, home, known)} or candidates
    if len(candidates) > 1:
        act.turn = act.better = act.worse = act.shown_first = None
        return "two_conversations", TWO_CONVERSATIONS
    (home,) = candidates
    suffix = home.removeprefix(name)
    act.conversation += suffix
    act.group = None if act.group is None else act.group + suffix
    act.native_id = None if act.native_id is None else act.native_id + suffix
    return _refer(act, home, known)


def _holds(act: Act, home: str, known: Known) -> bool:
    """Whether a conversation has all messages that the act names."""
    listing = known.listings.get(home, Listing())
    turns = [_turn(ref, home, known) for ref in (getattr(act, key) for key in REFERENCES) if ref is not None]
    return all(turn in listing.ids for turn, _ in turns)


def _refer(act: Act, home: str, known: Known) -> tuple[str, str] | None:
    fault = None
    for key in REFERENCES:
        turn, wrong = _turn(getattr(act, key), home, known)
        setattr(act, key, turn)
        fault = fault or wrong
    return fault


def _turn(ref: str | int | IdOrPlace | None, home: str, known: Known) -> tuple[str | None, tuple[str, str] | None]:
    """A reference as a turn id, and what is wrong with it."""
    listing, joined = known.listings.get(home, Listing()), known.joined.get(home, {})
    if isinstance(ref, IdOrPlace):
        if home in known.named:
            return _by_number(ref.number, listing, joined)
        ref = ref.number
    if isinstance(ref, int):
        turn = listing.places.get(ref, place(ref)) if home in known.named else place(ref)
        return joined.get(ref, joined.get(turn, turn)), None
    if ref is not None and ref not in listing.ids and (found := FLOAT.fullmatch(ref)) and found[1] in listing.ids:
        ref = found[1]
    return (None if ref is None else joined.get(ref, ref)), None


def _by_number(number: int, listing: Listing, joined: Mapping[str | int, str]) -> tuple[str | None, tuple[str, str] | None]:
    """The message that has this number as its id."""
    turn = str(number)
    if turn not in listing.ids and turn not in joined:
        return turn, ("no_such_message", NO_SUCH_ID)
    if turn != place(number) and listing.places.get(number) == place(number):
        return None, ("two_messages", TWO_MESSAGES)
    return joined.get(turn, turn), None
