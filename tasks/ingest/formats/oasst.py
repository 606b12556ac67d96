"""OpenAssistant: trees (`message_tree_id`, `prompt` with nested `replies`) and flat lists of messages with parent ids.

Ranks of sibling answers become one vote of kind `ranking` each, linked by `group`; the emojis +1 and -1 become that many thumbs, `red_flag`
becomes reports. Deleted messages stay in the tree without their text, so that messages below them keep their place. Messages that failed
review are left out with everything below them, and so are emojis and ranks on user messages.
"""

from __future__ import annotations

from typing import Any

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary import states
from tasks.common.vocabulary.kinds import RANKING, REPORT, THUMB
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT, USER
from tasks.ingest.formats.parsed import Act, Conversation, Loose, Message, ParsedRecord, dictionary, moment, name_of, role_of, text_of

EMOJIS = {"+1": (THUMB, 1.0), "-1": (THUMB, -1.0), "red_flag": (REPORT, None)}  # others steer the labelling
MOST_THUMBS = 10_000  # more of one emoji on one message is an error in the log


def recognise(record: dict[str, object]) -> bool:
    """True for a tree, a flat message, and a seed message."""
    if "message_tree_id" in record and isinstance(record.get("prompt"), dict):
        return True
    return "text" in record and "role" in record and bool(record.keys() & {"message_id", "user_message_id"})


def read(record: dict[str, object]) -> ParsedRecord:
    """A tree as one conversation; a flat message as a loose one."""
    if "prompt" in record:
        return _tree(record)
    parsed, fault = ParsedRecord(), _fault(record)
    if fault:
        raise Unreadable(fault, "the message is marked so")
    message = _message(record, name_of(record.get("parent_message_id", record.get("parent_id"))))
    tree = name_of(record.get("message_tree_id"))
    parsed.loose.append(Loose(message, tree))
    if tree:
        acts = [*_emojis(record, message, tree), *_rank(record, message, tree, None)]
        parsed.notes.extend(_about_users(acts if message.role != ASSISTANT else []))
        parsed.acts.extend(acts if message.role == ASSISTANT else [])
    return parsed


def _tree(record: dict[str, object]) -> ParsedRecord:
    name = name_of(record.get("message_tree_id"))
    if name is None:
        raise Unreadable(why.NO_ID, "expected message_tree_id")
    conversation, parsed = Conversation(name, []), ParsedRecord()
    left_out: dict[str, int] = {}
    about_users: list[Act] = []
    waiting: list[tuple[dict[str, object], str | None, float | None]] = [(dictionary(record.get("prompt")), None, None)]
    while waiting:
        node, parent, last_rank = waiting.pop()
        fault = _fault(node)
        if fault:
            left_out[fault] = left_out.get(fault, 0) + 1
            continue
        message = _message(node, parent)
        conversation.messages.append(message)
        acts = parsed.acts if message.role == ASSISTANT else about_users
        acts += [*_emojis(node, message, name), *_rank(node, message, name, last_rank)]
        answers = node.get("replies")
        replies = [reply for reply in answers if isinstance(reply, dict)] if isinstance(answers, list) else []
        ranks = [rank for reply in replies if (rank := _rank_of(reply)) is not None]
        waiting.extend((reply, message.turn_id, max(ranks) if len(ranks) > 1 else None) for reply in replies)
    if not conversation.messages:
        raise Unreadable(next(iter(left_out)), "the first message of the tree is marked so")
    parsed.conversations.append(conversation)
    parsed.notes.extend((fault, f"{count} messages with what follows them") for fault, count in left_out.items())
    parsed.notes.extend(_about_users(about_users))
    return parsed


def _about_users(acts: list[Act]) -> list[tuple[str, str]]:
    """A note on emojis and ranks of user messages: about half of all, and not about answers."""
    return [(why.NOT_AN_ANSWER, f"{len(acts)} emojis and ranks on messages of users")] if acts else []


def _fault(node: dict[str, object]) -> str | None:
    return why.FAILED_REVIEW if node.get("review_result") is False else None


def _message(node: dict[str, Any], parent: str | None) -> Message:
    turn = name_of(node.get("message_id", node.get("user_message_id")))
    if turn is None:
        raise Unreadable(why.NO_ID, "a message without an id")
    role = role_of(node.get("role"))
    model = node.get("model_name") if role == ASSISTANT and isinstance(node.get("model_name"), str) else None
    user = name_of(node.get("user_id")) if role == USER else None
    gone = node.get("deleted") is True
    text = "" if gone else text_of(node.get("text"))
    return Message(turn, parent, role, text, model, moment(node.get("created_date")), states.DELETED if gone else "", user)


def _rank_of(node: dict[str, object]) -> float | None:
    rank = node.get("rank")
    return float(rank) if isinstance(rank, int) and not isinstance(rank, bool) and 0 <= rank < 1_000 else None


def _rank(node: dict[str, object], message: Message, tree: str, last: float | None) -> list[Act]:
    """The rank of an answer among its siblings; for a flat message the last rank is unknown, but not its group."""
    rank = _rank_of(node)
    if rank is None or ("replies" in node and last is None):
        return []
    scale = (last, 0.0) if last else None
    group = f"{tree}/{message.parent_id}"
    return [Act(tree, RANKING, message.turn_id, rank, scale, group=group, native_id=f"{message.turn_id}/rank")]


def _emojis(node: dict[str, Any], message: Message, tree: str) -> list[Act]:
    emojis: dict[str, Any] = dictionary(node.get("emojis"))
    if isinstance(emojis.get("name"), list):  # as `datasets` gives them: parallel lists
        emojis = dict(zip(emojis["name"], emojis.get("count") or [], strict=False))
    acts: list[Act] = []
    for label, (kind, value) in EMOJIS.items():
        count = emojis.get(label)
        scale = (-1.0, 1.0) if kind == THUMB else None
        for number in range(min(count, MOST_THUMBS) if isinstance(count, int) else 0):
            name = f"{message.turn_id}/{label}/{number}"
            acts.append(Act(tree, kind, message.turn_id, value, scale, label, native_id=name))
    return acts
