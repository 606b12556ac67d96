"""Lines of feedback in our own JSONL, one act a line; `tasks.ingest.formats.jsonl` describes them.

A line that says whose act of which kind about which conversation it is becomes an act, whatever else is wrong with it: it keeps its
words and its value, and the later stages drop it with a reason. Only a line that lacks one of these three cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tasks.common.raw_files.files import Unreadable
from tasks.ingest.formats.parsed import Act, IdOrPlace, moment, name_of, number_of, whole, word_of
from tasks.ingest.formats.vote_words import THUMBS, rating_of

NAMES = ("thumb", "rating", "choice", "ranking", "edit", "correction", "regenerate", "report", "copy", "share", "comment")
KINDS = {name: name for name in NAMES} | {"thumbs": "thumb"}
COMPARISONS = frozenset({"choice", "regenerate"})
ANNOTATORS = frozenset({"person", "model"})
CHOICES = {"better": 1.0, "tie": 0.0, "bothbad": -1.0}
RETRACTED = ("thumb", "rating")  # kinds that are taken back by a value that is none
NOTHING = ("", "none", "null", "nan", "neutral")
THUMB_SCALE, RATING_SCALE = (-1.0, 1.0), (1.0, 5.0)
LAST_INDEX = 1_000_000
# Keys of a conversation's id, the surest first.
CONVERSATION = ("conversation_id", "chat_id", "thread_id", "session_id", "conversationId", "chatId", "threadId", "sessionId")

Scale = tuple[float, float]  # the worst value and the best one


class Said(NamedTuple):
    """What a line says of its value: the number, the scale, and the words where there are words."""

    value: float | None
    scale: Scale | None = None
    label: str | None = None


def act_of(record: dict[str, Any]) -> Act:
    """One line of feedback."""
    conversation, kind = conversation_of(record, CONVERSATION), KINDS.get(str(record["kind"]))
    if conversation is None:
        raise Unreadable("no_id", "expected a text or a number as conversation_id")
    if kind is None:
        raise Unreadable("unknown_kind", "expected one of " + ", ".join(KINDS))
    annotator_kind = str(record.get("annotator_kind") or "person")
    if annotator_kind not in ANNOTATORS:
        raise Unreadable("unknown_annotator", "expected annotator_kind person or model")
    said = said_of(kind, record)
    act = Act(
        conversation,
        kind,
        value=said.value,
        scale=said.scale,
        label=said.label,
        text=record["text"] if isinstance(record.get("text"), str) else None,
        group=name_of(record.get("group")),
        annotator=name_of(record.get("user_id")),
        annotator_kind=annotator_kind,
        created_at=moment(record.get("created_at")),
        native_id=name_of(record.get("id")),
    )
    if kind in COMPARISONS:
        act.better, act.worse = _turn(record, "better"), _turn(record, "worse")
        act.shown_first = _turn(record, "shown_first") or _turn(record, "first")
    else:
        named = name_of(record.get("message_id"))
        act.turn = _place(record.get("message_index")) if named is None else named
    if kind in RETRACTED and _is_none(record, said):
        act.retracts = "told"
    return act


def _is_none(record: dict[str, Any], said: Said) -> bool:
    """Whether the value says that there is no vote any more: null, "none", or the middle of a thumb. A missing value says nothing."""
    value = record.get("value", ...)
    if isinstance(value, str):
        return word_of(value) in NOTHING
    return value is None or (said.value == 0 and said.scale == THUMB_SCALE)


def conversation_of(record: dict[str, Any], keys: Sequence[str]) -> str | None:
    """The id of a conversation: under the first of the keys that holds one."""
    return next((name for key in keys if (name := name_of(record.get(key))) is not None), None)


def _turn(record: dict[str, Any], key: str) -> str | int | IdOrPlace | None:
    """One side of a comparison: a message's id, a number that may be one, or a place; None when the line names no message."""
    value = record.get(key)
    if value is None:
        return _place(record.get(f"{key}_index"))
    number = whole(value)
    return IdOrPlace(number) if number is not None and 0 <= number < LAST_INDEX else name_of(value)


def _place(value: object) -> int | None:
    """A message's place in the list, from 0, also as text."""
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < len(str(LAST_INDEX)) else whole(value)
    return number if number is not None and 0 <= number < LAST_INDEX else None


def said_of(kind: str, record: dict[str, Any]) -> Said:
    """The value by kind. Words that are not known keep no value; nothing is put in their place."""
    value, scale = record.get("value"), record.get("scale")
    if kind == "thumb":
        return _thumb(value, scale)
    if kind == "choice":
        return Said(1.0) if value is None else _worded(value, CHOICES, None)
    if kind == "rating" and isinstance(scale, list) and scale and all(isinstance(word, str) for word in scale):
        return _in_words(value, scale)
    if kind == "rating":
        return _rating(value, scale)
    return Said(number_of(value), _ends(scale))


def _thumb(value: object, scale: object) -> Said:
    if isinstance(value, bool):
        return Said(1.0 if value else -1.0, THUMB_SCALE, str(value).lower())
    if scale is None or (isinstance(value, str) and number_of(value) is None):
        return _worded(value, THUMBS, THUMB_SCALE)
    return _worded(value, {}, _ends(scale))


def _rating(value: object, scale: object) -> Said:
    """A number on the scale, 1 to 5 without one; also in a spelling of its own, if its scale is not another one."""
    spelled = rating_of(value) if isinstance(value, str) and number_of(value) is None else None
    if spelled is not None and isinstance(value, str):
        said = _ends(scale) if scale is not None else spelled[1] or RATING_SCALE
        return Said(spelled[0] if said and spelled[1] in (None, said) else None, said, value)
    by_default = RATING_SCALE if scale is None and number_of(value) is not None else None
    return _worded(value, {}, by_default or _ends(scale))


def _worded(value: object, words: dict[str, float], scale: Scale | None) -> Said:
    """A number as it is; a word by its meaning, spelled with or without case, spaces, hyphens and underscores."""
    number = number_of(value)
    if number is not None or not isinstance(value, str):
        return Said(number, scale)
    return Said(words.get(word_of(value)), scale, value or None)


def _in_words(value: object, scale: list[str]) -> Said:
    """A word's place on a scale of words from the worst to the best; a number has none."""
    places = {word_of(word): float(place) for place, word in enumerate(scale)}
    label = value or None if isinstance(value, str) else None if value is None else str(value)
    if len(scale) < 2 or len(places) < len(scale):
        return Said(None, None, label)
    return Said(places.get(word_of(value)) if isinstance(value, str) else None, (0.0, len(scale) - 1.0), label)


def _ends(value: object) -> Scale | None:
    """[worst, best]; None when it is something else."""
    ends = [number_of(end) for end in value] if isinstance(value, list) else []
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        return None
    return ends[0], ends[1]
