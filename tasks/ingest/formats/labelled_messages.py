"""Preference sets with a judgement next to a list of messages, as several trainers read them.

In: a record and its messages. Out: the judgement on its answers, or None: `chosen` and `rejected` (axolotl, LLaMA-Factory; also as whole
transcripts), `rejected_response` (ms-swift: the messages end with the better answer), `label` (TRL's KTO: whether the last answer is good).
"""

from __future__ import annotations

from typing import Any

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary.kinds import CHOICE, THUMB
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT, TOOL, USER
from tasks.ingest.formats.answers import join_pieces
from tasks.ingest.formats.comparisons import Line, two_answers
from tasks.ingest.formats.message_parts import attachments_of, reasoning_of, tools_of, utterance_of, utterance_of_call
from tasks.ingest.formats.parsed import (
    Act,
    Conversation,
    Message,
    ParsedRecord,
    Utterance,
    chain,
    content_id,
    copy_details,
    place,
    role_of,
    text_of,
)

SEVERAL = ("responses", "candidates", "answers", "completions")
PLACES = ("chosen", "chosen_index", "preferred_index", "selected_index", "best_index", "preferred", "selected", "best", "choice")
# A `label` may mean anything where a record has other keys.
KEYS = frozenset({"chosen", "rejected", "rejected_response", *SEVERAL})


def read_judgement(record: dict[str, object], line: Line, native_id: str | None = None) -> ParsedRecord | None:
    """The preference next to the messages."""
    tools = tools_of(record)
    if all(
        key in record and dict.get(record, key) is not None for key in ("chosen", "rejected")
    ):  # otherwise the present key is reported as unread
        chosen, rejected = (_side(record[key], line) for key in ("chosen", "rejected"))
        return two_answers(chosen, rejected, "a", (None, None), native_id, tools=tools)
    if (parsed := _of_several(record, line, native_id, tools)) is not None:
        return parsed
    answered = bool(line) and line[-1].role == ASSISTANT
    if answered and record.get("rejected_response") is not None:
        return two_answers(line, _side(record["rejected_response"], line[:-1]), "a", (None, None), native_id, tools=tools)
    if answered and isinstance(label := record.get("label"), bool):
        name = native_id or content_id(line, tools=tools)
        act = Act(name, THUMB, len(line) - 1, 1.0 if label else -1.0, (-1.0, 1.0), str(label).lower())
        model = record.get("model")
        return ParsedRecord([join_pieces(Conversation(name, chain(line, model if isinstance(model, str) else None), tools=tools))], [act])
    return None


def _of_several(record: dict[str, Any], line: Line, native_id: str | None, tools: str | None) -> ParsedRecord | None:
    """A list of answers to messages that end with a question, and the index of the chosen one."""
    key = next((key for key in SEVERAL if isinstance(dict.get(record, key), list) and len(dict.get(record, key) or ()) > 1), None)
    at = next((name for name in PLACES if name in record and type(dict.get(record, name)) is int), None)
    if key is None or at is None or not line or line[-1].role not in (USER, TOOL):
        return None
    if not 0 <= dict.get(record, at, -1) < len(record[key]):
        return None
    answers = [_side(value, [])[-1] for value in record[key]]
    name, parent = native_id or content_id(line, answers, tools=tools), place(len(line) - 1)
    turns = [f"{place(len(line))}.{number}" for number in range(len(answers))]
    messages = chain(line)
    for turn, answer in zip(turns, answers, strict=True):
        messages.append(Message(turn, parent, ASSISTANT, answer.content))
        copy_details(messages[-1], answer)
    better = turns[record[at]]
    acts = [Act(name, CHOICE, value=1.0, better=better, worse=worse) for worse in turns if worse != better]
    return ParsedRecord([Conversation(name, messages, tools=tools)], acts)


def _side(value: object, prompt: Line) -> Line:
    """The transcript of one side: the prompt with its answer, or the value if it is a transcript already."""
    messages = value if isinstance(value, list) else [value]
    utterances = [Utterance(ASSISTANT, message) if isinstance(message, str) else _utterance(message) for message in messages]
    if not utterances:
        raise Unreadable(why.EMPTY_ANSWER, "one side holds no message")
    return utterances if utterances[0].role != ASSISTANT else prompt + utterances


def _utterance(message: object) -> Utterance:
    if not isinstance(message, dict):
        raise Unreadable(why.BAD_MESSAGE, "expected a text or an object as chosen and rejected")
    return utterance_of(message) if "role" in message else from_value(message)


def from_value(turn: dict[str, object]) -> Utterance:
    """A turn in ShareGPT's shape."""
    who, value = turn.get("from"), turn.get("value")
    utterance = utterance_of_call(who, value) or Utterance(role_of(who), text_of(value), attachments=attachments_of(value))
    return (
        utterance._replace(reasoning=reasoning_of({**turn, "content": value}))
        if utterance.role == ASSISTANT and len(turn) > 2
        else utterance
    )
