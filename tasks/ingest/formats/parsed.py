"""The result of every reader: conversations, messages and votes, still with the log's own ids.

A reader knows only its format. Ids, hashing of users, tables and origins are handled by `tasks.ingest.formats.columns`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT
from tasks.core.ids import stable_id
from tasks.ingest.formats.roles import role_of
from tasks.ingest.formats.times import moment

__all__ = [  # with what readers find here and other modules hold
    "Act", "Conversation", "Loose", "Message", "ParsedRecord", "chain", "content_id", "dictionary", "moment", "name_of", "number_of",
    "place", "role_of", "text_of", "word_of",
]  # fmt: skip
# Types of content parts that hold text, and those of tool results.
TEXTS = ("text", "output_text", "input_text")
RESULTS = ("tool_result", "function_call_output")


class IdOrPlace(NamedTuple):
    """A whole number that refers to a message: by id, or by place where no message of the conversation has an id."""

    number: int


class Utterance(NamedTuple):
    """The content of one message: text, tool calls, images and files."""

    role: str
    content: str
    tool_calls: str | None = None
    attachments: tuple[str, ...] = ()
    tool_call_id: str | None = None
    tool_name: str | None = None
    reasoning: str | None = None


@dataclass(slots=True)
class Message:
    """One message. `parent_id` names another message of the conversation, or is None at a root."""

    turn_id: str
    parent_id: str | None
    role: str
    content: str
    model: str | None = None
    created_at: int | None = None  # microseconds since 1970, UTC
    status: str = ""  # "" complete, "unfinished", "error", "deleted"
    user: str | None = None  # the user, where the log states it for each message
    preferred: bool = False  # the text that a vote was about: takes precedence over later versions of the message
    tool_calls: str | None = None  # as `Turns.tool_calls`
    attachments: tuple[str, ...] = ()  # as `Turns.attachments`
    tool_call_id: str | None = None  # these three as in `Turns`
    tool_name: str | None = None
    reasoning: str | None = None


@dataclass(slots=True)
class Conversation:
    """A tree of messages under one native id. Values that a message lacks are taken from the conversation."""

    native_id: str
    messages: list[Message]
    user: str | None = None
    topic: str = ""
    created_at: int | None = None
    order: list[str] | None = None  # the ids as the log lists them, where answers in several messages were joined
    joined: dict[str, str] = field(default_factory=dict)  # turn id of another piece of an answer: turn id of the answer
    tools: str | None = None  # as `Turns.tools`


@dataclass(slots=True)
class Act:
    """Feedback on an answer. A turn is named by its id (text), or by its place in the log's list of messages (number)."""

    conversation: str
    kind: str
    turn: str | int | IdOrPlace | None = None
    value: float | None = None
    scale: tuple[float, float] | None = None  # the worst value and the best one
    label: str | None = None  # the value in words, where the log has words
    better: str | int | IdOrPlace | None = None
    worse: str | int | IdOrPlace | None = None
    shown_first: str | int | IdOrPlace | None = None
    group: str | None = None
    text: str | None = None
    annotator: str | None = None
    annotator_kind: str = "person"
    created_at: int | None = None
    native_id: str | None = None
    seen_at: int | None = None  # when the record was last changed, where the feedback has no time of its own
    retracts: str | None = None  # retracts an earlier vote: "explicit" in the log, or "implied" by a missing value


@dataclass(slots=True)
class Loose:
    """A message that is alone in its record; its conversation is found through its parents when all files are read."""

    message: Message
    tree: str | None  # the native id of the conversation, where the record has it


@dataclass(slots=True)
class ParsedRecord:
    """Everything read from a record; `notes` list parts that were left out, as (reason, detail)."""

    conversations: list[Conversation] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    loose: list[Loose] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)


def text_of(content: object) -> str:
    """The text of a message: a string, a list of parts (their texts, joined by newlines), one part, or nothing."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list):
        return "\n".join(filter(None, map(_part, content)))
    if isinstance(content, dict):
        return _part(content)
    raise Unreadable(why.BAD_CONTENT, f"content is a {type(content).__name__}, expected text or a list of parts")


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    kind = part.get("type", "text")
    if kind in RESULTS:
        result = part.get("content", part.get("output"))
        return "\n".join(filter(None, map(_text, result if isinstance(result, list) else [result])))
    return _text(part) if kind in TEXTS else ""


def _text(part: object) -> str:
    if isinstance(part, dict):
        text = part.get("text", part.get("content"))
        part = text.get("value") if isinstance(text, dict) else text
    return part if isinstance(part, str) else ""


def name_of(value: object) -> str | None:
    """An id or name as text: whole numbers are allowed, also as floats; None for blank or other values."""
    if isinstance(value, str):
        return value or None
    number = whole(value)
    return None if number is None else str(number)


def whole(value: object) -> int | None:
    """A whole number, also one that went through a column of floats (12.0)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def word_of(label: str) -> str:
    """A label normalized for comparison: without case, spaces, hyphens, underscores, and skin tones of emojis."""
    return "".join(sign for sign in label.casefold() if sign not in " -_\t\ufe0f🏻🏼🏽🏾🏿")


def number_of(value: object) -> float | None:
    """A finite number, also from text or a boolean; else None."""
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def place(index: int) -> str:
    """The turn id of a message that has none of its own: its place, zero-padded so that text sorts as numbers do."""
    return f"{index:04d}"


def chain(messages: Iterable[Utterance], model: str | None = None, start: int = 0, prefix: str = "") -> list[Message]:
    """A chain of messages without ids; it continues after the first `start` messages of a trunk."""
    line: list[Message] = []
    parent = place(start - 1) if start else None
    for index, utterance in enumerate(messages, start):
        message = Message(prefix + place(index), parent, utterance.role, utterance.content, model if utterance.role == ASSISTANT else None)
        copy_details(message, utterance)
        line.append(message)
        parent = message.turn_id
    return line


def copy_details(message: Message, utterance: Utterance) -> None:
    """Copy everything besides role and text to a message."""
    message.tool_calls, message.attachments = utterance.tool_calls, utterance.attachments
    message.tool_call_id, message.tool_name, message.reasoning = utterance.tool_call_id, utterance.tool_name, utterance.reasoning


def content_id(*lines: Iterable[Utterance], tools: str | None = None) -> str:
    """The id of a conversation without one: a hash of its messages and of the tools that were offered."""
    utterances = (message for line in lines for message in (Utterance("", ""), *line))
    parts = [part for message in utterances for part in (message.role, message.content, *_details(message))]
    return stable_id(*parts, *((tools,) if tools else ()))


def _details(utterance: Utterance) -> tuple[str, ...]:
    """Calls and attachments, where there are any."""
    return (*((utterance.tool_calls,) if utterance.tool_calls else ()), *utterance.attachments)


def dictionary(value: object) -> dict[str, object]:
    """The value when it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
