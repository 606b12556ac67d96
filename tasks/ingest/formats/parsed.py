"""What every reader turns a native record into: conversations, messages and acts, still with the log's own ids.

A reader knows its format only. Ids, hashing of people, tables and origins are the business of `tasks.ingest.formats.columns`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tasks.common.raw_files.files import Unreadable
from tasks.core.ids import stable_id
from tasks.ingest.formats.roles import ROLES, role_of
from tasks.ingest.formats.times import moment

__all__ = [  # with what readers find here and other modules hold
    "ROLES", "Act", "Conversation", "Facts", "Loose", "Message", "chain", "content_id", "dictionary", "moment", "name_of", "number_of",
    "place", "role_of", "text_of", "word_of",
]  # fmt: skip
# Types of the parts of a content that hold text: as such, and as what a tool gave back.
TEXTS = ("text", "output_text", "input_text")
RESULTS = ("tool_result", "function_call_output")


class IdOrPlace(NamedTuple):
    """A whole number that stands for a message: its id, or its place where no message of the conversation has an id."""

    number: int


class Said(NamedTuple):
    """What one message of a line says: text, the tools that it calls, and its pictures and files."""

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
    user: str | None = None  # who chats, when the log says it of each message
    preferred: bool = False  # the text that a vote was about: wins over later versions of the same message
    tool_calls: str | None = None  # as `Turns.tool_calls`
    attachments: tuple[str, ...] = ()  # as `Turns.attachments`
    tool_call_id: str | None = None  # these three as in `Turns`
    tool_name: str | None = None
    reasoning: str | None = None


@dataclass(slots=True)
class Conversation:
    """A tree of messages under one native id. What a message does not say itself, the conversation says."""

    native_id: str
    messages: list[Message]
    user: str | None = None
    topic: str = ""
    created_at: int | None = None
    order: list[str] | None = None  # the ids as the log lists them, where answers in several messages were joined
    joined: dict[str, str] = field(default_factory=dict)  # other pieces of an answer: the turn id of the answer
    tools: str | None = None  # as `Turns.tools`


@dataclass(slots=True)
class Act:
    """What somebody did about an answer. A turn is named by its id (text), or by its place in the log's list of messages (number)."""

    conversation: str
    kind: str
    turn: str | int | IdOrPlace | None = None
    value: float | None = None
    scale: tuple[float, float] | None = None  # the worst value and the best one
    label: str | None = None  # the value in words, where the log gave words
    better: str | int | IdOrPlace | None = None
    worse: str | int | IdOrPlace | None = None
    shown_first: str | int | IdOrPlace | None = None
    group: str | None = None
    text: str | None = None
    annotator: str | None = None
    annotator_kind: str = "person"
    created_at: int | None = None
    native_id: str | None = None
    seen_at: int | None = None  # when the record was last changed, where the act has no time of its own
    retracts: str | None = None  # takes back what was said before: "told" by the log, or "implied" by what is missing


@dataclass(slots=True)
class Loose:
    """One message that stands alone in its record; its conversation is found through its parents when all files are read."""

    message: Message
    tree: str | None  # the native id of the conversation, where the record knows it


@dataclass(slots=True)
class Facts:
    """All that a record says; `notes` tell of parts that were left out, as (reason, detail)."""

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
    raise Unreadable("bad_content", f"content is a {type(content).__name__}, expected text or a list of parts")


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
    """An id or name as text: whole numbers are allowed, also as floats; blank and other things are None."""
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
    """A label as readers compare it: without case, spaces, hyphens and underscores, and without the tones of hands."""
    return "".join(sign for sign in label.casefold() if sign not in " -_\t\ufe0f🏻🏼🏽🏾🏿")


def number_of(value: object) -> float | None:
    """A finite number, also when it came as text or a truth value; else None."""
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def place(index: int) -> str:
    """The turn id of a message that has none of its own: its place, zero-padded so that text sorts as numbers do."""
    return f"{index:04d}"


def chain(messages: Iterable[Said], model: str | None = None, start: int = 0, prefix: str = "") -> list[Message]:
    """A line of messages without ids of their own; it goes on after the first `start` messages of a trunk."""
    line: list[Message] = []
    parent = place(start - 1) if start else None
    for index, said in enumerate(messages, start):
        message = Message(prefix + place(index), parent, said.role, said.content, model if said.role == "assistant" else None)
        put_beside(message, said)
        line.append(message)
        parent = message.turn_id
    return line


def put_beside(message: Message, said: Said) -> None:
    """Give a message all that it holds besides role and text."""
    message.tool_calls, message.attachments = said.tool_calls, said.attachments
    message.tool_call_id, message.tool_name, message.reasoning = said.tool_call_id, said.tool_name, said.reasoning


def content_id(*lines: Iterable[Said], tools: str | None = None) -> str:
    """The id of a conversation whose log gives none: a hash of what its messages say, and of the tools that were offered."""
    said = (message for line in lines for message in (Said("", ""), *line))
    parts = [part for message in said for part in (message.role, message.content, *_beside(message))]
    return stable_id(*parts, *((tools,) if tools else ()))


def _beside(said: Said) -> tuple[str, ...]:
    """Calls and attachments, where there are any."""
    return (*((said.tool_calls,) if said.tool_calls else ()), *said.attachments)


def dictionary(value: object) -> dict[str, Any]:
    """The value when it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
