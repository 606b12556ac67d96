"""What every reader turns a native record into: conversations, messages and acts, still with the log's own ids.

A reader knows its format only. Ids, hashing of people, tables and origins are the business of `tasks.formats.columns`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tasks.core.ids import stable_id
from tasks.core.raw import Unreadable
from tasks.formats.roles import ROLES, role_of
from tasks.formats.times import moment

__all__ = [  # with what readers find here and other modules hold
    "ROLES", "Act", "Conversation", "Facts", "Loose", "Message", "chain", "content_id", "dictionary", "moment", "name_of", "number_of",
    "place", "role_of", "text_of", "word_of",
]  # fmt: skip


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


@dataclass(slots=True)
class Conversation:
    """A tree of messages under one native id. What a message does not say itself, the conversation says."""

    native_id: str
    messages: list[Message]
    user: str | None = None
    topic: str = ""
    created_at: int | None = None


@dataclass(slots=True)
class Act:
    """What somebody did about an answer. A turn is named by its id, or by its place in the conversation's list of messages."""

    conversation: str
    kind: str
    turn: str | int | None = None
    value: float | None = None
    scale: tuple[float, float] | None = None  # the worst value and the best one
    label: str | None = None  # the value in words, where the log gave words
    better: str | int | None = None
    worse: str | int | None = None
    shown_first: str | int | None = None
    group: str | None = None
    text: str | None = None
    annotator: str | None = None
    annotator_kind: str = "person"
    created_at: int | None = None
    native_id: str | None = None


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
    if isinstance(part, dict) and part.get("type", "text") in ("text", "output_text", "input_text"):
        text = part.get("text", part.get("content"))
        text = text.get("value") if isinstance(text, dict) else text
        return text if isinstance(text, str) else ""
    return ""


def name_of(value: object) -> str | None:
    """An id or name as text: numbers are allowed, blank and other things are None."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


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


def chain(messages: Iterable[tuple[str, str]], model: str | None = None, start: int = 0, prefix: str = "") -> list[Message]:
    """A line of messages without ids of their own, from (role, text) pairs; it goes on after the first `start` messages of a trunk."""
    line: list[Message] = []
    parent = place(start - 1) if start else None
    for index, (role, content) in enumerate(messages, start):
        line.append(Message(prefix + place(index), parent, role, content, model if role == "assistant" else None))
        parent = line[-1].turn_id
    return line


def content_id(*lines: Iterable[tuple[str, str]]) -> str:
    """The id of a conversation whose log gives none: a hash of roles and texts."""
    return stable_id(*(part for line in lines for pair in (("", ""), *line) for part in pair))


def dictionary(value: object) -> dict[str, Any]:
    """The value when it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
