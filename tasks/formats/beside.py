"""Preference sets that put the judgement beside a list of messages, as several trainers read them.

In: a record and its messages. Out: what it says of answers, or None: `chosen` and `rejected` (axolotl, LLaMA-Factory; also as whole
transcripts), `rejected_response` (ms-swift: the messages end with the better answer), `label` (TRL's KTO: whether the last answer is good).
"""

from __future__ import annotations

from typing import Any

from tasks.core.raw import Unreadable
from tasks.formats.answers import in_one_piece
from tasks.formats.facts import Act, Conversation, Facts, Said, chain, content_id, role_of, text_of
from tasks.formats.parts import attachments_of, called, reasoning_of, said_of, tools_of
from tasks.formats.two import Line, two_answers

KEYS = frozenset({"chosen", "rejected", "rejected_response"})  # a `label` may mean anything where it is not all that a record has besides


def judged(record: dict[str, Any], line: Line, native_id: str | None = None) -> Facts | None:
    """The preference beside the messages."""
    tools = tools_of(record)
    if record.get("chosen") is not None and record.get("rejected") is not None:
        chosen, rejected = (_side(record[key], line) for key in ("chosen", "rejected"))
        return two_answers(chosen, rejected, "a", (None, None), native_id, tools=tools)
    answered = bool(line) and line[-1].role == "assistant"
    if answered and record.get("rejected_response") is not None:
        return two_answers(line, _side(record["rejected_response"], line[:-1]), "a", (None, None), native_id, tools=tools)
    if answered and isinstance(label := record.get("label"), bool):
        name = native_id or content_id(line, tools=tools)
        act = Act(name, "thumb", len(line) - 1, 1.0 if label else -1.0, (-1.0, 1.0), str(label).lower())
        model = record.get("model")
        return Facts([in_one_piece(Conversation(name, chain(line, model if isinstance(model, str) else None), tools=tools))], [act])
    return None


def _side(value: object, prompt: Line) -> Line:
    """The transcript of one side: the prompt and its answer, or what is a transcript already."""
    messages = value if isinstance(value, list) else [value]
    said = [Said("assistant", message) if isinstance(message, str) else _said(message) for message in messages]
    if not said:
        raise Unreadable("empty_answer", "one side holds no message")
    return said if said[0].role != "assistant" else prompt + said


def _said(message: object) -> Said:
    if not isinstance(message, dict):
        raise Unreadable("bad_message", "expected a text or an object as chosen and rejected")
    return said_of(message) if "role" in message else from_value(message)


def from_value(turn: dict[str, Any]) -> Said:
    """A turn in ShareGPT's shape."""
    who, value = turn.get("from"), turn.get("value")
    said = called(who, value) or Said(role_of(who), text_of(value), attachments=attachments_of(value))
    return said._replace(reasoning=reasoning_of({**turn, "content": value})) if said.role == "assistant" and len(turn) > 2 else said
