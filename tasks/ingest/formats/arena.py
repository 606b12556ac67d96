"""Chatbot Arena: lines of the server's log (battles and single votes) and the released sets (`conversation_a`, `conversation_b`, `winner`).

A battle is a tree with two branches and a choice; where the two histories differ before the last answer, the vote
does not compare answers to one prompt, and only the turns are kept (note `histories_differ`). The voter's IP address is hashed.
The answer of `model_a`, or of the first state, was shown on the left.
"""

from __future__ import annotations

import orjson

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary.kinds import REPORT, THUMB
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT, SYSTEM, USER
from tasks.ingest.formats.comparisons import Line, two_answers
from tasks.ingest.formats.message_parts import utterance_of
from tasks.ingest.formats.parsed import (
    Act,
    Conversation,
    ParsedRecord,
    Utterance,
    chain,
    content_id,
    dictionary,
    moment,
    name_of,
    role_of,
    text_of,
)

BATTLES = {"leftvote": "a", "rightvote": "b", "tievote": "tie", "bothbad_vote": "bothbad"}
SINGLES = {"upvote": (THUMB, 1.0), "downvote": (THUMB, -1.0), "flag": (REPORT, None), "chat": (None, None)}
WINNERS = {"model_a": "a", "model_b": "b", "tie": "tie", "tie (bothbad)": "bothbad", "both_bad": "bothbad", "bothbad": "bothbad"}
CURSOR = "▌"  # ends an answer that was still being written


def recognise(record: dict[str, object]) -> bool:
    """True for a line of the server's log and for a row of a released set."""
    if "winner" in record and "conversation_a" in record and "conversation_b" in record:
        return True
    return "tstamp" in record and "type" in record and bool(record.keys() & {"state", "states"})


def read(record: dict[str, object]) -> ParsedRecord:
    """One conversation and at most one act."""
    if "winner" in record:
        return _released(record)
    kind = name_of(record.get("type"))
    if kind in BATTLES:
        return _battle(record, BATTLES[kind])
    if kind in SINGLES:
        return _single(record, *SINGLES[kind])
    raise Unreadable(why.NOT_A_VOTE, "expected one of " + ", ".join((*BATTLES, *SINGLES)))


def _battle(record: dict[str, object], winner: str) -> ParsedRecord:
    states = record.get("states")
    if not isinstance(states, list) or len(states) != 2:
        raise Unreadable(why.NO_STATES, "expected two states")
    left, right = (_line(state) for state in states)
    ids = [name_of(dictionary(state).get("conv_id")) for state in states]
    name = f"{ids[0]}+{ids[1]}" if all(ids) else None
    models = (_model(record, 0, states[0]), _model(record, 1, states[1]))
    parsed = _with_first_shown(two_answers(left, right, winner, models, name, name_of(record.get("type"))))
    return _with_voter(parsed, name_of(record.get("ip")), moment(record.get("tstamp")))


def _with_first_shown(parsed: ParsedRecord) -> ParsedRecord:
    """The same record, with the first branch marked as shown first."""
    for act in parsed.acts:
        act.shown_first = min(str(act.better), str(act.worse))  # the branches' turns begin with their side, a or b
    return parsed


def _single(record: dict[str, object], kind: str | None, value: float | None) -> ParsedRecord:
    state = dictionary(record.get("state"))
    line = _line(state)
    name = name_of(state.get("conv_id")) or content_id(line)
    model = name_of(record.get("model")) or name_of(state.get("model_name"))
    parsed = ParsedRecord([Conversation(name, chain(line, model))])
    if kind and line[-1].role == ASSISTANT:
        scale = (-1.0, 1.0) if kind == THUMB else None
        parsed.acts.append(Act(name, kind, turn=len(line) - 1, value=value, scale=scale, label=name_of(record.get("type"))))
    return _with_voter(parsed, name_of(record.get("ip")), moment(record.get("tstamp")))


def _line(state: object) -> Line:
    """The messages of a state: after the template's examples, up to the first empty one."""
    state = dictionary(state)
    messages, names, offset = state.get("messages"), state.get("roles"), state.get("offset") or 0
    if not isinstance(messages, list) or not isinstance(names, list | tuple) or len(names) != 2 or not isinstance(offset, int):
        raise Unreadable(why.NO_MESSAGES, "expected roles and messages in the state")
    roles = dict(zip(map(name_of, names), (USER, ASSISTANT), strict=True))
    line: Line = []
    if isinstance(system := state.get("system_message"), str) and system.strip():
        line.append(Utterance(SYSTEM, system))
    for message in messages[max(offset, 0) :]:
        if not isinstance(message, list) or len(message) < 2 or message[1] is None:
            break
        text = text_of(message[1])
        if text.endswith(CURSOR):
            raise Unreadable(why.UNFINISHED, "an answer was still being written")
        line.append(Utterance(roles.get(name_of(message[0])) or role_of(message[0]), text))
    if all(message.role == SYSTEM for message in line):
        raise Unreadable(why.NO_MESSAGES, "the state holds no finished message")
    return line


def _model(record: dict[str, object], side: int, state: object) -> str | None:
    """The model's name; `models` holds what the user saw, which is blank in an anonymous battle."""
    models = record.get("models")
    seen = models[side] if isinstance(models, list) and len(models) == 2 else None
    return name_of(dictionary(state).get("model_name")) or name_of(seen)


def _released(record: dict[str, object]) -> ParsedRecord:
    winner = record.get("winner")
    left, right = (_messages(record.get(side)) for side in ("conversation_a", "conversation_b"))
    models = (name_of(record.get("model_a")), name_of(record.get("model_b")))
    native_id, label = name_of(record.get("question_id", record.get("id"))), name_of(winner)
    parsed = _with_first_shown(two_answers(left, right, WINNERS.get(label or ""), models, native_id, label))
    judge = record.get("judge", record.get("evaluation_session_id"))
    kind = "model" if isinstance(judge, list) or str(judge).lower().startswith(("gpt", "claude")) else "person"
    who = name_of(judge[0]) if isinstance(judge, list) and judge else name_of(judge)
    return _with_voter(parsed, who, moment(record.get("tstamp", record.get("timestamp"))), kind)


def _messages(conversation: object) -> Line:
    if isinstance(conversation, str):  # some releases store the list as JSON text
        try:
            conversation = orjson.loads(conversation)
        except orjson.JSONDecodeError:
            raise Unreadable(why.NOT_JSON, "the text inside conversation_a or conversation_b") from None
    if not isinstance(conversation, list) or not conversation or not all(isinstance(message, dict) for message in conversation):
        raise Unreadable(why.NO_MESSAGES, "expected a list of messages")
    return [utterance_of(message) for message in conversation]


def _with_voter(parsed: ParsedRecord, who: str | None, when: int | None, annotator_kind: str = "person") -> ParsedRecord:
    """The same record with user and time: in an arena, the voter is the user."""
    for conversation in parsed.conversations:
        conversation.user = who if annotator_kind == "person" else None
        conversation.created_at = when
    for act in parsed.acts:
        act.annotator, act.annotator_kind, act.created_at = who, annotator_kind, when
    return parsed
