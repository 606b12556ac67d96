"""LibreChat: the export of one conversation (`messages` or `messagesTree`, flat or nested) and dumps of its message collection.

There is no role field, but `isCreatedByUser`. A thumb is part of the message (`feedback`) and has no time of its own. Failed, unfinished or
temporary messages keep their place with a status, so that answers below them keep their parents. The export does not state which of several
answers was shown last; where the chat continues below only one of them, that one was kept.
"""

from __future__ import annotations

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary import states
from tasks.common.vocabulary.kinds import THUMB
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT, USER
from tasks.ingest.formats.message_parts import attachments_of, calls_of, reasoning_of
from tasks.ingest.formats.parsed import Act, Conversation, Loose, Message, ParsedRecord, dictionary, moment, name_of, text_of, word_of
from tasks.ingest.formats.regenerations import rolled_in
from tasks.ingest.formats.vote_words import thumb_word

ROOT = "00000000-0000-0000-0000-000000000000"


def recognise(record: dict[str, object]) -> bool:
    """True for an export, and for one document of the messages collection."""
    if "conversationId" not in record:
        return False
    if "messagesTree" not in record and "messages" in record and not is_librechat(record):
        return False
    return bool(record.keys() & {"messages", "messagesTree"}) or ("messageId" in record and "isCreatedByUser" in record)


def is_librechat(record: dict[str, object]) -> bool:
    """Whether the messages are LibreChat's, which have no role, and not another tool's with an id of the same name."""
    messages = record.get("messages")
    return not (isinstance(messages, list) and messages and isinstance(messages[0], dict) and "role" in messages[0])


def read(record: dict[str, object]) -> ParsedRecord:
    """One conversation with the thumbs on it, or one loose message with its thumb."""
    name = name_of(record.get("conversationId"))
    if name is None:
        raise Unreadable(why.NO_ID, "expected conversationId")
    if "messageId" in record:
        return ParsedRecord(loose=[Loose(_message(record), name)], acts=_thumb(record, name))
    top = record.get("messagesTree", record.get("messages"))
    documents = _flat(top if isinstance(top, list) else [])
    if not documents:
        raise Unreadable(why.NO_MESSAGES, "expected a list of messages")
    model = name_of(dictionary(record.get("options")).get("model"))
    messages = [_message(document, model) for document in documents]
    owner = next(filter(None, (name_of(document.get("user")) for document in documents)), None)
    whole = Conversation(name, messages, owner)
    continued = {message.parent_id for message in messages if message.parent_id}
    parsed = ParsedRecord(
        [whole], rolled_in(whole, continued, owner, max(filter(None, (message.created_at for message in messages)), default=None))
    )
    for document in documents:
        parsed.acts.extend(_thumb(document, name))
    return parsed


def _flat(top: list[object]) -> list[dict[str, object]]:
    """All messages of nested lists of `children`, parents first."""
    waiting, messages = list(reversed(top)), []
    while waiting:
        document = waiting.pop()
        if isinstance(document, dict):
            messages.append(document)
            children = document.get("children")
            waiting.extend(reversed(children) if isinstance(children, list) else [])
    return messages


def _message(document: dict[str, object], model: str | None = None) -> Message:
    turn, parent = name_of(document.get("messageId")), name_of(document.get("parentMessageId"))
    if turn is None or not isinstance(document.get("isCreatedByUser"), bool):
        raise Unreadable(why.BAD_MESSAGE, "expected messageId and isCreatedByUser")
    role = USER if document["isCreatedByUser"] else ASSISTANT
    text = text_of(document.get("text")) or text_of(document.get("content"))
    status = states.ERROR if document.get("error") else states.UNFINISHED if document.get("unfinished") else ""
    return Message(
        turn,
        None if parent == ROOT else parent,
        role,
        text,
        (name_of(document.get("model")) or model) if role == ASSISTANT else None,
        moment(document.get("createdAt")),
        status,
        name_of(document.get("user")),
        tool_calls=None if text or role == USER else calls_of(document),  # calls of an answer with text are left out
        reasoning=None if role == USER else reasoning_of(document),
        attachments=attachments_of(document.get("content"), document.get("files"), document.get("attachments")),
    )


def _thumb(document: dict[str, object], conversation: str) -> list[Act]:
    feedback = dictionary(document.get("feedback"))
    label = name_of(feedback.get("rating"))
    if label is None and "feedback" not in document:
        return []
    turn, value = name_of(document.get("messageId")), thumb_word(label or "")
    act = Act(conversation, THUMB, turn, value, (-1.0, 1.0), label, annotator=name_of(document.get("user")))
    act.text, act.created_at = name_of(feedback.get("text")), moment(document.get("updatedAt"))
    act.native_id = f"{conversation}/{turn}/feedback"
    act.retracts = "implied" if label is None or word_of(label) == "none" else None
    return [act]
