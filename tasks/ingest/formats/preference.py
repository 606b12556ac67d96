"""Existing preference sets: a prompt with `chosen` and `rejected`, as TRL, UltraFeedback, Orca and Alpaca write them.

The prompt is text or a list of messages under `prompt`, `question`, `instruction` (with `input`) or `query`, with `system` before it; or
both sides are whole conversations. Equal scores (`score_chosen`, `score_rejected`) are a tie; scores that say the opposite, no preference.
The sides may have other names, or be two answers with a verdict (see `tasks.ingest.formats.preference_spellings`); a prompt that is a
transcript of `Human:` and `Assistant:` is split into messages. TRL's records for KTO are also read:
`prompt`, `completion`, and `label`, true or false, which is a thumb.
"""

from __future__ import annotations

from typing import Any

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary.kinds import THUMB
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT, SYSTEM, USER
from tasks.ingest.formats import hh
from tasks.ingest.formats.comparisons import Line, two_answers
from tasks.ingest.formats.message_parts import tools_of, utterance_of
from tasks.ingest.formats.parsed import Act, Conversation, ParsedRecord, Utterance, chain, content_id, name_of, number_of
from tasks.ingest.formats.preference_spellings import judged

PROMPTS = ("prompt", "question", "instruction", "query", "context", "history")
SIDES = ("chosen", "rejected")
OTHERS = frozenset({"messages", "conversations", "items"})  # keys of formats that have a conversation next to the sides


def recognise(record: dict[str, object]) -> bool:
    """True for two sides with a prompt or as whole conversations, and for a completion with a label."""
    if record.keys() & OTHERS:
        return False
    if "completion" in record and "prompt" in record and _label(record.get("label")) is not None:
        return True
    if record.keys() & {*PROMPTS} and judged(record) is not None:
        return True
    if not all(isinstance(record.get(side), str | list | dict) for side in SIDES) or hh.recognise(record):
        return False
    return bool(record.keys() & {*PROMPTS}) or all(isinstance(record[side], list) for side in SIDES)


def read(record: dict[str, object]) -> ParsedRecord:
    """One conversation with two last answers and the choice between them; or with one and a thumb."""
    prompt = prompt_of(record)
    if "completion" in record:
        return _labelled(prompt, record)
    judgement = None if all(side in record for side in SIDES) else judged(record)
    sides = judgement.sides if judgement else (record.get(side) for side in SIDES)
    chosen, rejected = (line_of(prompt, side) for side in sides)
    if chosen == rejected:
        raise Unreadable(why.IDENTICAL_PAIR, "chosen and rejected are the same")
    if not chosen[-1][1].strip() or not rejected[-1][1].strip():
        raise Unreadable(why.EMPTY_ANSWER, "the last answer of one side is empty")
    models = (name_of(record.get("chosen_model")), name_of(record.get("rejected_model")))
    if judgement is not None:
        return two_answers(chosen, rejected, judgement.winner, models, label=judgement.label, tools=tools_of(record))
    return two_answers(chosen, rejected, _winner(record), models, tools=tools_of(record))


def _label(value: object) -> bool | None:
    """A boolean, also written as 1 and 0 or as a word."""
    words = {"true": True, "false": False, "1": True, "0": False}
    return value if isinstance(value, bool) else words.get(str(value).strip().lower().removesuffix(".0"))


def _winner(record: dict[str, object]) -> str:
    better, worse = (number_of(record.get(f"score_{side}", record.get(f"{side}_score"))) for side in SIDES)
    if better is None or worse is None or better > worse:
        return "a"
    if better < worse:
        raise Unreadable(why.SCORES_CONTRADICT, "the rejected side has the higher score")
    return "tie"


def _labelled(prompt: Line, record: dict[str, object]) -> ParsedRecord:
    line = line_of(prompt, record["completion"])
    tools, label = tools_of(record), bool(_label(record.get("label")))
    name = content_id(line, tools=tools)
    act = Act(name, THUMB, len(line) - 1, 1.0 if label else -1.0, (-1.0, 1.0), str(label).lower())
    return ParsedRecord([Conversation(name, chain(line, name_of(record.get("model"))), tools=tools)], [act])


def prompt_of(record: dict[str, object]) -> Line:
    """The messages before the answers; empty where the sides include them."""
    system = record.get("system")
    before: Line = [Utterance(SYSTEM, system)] if isinstance(system, str) and system.strip() else []
    value = next((record[key] for key in PROMPTS if record.get(key)), None)
    if not isinstance(value, str):
        return before + (_messages(value) if value else [])
    if hh.begins(value):
        return before + hh.line_of(value, open_end=True)
    context = record.get("input")
    return [*before, Utterance(USER, f"{value}\n\n{context}" if isinstance(context, str) and context.strip() else value)]


def line_of(prompt: Line, side: object) -> Line:
    """The prompt with the answer; a side that begins with a question is a whole conversation."""
    answer = [Utterance(ASSISTANT, side)] if isinstance(side, str) else _messages(side)
    if answer[-1][0] != ASSISTANT:
        raise Unreadable(why.NO_ANSWER, "a side does not end with an answer")
    if answer[0][0] != ASSISTANT:
        return [*(message for message in prompt[:1] if message[0] == SYSTEM and answer[0][0] != SYSTEM), *answer]
    if not prompt:
        raise Unreadable(why.NO_PROMPT, "two answers without a prompt")
    return prompt + answer


def _messages(value: object) -> Line:
    """The utterances of one message or a list of messages, with `role` and `content` or `from` and `value`."""
    messages: list[Any] = value if isinstance(value, list) else [value]
    if not messages or not all(isinstance(message, dict) for message in messages):
        raise Unreadable(why.NO_MESSAGES, "expected text, a message or a list of messages")
    return [utterance_of({"role": message.get("from"), "content": message.get("value"), **message}) for message in messages]
