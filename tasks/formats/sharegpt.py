"""ShareGPT: `{"id", "conversations": [{"from": "human" | "gpt" | "system" | ..., "value"}]}`, also with `items`."""

from __future__ import annotations

from typing import Any

from tasks.core.raw import Unreadable
from tasks.formats.answers import in_one_piece
from tasks.formats.facts import Conversation, Facts, Said, chain, content_id, name_of, role_of, text_of
from tasks.formats.parts import attachments_of, called


def recognise(record: dict[str, Any]) -> bool:
    """True for a list of `from` and `value`."""
    turns = _turns(record)
    return bool(turns) and isinstance(turns[0], dict) and "from" in turns[0] and "value" in turns[0]


def read(record: dict[str, Any]) -> Facts:
    """One conversation, a line of messages."""
    turns = _turns(record)
    if not turns or not all(isinstance(turn, dict) for turn in turns):
        raise Unreadable("no_messages", "expected a list of objects with `from` and `value`")
    line = [_said(turn) for turn in turns]
    model = record.get("model")
    messages = chain(line, model if isinstance(model, str) else None)
    return Facts([in_one_piece(Conversation(name_of(record.get("id")) or content_id(line), messages))])


def _turns(record: dict[str, Any]) -> list[Any]:
    turns = record.get("conversations", record.get("items"))
    return turns if isinstance(turns, list) else []


def _said(turn: dict[str, Any]) -> Said:
    who, value = turn.get("from"), turn.get("value")
    return called(who, value) or Said(role_of(who), text_of(value), attachments=attachments_of(value))
