"""Lines of feedback in Pairwright's own JSONL, one vote per line; `tasks.ingest.formats.jsonl` describes them.

A line that names annotator kind, kind of feedback and conversation becomes a vote, whatever else is wrong with it: it keeps its words and
its value, and later stages drop it with a reason. Only a line that lacks one of these three cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary.kinds import ANNOTATORS, CHOICE, GIVEN, PERSON, RATING, REGENERATE, THUMB
from tasks.common.vocabulary.reasons import ingest as why
from tasks.ingest.formats.parsed import Act, IdOrPlace, moment, name_of, number_of, whole, word_of
from tasks.ingest.formats.vote_words import THUMBS, rating_of

KINDS = {name: name for name in GIVEN} | {"thumbs": THUMB}
COMPARISONS = frozenset({CHOICE, REGENERATE})
CHOICES = {"better": 1.0, "tie": 0.0, "bothbad": -1.0}
RETRACTED = (THUMB, RATING)  # kinds that a value of none retracts
NOTHING = ("", "none", "null", "nan", "neutral")
THUMB_SCALE, RATING_SCALE = (-1.0, 1.0), (1.0, 5.0)
LAST_INDEX = 1_000_000
# Keys of a conversation's id, most reliable first.
CONVERSATION = ("conversation_id", "chat_id", "thread_id", "session_id", "conversationId", "chatId", "threadId", "sessionId")

Scale = tuple[float, float]  # the worst value and the best one


class VoteValue(NamedTuple):
    """The value of a line: number, scale, and the words if it has any."""

    value: float | None
    scale: Scale | None = None
    label: str | None = None


def act_of(record: dict[str, Any]) -> Act:
    """One line of feedback."""
    conversation, kind = conversation_of(record, CONVERSATION), KINDS.get(str(record["kind"]))
    if conversation is None:
        raise Unreadable(why.NO_ID, "expected a text or a number as conversation_id")
    if kind is None:
        raise Unreadable(why.UNKNOWN_KIND, "expected one of " + ", ".join(KINDS))
    annotator_kind = str(record.get("annotator_kind") or PERSON)
    if annotator_kind not in ANNOTATORS:
        raise Unreadable(why.UNKNOWN_ANNOTATOR, "expected annotator_kind person or model")
    vote = value_of(kind, record)
    act = Act(
        conversation,
        kind,
        value=vote.value,
        scale=vote.scale,
        label=vote.label,
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
        message_id = name_of(record.get("message_id"))
        act.turn = _place(record.get("message_index")) if message_id is None else message_id
    if kind in RETRACTED and _is_none(record, vote):
        act.retracts = "explicit"
    return act


def _is_none(record: dict[str, object], vote: VoteValue) -> bool:
    """Whether the value retracts a vote: null, "none", or a thumb of 0. A missing value does not."""
    value = record.get("value", ...)
    if isinstance(value, str):
        return word_of(value) in NOTHING
    return value is None or (vote.value == 0 and vote.scale == THUMB_SCALE)


def conversation_of(record: dict[str, object], keys: Sequence[str]) -> str | None:
    """The id of a conversation: under the first of the keys that holds one."""
    return next((name for key in keys if (name := name_of(record.get(key))) is not None), None)


def _turn(record: dict[str, object], key: str) -> str | int | IdOrPlace | None:
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


def value_of(kind: str, record: dict[str, object]) -> VoteValue:
    """The value by kind; None for unknown words."""
    value, scale = record.get("value"), record.get("scale")
    if kind == THUMB:
        return _thumb(value, scale)
    if kind == CHOICE:
        return VoteValue(1.0) if value is None else _number_or_word(value, CHOICES, None)
    if kind == RATING and isinstance(scale, list) and scale and all(isinstance(word, str) for word in scale):
        return _in_words(value, scale)
    if kind == RATING:
        return _rating(value, scale)
    return VoteValue(number_of(value), _ends(scale))


def _thumb(value: object, scale: object) -> VoteValue:
    if isinstance(value, bool):
        return VoteValue(1.0 if value else -1.0, THUMB_SCALE, str(value).lower())
    if scale is None or (isinstance(value, str) and number_of(value) is None):
        return _number_or_word(value, THUMBS, THUMB_SCALE)
    return _number_or_word(value, {}, _ends(scale))


def _rating(value: object, scale: object) -> VoteValue:
    """A number on the scale (1 to 5 by default); also a spelled rating such as 4/5, unless its scale differs."""
    spelled = rating_of(value) if isinstance(value, str) and number_of(value) is None else None
    if spelled is not None and isinstance(value, str):
        ends = _ends(scale) if scale is not None else spelled[1] or RATING_SCALE
        return VoteValue(spelled[0] if ends and spelled[1] in (None, ends) else None, ends, value)
    by_default = RATING_SCALE if scale is None and number_of(value) is not None else None
    return _number_or_word(value, {}, by_default or _ends(scale))


def _number_or_word(value: object, words: dict[str, float], scale: Scale | None) -> VoteValue:
    """A number as it is; a word by its meaning, ignoring case, spaces, hyphens and underscores."""
    number = number_of(value)
    if number is not None or not isinstance(value, str):
        return VoteValue(number, scale)
    return VoteValue(words.get(word_of(value)), scale, value or None)


def _in_words(value: object, scale: list[str]) -> VoteValue:
    """A word's place on a scale of words from the worst to the best; a number has none."""
    places = {word_of(word): float(place) for place, word in enumerate(scale)}
    label = value or None if isinstance(value, str) else None if value is None else str(value)
    if len(scale) < 2 or len(places) < len(scale):
        return VoteValue(None, None, label)
    return VoteValue(places.get(word_of(value)) if isinstance(value, str) else None, (0.0, len(scale) - 1.0), label)


def _ends(value: object) -> Scale | None:
    """[worst, best]; None when it is something else."""
    ends = [number_of(end) for end in value] if isinstance(value, list) else []
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        return None
    return ends[0], ends[1]
