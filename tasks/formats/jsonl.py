"""Our own plain JSONL: conversations and feedback, one object a line, in one file or in several.

Conversation: `id`, `messages` of `role`, `content` and perhaps `id`, `parent_id`, `model`, `created_at`, `status`; perhaps
`user_id`, `topic`, `model`, `created_at`. A message without `parent_id` follows the one before it; regenerated
answers name the same parent.

Feedback: `conversation_id`, `kind` (thumb, rating, choice, ranking, edit, regenerate, report, copy), and by kind `message_id` or
`message_index`, `value`, `scale` ([min, max]; a rating without one came on 1 to 5), `better`, `worse`, `group`, `text`; perhaps
`id`, `user_id`, `annotator_kind` ("person" or "model"), `created_at`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.core.raw import Record, Unreadable
from tasks.formats.facts import ROLES, Act, Conversation, Facts, Message, moment, name_of, number_of, place, role_of, text_of

KINDS = {name: name for name in ("thumb", "rating", "choice", "ranking", "edit", "regenerate", "report", "copy")} | {"thumbs": "thumb"}
COMPARISONS = frozenset({"choice", "regenerate"})
THUMBS = {"up": 1.0, "down": -1.0, "thumbsup": 1.0, "thumbsdown": -1.0}
RATING_SCALE = (1.0, 5.0)
STATUSES = frozenset({"", "unfinished", "error"})
ANNOTATORS = frozenset({"person", "model"})


def recognise(record: dict[str, Any]) -> bool:
    """True for a conversation with an id, and for feedback that names a conversation and a kind."""
    return ("messages" in record and "id" in record) or ("conversation_id" in record and "kind" in record)


def read(record: dict[str, Any]) -> Facts:
    """One conversation or one act."""
    if "messages" in record:
        return Facts([_conversation(record)])
    return Facts(acts=[act_of(record)])


@dataclass
class Plain:
    """Conversations of bare lines: the records, how many messages each has, and roles and texts of all of them in a row."""

    records: list[Record] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)


def plain(records: Sequence[Record]) -> tuple[Plain, list[Record]]:
    """Records that are conversations of bare `role` and `content` lines in our own roles, and all others.

    The plain ones, which are most of a large log, need no object a message: their columns are built from the lists as they are.
    """
    straight, other = Plain(), list[Record]()
    for record in records:
        lists = _bare(record.value)
        if lists is None:
            other.append(record)
            continue
        straight.records.append(record)
        straight.counts.append(len(lists[0]))
        straight.roles += lists[0]
        straight.contents += lists[1]
    return straight, other


def _bare(value: dict[str, Any]) -> tuple[list[str], list[str]] | None:
    """Roles and texts; None for whatever is not bare."""
    try:
        messages = value["messages"]
        if not messages or type(value["id"]) is not str or not value["id"]:
            return None
        roles, contents = [message["role"] for message in messages], [message["content"] for message in messages]
        # Two keys each, and both lookups succeeded: then there is nothing else in any message.
        bare = sum(map(len, messages)) == 2 * len(messages) and ROLES.issuperset(roles) and set(map(type, contents)) == {str}
    except (KeyError, TypeError, IndexError):
        return None
    return (roles, contents) if bare else None


def _conversation(record: dict[str, Any]) -> Conversation:
    name = name_of(record.get("id"))
    if name is None:
        raise Unreadable("no_id", "expected a text or a number as id")
    natives = record["messages"]
    if not isinstance(natives, list) or not natives or not all(isinstance(native, dict) for native in natives):
        raise Unreadable("no_messages", "expected a list of objects in messages")
    model, messages = name_of(record.get("model")), list[Message]()
    for index, native in enumerate(natives):
        messages.append(_message(native, index, messages[-1].turn_id if messages else None, model))
    return Conversation(name, messages, name_of(record.get("user_id")), topic_of(record), moment(record.get("created_at")))


def topic_of(record: dict[str, Any]) -> str:
    """The log's own tag of a conversation, or ""."""
    return name_of(record.get("topic")) or ""


