"""Preference sets that put the judgement beside a list of messages, as several trainers read them.

In: a record and its messages. Out: what it says of answers, or None: `chosen` and `rejected` (axolotl, LLaMA-Factory; also as whole
transcripts), `rejected_response` (ms-swift: the messages end with the better answer), `label` (TRL's KTO: whether the last answer is good).
"""

from __future__ import annotations

from typing import Any

from tasks.common.raw_files.files import Unreadable
from tasks.ingest.formats.answers import in_one_piece
from tasks.ingest.formats.comparisons import Line, two_answers
from tasks.ingest.formats.message_parts import attachments_of, called, reasoning_of, said_of, tools_of
from tasks.ingest.formats.parsed import Act, Conversation, Facts, Message, Said, chain, content_id, place, put_beside, role_of, text_of

SEVERAL = ("responses", "candidates", "answers", "completions")
PLACES = ("chosen", "chosen_index", "preferred_index", "selected_index", "best_index", "preferred", "selected", "best", "choice")
# A `label` may mean anything where it is not all that a record has besides.
KEYS = frozenset({"chosen", "rejected", "rejected_response", *SEVERAL})


def judged(record: dict[str, Any], line: Line, native_id: str | None = None) -> Facts | None:
    """The preference beside the messages."""
    tools = tools_of(record)
    if all(key in record and dict.get(record, key) is not None for key in ("chosen", "rejected")):  # else what is there is told as unread
        chosen, rejected = (_side(record[key], line) for key in ("chosen", "rejected"))
        return two_answers(chosen, rejected, "a", (None, None), native_id, tools=tools)
    if (facts := _of_several(record, line, native_id, tools)) is not None:
        return facts
    answered = bool(line) and line[-1].role == "assistant"
    if answered and record.get("rejected_response") is not None:
        return two_answers(line, _side(record["rejected_response"], line[:-1]), "a", (None, None), native_id, tools=tools)
    if answered and isinstance(label := record.get("label"), bool):
        name = native_id or content_id(line, tools=tools)
        act = Act(name, "thumb", len(line) - 1, 1.0 if label else -1.0, (-1.0, 1.0), str(label).lower())
        model = record.get("model")
        return Facts([in_one_piece(Conversation(name, chain(line, model if isinstance(model, str) else None), tools=tools))], [act])
    return None


def _of_several(record: dict[str, Any], line: Line, native_id: str | None, tools: str | None) -> Facts | None:
    """A list of answers beside messages that end with a question, and the place of the one that was chosen."""
    key = next((key for key in SEVERAL if isinstance(dict.get(record, key), list) and len(dict.get(record, key) or ()) > 1), None)
    at = next((name for name in PLACES if name in record and type(dict.get(record, name)) is int), None)
    if key is None or at is None or not line or line[-1].role not in ("user", "tool"):
        return None
    if not 0 <= dict.get(record, at, -1) < len(record[key]):
        return None
    answers = [_side(value, [])[-1] for value in record[key]]
    name, parent = native_id or content_id(line, answers, tools=tools), place(len(line) - 1)
    turns = [f"{place(len(line))}.{number}" for number in range(len(answers))]
    messages = chain(line)
    for turn, said in zip(turns, answers, strict=True):
        messages.append(Message(turn, parent, "assistant", said.content))
        put_beside(messages[-1], said)
    better = turns[record[at]]
    acts = [Act(name, "choice", value=1.0, better=better, worse=worse) for worse in turns if worse != better]
    return Facts([Conversation(name, messages, tools=tools)], acts)


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
