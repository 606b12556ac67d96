"""Claude.ai's data export: conversations with `chat_messages` of `sender`, `text` and `content` blocks.

The blocks are the message; older exports have `text` instead. Thinking is read as reasoning, tool results are left out, and so are the tool
calls of an answer with text. Newer exports name each message's parent, older ones list one branch. There are no votes.
"""

from __future__ import annotations

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT, USER
from tasks.ingest.formats.answers import join_pieces
from tasks.ingest.formats.message_parts import attachments_of, calls_of, own_parts, reasoning_of
from tasks.ingest.formats.parsed import Conversation, Message, ParsedRecord, dictionary, moment, name_of, role_of, text_of

ROOT = "00000000-0000-4000-8000-000000000000"


def recognise(record: dict[str, object]) -> bool:
    """True for a conversation of the export."""
    return "chat_messages" in record and "uuid" in record


def read(record: dict[str, object]) -> ParsedRecord:
    """One conversation."""
    name, listed = name_of(record["uuid"]), record["chat_messages"]
    if name is None:
        raise Unreadable(why.NO_ID, "expected uuid")
    natives = [native for native in listed if isinstance(native, dict)] if isinstance(listed, list) else []
    if not natives:
        raise Unreadable(why.NO_MESSAGES, "expected a list of chat_messages")
    messages, model = list[Message](), name_of(record.get("model"))
    for native in natives:
        messages.append(_message(native, messages[-1].turn_id if messages else None, model))
    owner = name_of(dictionary(record.get("account")).get("uuid"))
    return ParsedRecord([join_pieces(Conversation(name, messages, owner, created_at=moment(record.get("created_at"))))])


def _message(native: dict[str, object], before: str | None, model: str | None) -> Message:
    turn, role = name_of(native.get("uuid")), role_of(native.get("sender"))
    if turn is None:
        raise Unreadable(why.BAD_MESSAGE, "expected uuid in every message")
    parent = name_of(native["parent_message_uuid"]) if "parent_message_uuid" in native else before
    content = native.get("content")
    text = text_of(own_parts(content)) or text_of(native.get("text"))
    message = Message(turn, None if parent == ROOT else parent, role, text, model if role == ASSISTANT else None)
    message.created_at = moment(native.get("created_at"))
    message.tool_calls = None if text or role == USER else calls_of(native)
    message.reasoning = None if role == USER else reasoning_of(native)
    message.attachments = attachments_of(content, native.get("attachments"), native.get("files"))
    return message
