"""Answers that came in several messages: text, tool call, tool result, more text.

In: a conversation as the log has it. Out: the same, with consecutive texts of an answer in one message, and `joined`, which maps every
other piece of an answer to that message. A vote on any piece is a vote on the answer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tasks.common.vocabulary.roles import ASSISTANT, TOOL
from tasks.ingest.formats.parsed import Conversation, Message

Tree = dict[str, Message]


def join_pieces(conversation: Conversation, ended: Collection[str] = ()) -> Conversation:
    """The conversation with every answer in one message; `ended` are messages that the log marks as the last of an answer."""
    by_id = {message.turn_id: message for message in conversation.messages}
    above = {turn: _previous_piece(message, by_id, ended) for turn, message in by_id.items() if message.role == ASSISTANT}
    if len(by_id) != len(conversation.messages) or not any(above.values()):
        return _with_calls(conversation, conversation.messages)
    children: dict[str | None, list[str]] = {}
    for message in conversation.messages:
        children.setdefault(message.parent_id, []).append(message.turn_id)
    pieces = {turn for turn in filter(None, above.values()) if all(above.get(child) == turn for child in children[turn])}
    lines = {turn: line for turn in by_id if turn not in pieces and (line := _line(turn, above))}
    pieces &= {turn for line in lines.values() for turn in line}  # pieces in a cycle are kept
    ends: dict[str, list[str]] = {}
    before = {turn: replace(by_id[turn]) for line in lines.values() for turn in line}
    for end, line in lines.items():
        for turn in line:
            _prepend(by_id[end], before[turn])
            ends.setdefault(turn, []).append(end)
    whole = [message for message in conversation.messages if message.turn_id not in pieces]
    conversation.order = [message.turn_id for message in conversation.messages]
    conversation.joined = {turn: names[0] for turn, names in ends.items() if turn in pieces and len(names) == 1}
    conversation.messages = whole
    return _with_calls(conversation, whole)


def _previous_piece(message: Message, by_id: Tree, ended: Collection[str]) -> str | None:
    """The piece that an answer's message continues; None where it is the first of its answer."""
    before = by_id.get(message.parent_id or "")
    if before is None or before.role != ASSISTANT or before.tool_calls or before.status or before.turn_id in ended:
        return None
    if message.model and before.model and message.model != before.model:
        return None  # by another model
    return before.turn_id


def _line(turn: str, above: dict[str, str | None]) -> list[str]:
    """The pieces before a message, nearest first."""
    line: list[str] = []
    at = above.get(turn)
    while at is not None and at not in line and at != turn:
        line.append(at)
        at = above.get(at)
    return line


def _prepend(message: Message, piece: Message) -> None:
    if piece.content not in ("", message.content):
        message.content = f"{piece.content}\n\n{message.content}" if message.content else piece.content
    if piece.reasoning not in (None, message.reasoning):
        message.reasoning = f"{piece.reasoning}\n\n{message.reasoning}" if message.reasoning else piece.reasoning
    message.attachments = tuple(dict.fromkeys((*piece.attachments, *message.attachments)))
    message.model = message.model or piece.model
    message.parent_id = piece.parent_id


def _with_calls(conversation: Conversation, messages: list[Message]) -> Conversation:
    """`joined` also maps tool calls and their results to the answer they led to, where there is only one."""
    if not any(message.tool_calls or message.role == TOOL for message in messages):
        return conversation
    by_id = {message.turn_id: message for message in messages}
    ends: dict[str, list[str]] = {}
    for message in messages:
        if message.role == ASSISTANT and not message.tool_calls:
            for turn in _calls_before(message, by_id):
                ends.setdefault(turn, []).append(message.turn_id)
    last_pieces = {turn: names[0] for turn, names in ends.items() if len(names) == 1}
    conversation.joined = {turn: last_pieces.get(end, end) for turn, end in conversation.joined.items()} | last_pieces
    return conversation


def _calls_before(message: Message, by_id: Tree) -> list[str]:
    """Tool calls and results between a question and an answer."""
    line: list[str] = []
    below, at = message, by_id.get(message.parent_id or "")
    # The message before a tool's result called the tool, whether or not the log has the call.
    while at is not None and at.turn_id not in line and (at.role == TOOL or at.tool_calls or _called(at, below)):
        line.append(at.turn_id)
        below, at = at, by_id.get(at.parent_id or "")
    return line


def _called(message: Message, below: Message) -> bool:
    return message.role == ASSISTANT and below.role == TOOL