def _message(native: dict[str, Any], index: int, before: str | None, model: str | None) -> Message:
    role = role_of(native.get("role"))
    if "content" not in native:
        raise Unreadable("no_content", f"message {index} has no content")
    status = name_of(native.get("status")) or ""
    if status not in STATUSES:
        status = "unfinished"
    return Message(
        turn_id=name_of(native.get("id")) or place(index),
        parent_id=name_of(native["parent_id"]) if "parent_id" in native else before,
        role=role,
        content=text_of(native["content"]),
        model=(name_of(native.get("model")) or model) if role == "assistant" else None,
        created_at=moment(native.get("created_at")),
        status=status,
    )


def act_of(record: dict[str, Any]) -> Act:
    """One line of feedback."""
    conversation, kind = name_of(record["conversation_id"]), KINDS.get(str(record["kind"]))
    if conversation is None:
        raise Unreadable("no_id", "expected a text or a number as conversation_id")
    if kind is None:
        raise Unreadable("unknown_kind", "expected one of " + ", ".join(KINDS))
    annotator_kind = str(record.get("annotator_kind") or "person")
    if annotator_kind not in ANNOTATORS:
        raise Unreadable("unknown_annotator", "expected annotator_kind person or model")
    act = Act(
        conversation,
        kind,
        text=record["text"] if isinstance(record.get("text"), str) else None,
        group=name_of(record.get("group")),
        annotator=name_of(record.get("user_id")),
        annotator_kind=annotator_kind,
        created_at=moment(record.get("created_at")),
        native_id=name_of(record.get("id")),
    )
    if kind in COMPARISONS:
        act.better, act.worse = _turn(record.get("better"), "better"), _turn(record.get("worse"), "worse")
        if act.better == act.worse:
            raise Unreadable("same_turn", "better and worse name one message")
    else:
        target = record.get("message_id")
        act.turn = _turn(record.get("message_index") if target is None else str(target), "message_id or message_index")
    act.value, act.scale = _value(kind, record)
    if kind == "edit" and not act.text:
        raise Unreadable("no_text", "an edit needs the text as edited")
    return act


def _turn(value: object, key: str) -> str | int:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1_000_000:
        return value
    raise Unreadable("no_target", f"expected {key}: a message's id or its place from 0")


def _value(kind: str, record: dict[str, Any]) -> tuple[float | None, tuple[float, float] | None]:
    """The value and its scale, by kind; raises where a value is needed and is not there or off its scale."""
    value = record.get("value")
    if kind == "thumb":
        return _thumb(value), (-1.0, 1.0)
    if kind == "choice":
        return _choice(value), None
    if kind not in ("rating", "ranking"):
        return number_of(value), None
    number, scale = number_of(value), _scale(record.get("scale"), RATING_SCALE if kind == "rating" else None)
    if number is None:
        raise Unreadable("no_value", f"a {kind} needs a number as value")
    if number < 0 and kind == "ranking":
        raise Unreadable("value_off_scale", "a rank is counted from 0, the best")
    if scale and not scale[0] <= number <= scale[1]:
        raise Unreadable("value_off_scale", f"expected a value from {scale[0]:g} to {scale[1]:g}")
    return number, scale


def _thumb(value: object) -> float:
    if isinstance(value, bool):
        return 1.0 if value else -1.0
    number = THUMBS.get(value.lower().replace("_", ""), number_of(value)) if isinstance(value, str) else number_of(value)
    if number not in (1.0, -1.0):
        raise Unreadable("no_value", "a thumb is 1 or -1")
    return number


def _choice(value: object) -> float:
    number = 1.0 if value is None else number_of(value)
    if number not in (1.0, 0.0, -1.0):
        raise Unreadable("no_value", "a choice is 1 (better won), 0 (tie) or -1 (both bad)")
    return number


def _scale(value: object, default: tuple[float, float] | None) -> tuple[float, float] | None:
    if value is None:
        return default
    ends = [number_of(end) for end in value] if isinstance(value, list) else []
    if len(ends) != 2 or ends[0] is None or ends[1] is None or ends[0] >= ends[1]:
        raise Unreadable("bad_scale", "expected scale: [least, most]")
    return ends[0], ends[1]
