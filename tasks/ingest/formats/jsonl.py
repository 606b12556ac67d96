"""Pairwright's own JSONL: conversations and feedback, one object per line, in one file or several.

Conversation: `id`, `messages` of `role`, `content` and perhaps `id`, `parent_id`, `model`, `created_at`, `status`; perhaps
`user_id`, `topic`, `model`, `created_at`. A message without `parent_id` follows the one before it; regenerated
answers name the same parent. `content` is a text or a list of parts (texts, pictures, files, calls of tools); a message may also have
`tool_calls` as in OpenAI's chat format, then it needs no text, and `files`; one of a tool `tool_call_id` and `name`; an answer
`reasoning_content`. `tools` next to the messages are the tools that were offered, in OpenAI's format.

The conversation's id may also stand under `conversation_id`, `chat_id`, `thread_id` or `session_id`. Messages of an assistant that
follow each other are one answer.

A preference may be next to messages without ids: `chosen` and `rejected`, or `rejected_response` (see
`tasks.ingest.formats.labelled_messages`).

Feedback: `conversation_id`, `kind`, and by kind `message_id` or `message_index` (from 0), `better`, `worse`, `value`, `scale`,
`group`, `text`; perhaps `id`, `user_id`, `annotator_kind` ("person" or "model"), `created_at`. `message_id`, `better`, `worse` and
`shown_first` are ids, also where they are numbers; places in the list (from 0) have the keys `message_index`, `better_index`,
`worse_index` and `shown_first_index`. Only where no message of a conversation has an id may a number in `better` or `worse` be a place.
By kind:

    thumb        `value`: 1 or -1, true or false, "up" or "down"; or one of the two ends of a `scale`
    rating       `value` on `scale`: [worst, best] (so [5, 1] where 1 is best; 1 to 5 without one), or a word of a list of words,
                 worst first: "value": "Good", "scale": ["Poor", "Good", "Excellent"]
    choice       `better` and `worse`; `value`: 1 or "better" (also when there is none), 0 or "tie", -1 or "both bad";
                 perhaps `shown_first`: the one of the two that stood left, or above
    ranking      `value`: the rank, 0 is best; acts of one ranking share a `group`
    edit, correction   `text`: the answer as its user rewrote it; as an annotator corrected it
    regenerate   `better`: the answer that was kept; `worse`: the one that was discarded
    report, copy, share, comment   kept, but no votes

A thumb or rating that is null, "none", or a thumb of 0, retracts the same person's earlier vote on the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.common.raw_files.files import Record, Unreadable
from tasks.common.vocabulary import states
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT, ROLES
from tasks.ingest.formats.answers import join_pieces
from tasks.ingest.formats.feedback_lines import CONVERSATION, act_of, conversation_of
from tasks.ingest.formats.inline_votes import votes_on
from tasks.ingest.formats.labelled_messages import KEYS, read_judgement
from tasks.ingest.formats.librechat import is_librechat
from tasks.ingest.formats.message_parts import OFFERED, tools_of, utterance_of
from tasks.ingest.formats.parsed import Conversation, Message, ParsedRecord, copy_details, moment, name_of, place
from tasks.ingest.formats.replies import REPLIES, append_answers, replies

# Keys of a conversation's id, most reliable first: an `id` may be the record's; a session may hold several conversations.
IDS = ("conversation_id", "id", *CONVERSATION[1:])
SPECIAL = KEYS | {*OFFERED, *REPLIES}  # keys of records that are more than their messages
KNOWN = frozenset(ROLES)


def recognise(record: dict[str, object]) -> bool:
    """True for a conversation with an id, and for feedback that names a conversation and a kind."""
    if "messages" in record:
        if "conversationId" in record and is_librechat(record):
            return False
        return "id" in record or conversation_of(record, IDS) is not None
    return "kind" in record and not record.keys().isdisjoint(CONVERSATION)


def read(record: dict[str, object]) -> ParsedRecord:
    """One conversation or one act."""
    if "messages" in record:
        return _with_judgement(record) or _with_votes(record)
    return ParsedRecord(acts=[act_of(record)])


def _with_votes(record: dict[str, Any]) -> ParsedRecord:
    """One conversation, and the votes on its messages."""
    conversation, natives = _conversation(record), record["messages"]
    names = [name_of(native.get("id")) or place(index) for index, native in enumerate(natives)]
    return ParsedRecord([conversation], list(votes_on(natives, names, conversation.native_id, conversation.user)))


def _with_judgement(record: dict[str, object]) -> ParsedRecord | None:
    """A preference next to messages without ids; None where there is none."""
    name, natives = conversation_of(record, IDS), record["messages"]
    if KEYS.isdisjoint(record) or "label" in record or name is None or not isinstance(natives, list):
        return None
    if not all(isinstance(native, dict) and native.keys().isdisjoint(("id", "parent_id")) for native in natives):
        return None
    parsed = read_judgement(record, [utterance_of(native) for native in natives], name)
    for conversation in parsed.conversations if parsed else ():
        conversation.user, conversation.topic = name_of(record.get("user_id")), topic_of(record)
        conversation.created_at = moment(record.get("created_at"))
    return parsed


@dataclass
class Plain:
    """Plain conversations: records and ids, number of messages, and the roles and texts of all messages in one list."""

    records: list[Record] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    whole: dict[int, Conversation] = field(default_factory=dict)  # by number of the record, where answers in several messages were joined


def plain(records: Sequence[Record]) -> tuple[Plain, list[Record]]:
    """Records that are conversations of plain `role` and `content` messages in known roles, and all others.

    Plain ones, which are most of a large log, need no object per message: their columns are built from the lists directly.
    """
    straight, other = Plain(), list[Record]()
    for record in records:
        lists = _bare(record.value)
        if lists is None:
            other.append(record)
            continue
        name, roles, contents = lists
        if "assistant assistant" in " ".join(roles):
            whole = straight.whole[len(straight.records)] = _conversation(record.value)
            roles, contents = [message.role for message in whole.messages], [message.content for message in whole.messages]
        straight.records.append(record)
        straight.names.append(name)
        straight.counts.append(len(roles))
        straight.roles += roles
        straight.contents += contents
    return straight, other


def _bare(value: dict[str, Any]) -> tuple[str, list[str], list[str]] | None:
    """Id, roles and texts; None for a conversation that is not plain."""
    try:
        messages, name = value["messages"], value["conversation_id" if "conversation_id" in value else "id"]
        if not messages or type(name) is not str or not name or not SPECIAL.isdisjoint(value):
            return None
        roles, contents = [message["role"] for message in messages], [message["content"] for message in messages]
        # Two keys each, and both lookups succeeded: no message has any other key.
        bare = sum(map(len, messages)) == 2 * len(messages) and KNOWN.issuperset(roles) and set(map(type, contents)) == {str}
    except (KeyError, TypeError, IndexError):
        return None
    return (name, roles, contents) if bare else None


def _conversation(record: dict[str, object]) -> Conversation:
    name = conversation_of(record, IDS)
    if name is None:
        raise Unreadable(why.NO_ID, "expected a text or a number as id")
    natives = record["messages"]
    if not isinstance(natives, list) or not natives or not all(isinstance(native, dict) for native in natives):
        raise Unreadable(why.NO_MESSAGES, "expected a list of objects in messages")
    model, messages = name_of(record.get("model")), list[Message]()
    for index, native in enumerate(natives):
        messages.append(_message(native, index, messages[-1].turn_id if messages else None, model))
    whole = Conversation(name, messages, name_of(record.get("user_id")), topic_of(record), moment(record.get("created_at")))
    whole.tools = tools_of(record)
    append_answers(whole, replies(record, natives), model)
    return join_pieces(whole)


def topic_of(record: dict[str, object]) -> str:
    """The log's topic of a conversation, or ""."""
    return name_of(record.get("topic")) or ""


def _message(native: dict[str, object], index: int, before: str | None, model: str | None) -> Message:
    utterance = utterance_of(native)
    if "content" not in native and not (utterance.content or utterance.tool_calls or utterance.attachments or utterance.reasoning):
        raise Unreadable(why.NO_CONTENT, f"message {index} has no content")
    status = name_of(native.get("status")) or ""
    if status not in states.STATES:
        status = states.UNFINISHED
    message = Message(
        turn_id=name_of(native.get("id")) or place(index),
        parent_id=name_of(native["parent_id"]) if "parent_id" in native else before,
        role=utterance.role,
        content=utterance.content,
        model=(name_of(native.get("model")) or model) if utterance.role == ASSISTANT else None,
        created_at=moment(native.get("created_at")),
        status=status,
    )
    copy_details(message, utterance)
    return message
