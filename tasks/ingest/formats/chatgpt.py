"""ChatGPT's data export: conversations with a `mapping` of nodes, and `message_feedback.json`.

Only visible messages are kept: those of user and assistant to all recipients, not hidden, with text. Nodes in between (tools, searches,
hidden system messages) are skipped: a message's parent is the nearest kept message above it. An answer in several nodes is one answer, and
a thumb on any of them is a thumb on it. Of several answers to one question, the one on the path to `current_node` was kept.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary import states
from tasks.common.vocabulary.kinds import THUMB
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT
from tasks.ingest.formats.answers import join_pieces
from tasks.ingest.formats.message_parts import attachments_of, reasoning_of
from tasks.ingest.formats.parsed import Act, Conversation, Message, ParsedRecord, dictionary, moment, name_of
from tasks.ingest.formats.regenerations import rolled_in
from tasks.ingest.formats.vote_words import thumb_word

SHOWN = frozenset({"user", "assistant"})
CHANNELS = frozenset({"final"})
TYPES = frozenset({"text", "multimodal_text"})


def recognise(record: dict[str, object]) -> bool:
    """True for a conversation of the export, also a corrupted one without its mapping, and for a line of feedback."""
    if "mapping" in record or ("create_time" in record and "title" in record and "current_node" in record):
        return True
    return "rating" in record and "conversation_id" in record and bool(record.keys() & {"message_id", "id"}) and "kind" not in record


def read(record: dict[str, object]) -> ParsedRecord:
    """A conversation, or a thumb."""
    if "rating" in record and "mapping" not in record:
        return _feedback(record)
    name = name_of(record.get("conversation_id")) or name_of(record.get("id")) or name_of(record.get("current_node"))
    nodes = {turn: node for turn, node in dictionary(record.get("mapping")).items() if isinstance(node, dict)}
    if name is None or not nodes:
        raise Unreadable(why.NO_MESSAGES, "expected a mapping of nodes and an id")
    model = name_of(record.get("default_model_slug"))
    messages = [_message(turn, node["message"], nodes, model) for turn, node in nodes.items() if _shown(node)]
    if not messages:
        raise Unreadable(why.NO_MESSAGES, "no message was shown to the user")
    ended = {turn for turn, node in nodes.items() if dictionary(node.get("message")).get("end_turn") is True}
    whole = join_pieces(Conversation(name, messages, created_at=moment(record.get("create_time"))), ended)
    return ParsedRecord([whole], rolled_in(whole, _shown_last(record, nodes), None, moment(record.get("update_time"))))


def _shown_last(record: dict[str, object], nodes: dict[str, dict[str, object]]) -> set[str]:
    """The nodes from the last one shown up to the root."""
    path: set[str] = set()
    at = name_of(record.get("current_node"))
    while at in nodes and at not in path:
        path.add(at)
        at = name_of(nodes[at].get("parent"))
    return path


def _shown(node: dict[str, object]) -> bool:
    """Whether the node is a visible message: with a text, or a question that is an image or file."""
    return bool(_text(node)) or (bool(_attached(node)) and dictionary(dictionary(node.get("message")).get("author")).get("role") == "user")


def _attached(node: dict[str, object]) -> tuple[str, ...]:
    """Pictures among the parts of a message, and the files that its metadata name."""
    message = dictionary(node.get("message"))
    content, metadata = dictionary(message.get("content")), dictionary(message.get("metadata"))
    parts = content.get("parts")
    pointers = [name_of(part.get("asset_pointer")) for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    files = [file for file in listed if isinstance(file, dict)] if isinstance(listed := metadata.get("attachments"), list) else []
    ids = {name_of(file.get("id")) for file in files}
    pictures = [name for name in pointers if name and re.split(r"[/#?]+", name.removeprefix("file-service://"))[-1] not in ids]
    return attachments_of(None, pictures, files)


def _text(node: dict[str, object]) -> str:
    """The text of a message that was shown; "" for all other nodes."""
    message = dictionary(node.get("message"))
    content, metadata = dictionary(message.get("content")), dictionary(message.get("metadata"))
    shown = (
        name_of(dictionary(message.get("author")).get("role")) in SHOWN
        and message.get("recipient", "all") == "all"
        and (name_of(message.get("channel")) or "final") in CHANNELS
        and message.get("weight", 1.0) != 0
        and not metadata.get("is_visually_hidden_from_conversation")
        and name_of(content.get("content_type")) in TYPES
    )
    parts = content.get("parts")
    if not shown or not isinstance(parts, list):
        return ""
    return "\n".join(part for part in parts if isinstance(part, str) and part).strip()


def _message(turn: str, message: dict[str, Any], nodes: dict[str, dict[str, Any]], model: str | None) -> Message:
    role = message["author"]["role"]
    slug = name_of(dictionary(message.get("metadata")).get("model_slug")) or model
    status = states.UNFINISHED if message.get("status") == "in_progress" else ""
    written = moment(message.get("create_time"))
    kept = Message(turn, _kept_parent(turn, nodes), role, _text(nodes[turn]), slug if role == ASSISTANT else None, written, status)
    kept.attachments = _attached(nodes[turn])
    kept.reasoning = _reasoning(turn, nodes) if role == ASSISTANT else None
    return kept


def _reasoning(turn: str, nodes: dict[str, dict[str, object]]) -> str | None:
    """The model's reasoning in the nodes between an answer and the kept message before it."""
    reasoning: list[str] = []
    seen = {turn}
    at = name_of(nodes[turn].get("parent"))
    while at in nodes and at not in seen and not _shown(nodes[at]):
        seen.add(at)
        content = dictionary(dictionary(nodes[at].get("message")).get("content"))
        thoughts = content.get("thoughts")
        if content.get("content_type") == "thoughts" and isinstance(thoughts, list):
            texts = [dictionary(one).get("content") or dictionary(one).get("summary") for one in thoughts]
            reasoning.insert(0, reasoning_of({"thoughts": texts}) or "")
        at = name_of(nodes[at].get("parent"))
    return "\n\n".join(filter(None, reasoning)) or None


def _kept_parent(turn: str, nodes: dict[str, dict[str, object]]) -> str | None:
    seen = {turn}
    parent = name_of(nodes[turn].get("parent"))
    while parent in nodes and parent not in seen:
        if _shown(nodes[parent]):
            return parent
        seen.add(parent)
        parent = name_of(nodes[parent].get("parent"))
    return None


def _feedback(record: dict[str, object]) -> ParsedRecord:
    conversation = name_of(record.get("conversation_id"))
    turn = name_of(record.get("message_id")) or name_of(record.get("id"))
    label = name_of(record.get("rating"))
    if conversation is None:
        raise Unreadable(why.NO_ID, "expected conversation_id")
    value = None if label is None else thumb_word(label)
    act = Act(conversation, THUMB, turn, value, (-1.0, 1.0), label, annotator=name_of(record.get("user_id")))
    act.text, act.created_at, act.native_id = _comment(record), moment(record.get("create_time")), f"{conversation}/{turn}"
    return ParsedRecord(acts=[act])


def _comment(record: dict[str, Any]) -> str | None:
    """Free text from `text`, or from JSON with tags in `content`."""
    try:
        inner = dictionary(orjson.loads(record.get("content") or "null"))
    except (orjson.JSONDecodeError, TypeError):
        inner = {}
    return name_of(record.get("text")) or name_of(inner.get("text"))
