"""Answers that came in several messages: text, call of a tool, its result, more text.

In: a conversation as a log tells it. Out: the same, with an answer's texts that follow each other in one message, and `joined`: the message
that a vote on another piece of the same answer is about. A vote on any piece is a vote on the answer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tasks.ingest.formats.parsed import Conversation, Message

Tree = dict[str, Message]


def in_one_piece(conversation: Conversation, ended: Collection[str] = ()) -> Conversation:
    """The conversation with every answer in one message; `ended` are messages that the log marks as an answer's last."""
    told = {message.turn_id: message for message in conversation.messages}
    above = {turn: _before(message, told, ended) for turn, message in told.items() if message.role == "assistant"}
    if len(told) != len(conversation.messages) or not any(above.values()):
        return _with_calls(conversation, conversation.messages)
    children: dict[str | None, list[str]] = {}
    for message in conversation.messages:
        children.setdefault(message.parent_id, []).append(message.turn_id)
    pieces = {turn for turn in filter(None, above.values()) if all(above.get(child) == turn for child in children[turn])}
    lines = {turn: line for turn in told if turn not in pieces and (line := _line(turn, above))}
    pieces &= {turn for line in lines.values() for turn in line}  # those in a circle stay
    ends: dict[str, list[str]] = {}
    before = {turn: replace(told[turn]) for line in lines.values() for turn in line}
    for end, line in lines.items():
        for turn in line:
            _put_before(told[end], before[turn])
            ends.setdefault(turn, []).append(end)
    whole = [message for message in conversation.messages if message.turn_id not in pieces]
    conversation.order = [message.turn_id for message in conversation.messages]
    conversation.joined = {turn: names[0] for turn, names in ends.items() if turn in pieces and len(names) == 1}
    conversation.messages = whole
    return _with_calls(conversation, whole)


def _before(message: Message, told: Tree, ended: Collection[str]) -> str | None:
    """The message that an answer's message goes on from; None where it is the first of its answer."""
    before = told.get(message.parent_id or "")
    if before is None or before.role != "assistant" or before.tool_calls or before.status or before.turn_id in ended:
        return None
    if message.model and before.model and message.model != before.model:
        return None  # another model's
    return before.turn_id


def _line(turn: str, above: dict[str, str | None]) -> list[str]:
    """The pieces before a message, the nearest first."""
    line: list[str] = []
    at = above.get(turn)
    while at is not None and at not in line and at != turn:
        line.append(at)
        at = above.get(at)
    return line


def _put_before(message: Message, piece: Message) -> None:
    if piece.content not in ("", message.content):
        message.content = f"{piece.content}\n\n{message.content}" if message.content else piece.content
    if piece.reasoning not in (None, message.reasoning):
        message.reasoning = f"{piece.reasoning}\n\n{message.reasoning}" if message.reasoning else piece.reasoning
    message.attachments = tuple(dict.fromkeys((*piece.attachments, *message.attachments)))
    message.model = message.model or piece.model
    message.parent_id = piece.parent_id


def _with_calls(conversation: Conversation, messages: list[Message]) -> Conversation:
    """`joined` also tells the answer that calls of tools and their results led to, where they led to one."""
    if not any(message.tool_calls or message.role == "tool" for message in messages):
        return conversation
    told = {message.turn_id: message for message in messages}
    ends: dict[str, list[str]] = {}
    for message in messages:
        if message.role == "assistant" and not message.tool_calls:
            for turn in _calls_before(message, told):
                ends.setdefault(turn, []).append(message.turn_id)
    found = {turn: names[0] for turn, names in ends.items() if len(names) == 1}
    conversation.joined = {turn: found.get(end, end) for turn, end in conversation.joined.items()} | found
    return conversation


def _calls_before(message: Message, told: Tree) -> list[str]:
    """Calls and results between a question and an answer."""
    line: list[str] = []
    below, at = message, told.get(message.parent_id or "")
    # What stands before a tool's result called the tool, whether or not the log has the call.
    while at is not None and at.turn_id not in line and (at.role == "tool" or at.tool_calls or _called(at, below)):
        line.append(at.turn_id)
        below, at = at, told.get(at.parent_id or "")
    return line


def _called(message: Message, below: Message) -> bool:
    return message.role == "assistant" and below.role == "tool"
