"""OpenAI's training lines: `{"messages": [...]}` without an id, and `{"input", "preferred_output", "non_preferred_output"}`.

A judgement may stand beside the messages (see `tasks.formats.beside`). The conversation's id is a hash of what it says, so the same
line in two files is one conversation.
"""

from __future__ import annotations

from typing import Any

from tasks.core.raw import Unreadable
from tasks.formats.answers import in_one_piece
from tasks.formats.beside import judged
from tasks.formats.facts import Conversation, Facts, chain, content_id, dictionary
from tasks.formats.feedback_lines import CONVERSATION, conversation_of
from tasks.formats.parts import said_of, tools_of
from tasks.formats.two import Line, two_answers

FOREIGN = ("id", "conversationId", "chat")  # a record with one of these is another format's


def recognise(record: dict[str, Any]) -> bool:
    """True for a line of messages without an id, and for a preference line."""
    if "preferred_output" in record and "non_preferred_output" in record:
        return isinstance(record.get("input"), dict)
    return isinstance(record.get("messages"), list) and record.keys().isdisjoint(FOREIGN) and conversation_of(record, CONVERSATION) is None


def read(record: dict[str, Any]) -> Facts:
    """One conversation; from a preference line with two answers and the choice between them."""
    if "preferred_output" in record and "non_preferred_output" in record:
        prompt = line_of(dictionary(record.get("input")).get("messages"))
        chosen, rejected = (line_of(record[key]) for key in ("preferred_output", "non_preferred_output"))
        return two_answers(prompt + chosen, prompt + rejected, "a", (None, None), tools=tools_of(record.get("input"), record))
    line = line_of(record.get("messages"))
    if (facts := judged(record, line)) is not None:
        return facts
    model, tools = record.get("model"), tools_of(record)
    messages = chain(line, model if isinstance(model, str) else None)
    return Facts([in_one_piece(Conversation(content_id(line, tools=tools), messages, tools=tools))])


def line_of(messages: object) -> Line:
    """What each message of a list in OpenAI's shape says."""
    if not isinstance(messages, list) or not messages:
        raise Unreadable("no_messages", "expected a list of messages")
    if not all(isinstance(message, dict) for message in messages):
        raise Unreadable("bad_message", "expected every message to be an object")
    return [said_of(message) for message in messages]
