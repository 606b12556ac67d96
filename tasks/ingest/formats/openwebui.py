"""Open WebUI: the chat export (an array or one row a line) and the feedback export with its snapshots.

From a chat: its tree, thumbs and ratings on the messages, edits by people, and regenerations: answers with one `modelIdx` under one parent,
of which one is on the active path. From a feedback row: the same vote (with the same id, so it counts once), and the chat as it was at that
moment: the text that was voted on takes precedence over later versions.

An in-place edit keeps the model's text in `originalContent`; so do output filters. It counts as a person's edit only if neither text
is the beginning or the end of the other (filters add or cut banners and footers) and not every answer of the chat has one.
The last state of a vote counts. Older versions kept reason and stars when the thumb was switched: where they contradict the thumb, they are
left out. A rating that is null, 0 or "none" is no vote, and retracts the vote in an older export.

Share copies (`user_id` "shared-...") and internal chats (`meta.internal`) are left out, with that reason.
"""

from __future__ import annotations

import html
import re
from typing import Any

import orjson

from tasks.common.raw_files.files import Unreadable
from tasks.common.reasoning_marks import unfolded
from tasks.common.vocabulary import states
from tasks.common.vocabulary.kinds import COMMENT, EDIT, RATING, THUMB
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT
from tasks.ingest.formats.message_parts import CALLS, attachments_of, calls_as_json, reasoning_of
from tasks.ingest.formats.parsed import (
    Act,
    Conversation,
    Loose,
    Message,
    ParsedRecord,
    dictionary,
    moment,
    name_of,
    number_of,
    role_of,
    text_of,
)
from tasks.ingest.formats.regenerations import rolled_again

DETAILS = re.compile(r"<details\b[^>]*\btype=\"(?:reasoning|tool_calls|code_interpreter)\"[^>]*>.*?</details>\s*", re.DOTALL)
THOUGHT = re.compile(r"<details\b[^>]*\btype=\"reasoning\"[^>]*>(.*?)</details>", re.DOTALL)
FOLDED_CALL = re.compile(r"<details\b(?=[^>]*\btype=\"tool_calls\")([^>]*)>")
ATTRIBUTE = re.compile(r"\b(id|name|arguments)=\"([^\"]*)\"")
STARS = (1.0, 10.0)
THUMB_SCALE = (-1.0, 1.0)
GOOD = (
    "accurate_information followed_instructions_perfectly showcased_creativity positive_attitude attention_to_detail thorough_explanation"
)
BAD = (
    "dont_like_the_style too_verbose not_helpful not_factually_correct didnt_fully_follow_instructions "
    "refused_when_it_shouldnt_have being_lazy"
)
REASONS = dict.fromkeys(GOOD.split(), 1.0) | dict.fromkeys(BAD.split(), -1.0)  # the thumb that each reason belongs to
Nodes = dict[str, dict[str, object]]


def recognise(record: dict[str, object]) -> bool:
    """True for a chat row, and for a feedback row."""
    if "chat" in record and "id" in record:
        return isinstance(record["chat"], str) or bool(dictionary(record["chat"]).keys() & {"history", "messages"})
    return isinstance(record.get("data"), dict) and "type" in record and "chat_id" in dictionary(record.get("meta"))


def read(record: dict[str, object]) -> ParsedRecord:
    """A chat with its votes, or a vote with the chat as it was then."""
    return _chat(record) if "chat" in record else _feedback(record)


def _chat(row: dict[str, object]) -> ParsedRecord:
    _refuse(row)
    name = name_of(row.get("id"))
    if name is None:
        raise Unreadable(why.NO_ID, "expected an id")
    chat = _decoded(row["chat"])
    nodes, parsed = _nodes(chat), ParsedRecord()
    edits = _edits(nodes)
    parsed.conversations.append(_conversation(name, row, chat, nodes, edits))
    owner, changed = name_of(row.get("user_id")), moment(row.get("updated_at"))
    for turn, text in edits.items():
        parsed.acts.append(Act(name, EDIT, turn, text=text, annotator=owner, native_id=f"{name}/{turn}/edit", seen_at=changed))
    for turn, node in _voted(nodes).items():
        notes = dictionary(node["annotation"])
        base = name_of(node.get("feedbackId")) or f"{name}/{turn}/annotation"
        parsed.acts.extend(_acts(name, turn, notes, owner, base, None, changed))
        parsed.notes.extend(_stale_notes(notes))
    parsed.acts.extend(_regenerated(name, nodes, _active(row, chat, nodes), owner, changed))
    return parsed


def _refuse(row: dict[str, object]) -> None:
    if str(row.get("user_id") or "").startswith("shared-"):
        raise Unreadable(why.SHARED_COPY, "the copy of a chat that was shared")
    if dictionary(row.get("meta")).get("internal"):
        raise Unreadable(why.INTERNAL_CHAT, "a chat of the application itself")


def _decoded(value: object) -> dict[str, object]:
    """A column that the database stores as JSON text."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise Unreadable(why.NOT_JSON, "the text inside chat") from None
    return dictionary(value)


def _nodes(chat: dict[str, object]) -> Nodes:
    """The messages by id: the tree of `history`, or the legacy list, which is one branch."""
    messages = dictionary(chat.get("history")).get("messages")
    if isinstance(messages, dict) and messages:
        return {turn: node for turn, node in messages.items() if isinstance(node, dict) and turn}
    nodes: Nodes = {}
    listed = chat.get("messages") or []
    for index, node in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(node, dict):
            nodes[name_of(node.get("id")) or f"{index:04d}"] = {**node, "parentId": next(reversed(nodes), None)}
    if not nodes:
        raise Unreadable(why.NO_MESSAGES, "expected messages in the chat's history")
    return nodes


def _text(node: dict[str, Any], key: str = "content") -> str:
    """The text without folded-in reasoning and tool calls; from `output` when the content holds nothing else."""
    text = DETAILS.sub("", text_of(node.get(key))).strip()
    if text or key != "content" or not isinstance(node.get("output"), list):
        return text
    items = [item for item in node["output"] if isinstance(item, dict) and item.get("type") == "message"]
    return "\n".join(filter(None, (text_of(item.get("content")) for item in items))).strip()


def _conversation(name: str, row: dict[str, object], chat: dict[str, object], nodes: Nodes, edits: dict[str, str]) -> Conversation:
    messages = [_message(turn, node, turn in edits) for turn, node in nodes.items()]
    tags = dictionary(row.get("meta")).get("tags") or chat.get("tags") or []
    tag = tags[0] if isinstance(tags, list) and tags else ""
    topic = name_of(dictionary(tag).get("name") if isinstance(tag, dict) else tag) or ""
    return Conversation(name, messages, name_of(row.get("user_id")), topic, moment(row.get("created_at")))


def _message(turn: str, node: dict[str, object], edited: bool) -> Message:
    role = role_of(node.get("role"))
    text = _text(node, "originalContent" if edited else "content")
    message = Message(turn, name_of(node.get("parentId")), role, text, created_at=moment(node.get("timestamp")))
    message.attachments = attachments_of(node.get("content"), node.get("files"))
    if role == ASSISTANT:
        message.tool_calls = None if text else _calls(node)
        message.reasoning = _reasoning(node)
        message.model = name_of(node.get("selectedModelId")) or name_of(node.get("model"))
        message.status = states.ERROR if node.get("error") else states.UNFINISHED if node.get("done") is False else ""
    return message


def _reasoning(node: dict[str, object]) -> str | None:
    """The model's reasoning: folded into the content, or an item of `output`."""
    content = node.get("content")
    folded = [unfolded(block).strip() for block in THOUGHT.findall(content)] if isinstance(content, str) else []
    return "\n\n".join(filter(None, folded)) or reasoning_of({"content": node.get("output")}) or reasoning_of(node)


def _calls(node: dict[str, Any]) -> str | None:
    """The tools that an answer without text calls; calls of an answer with text are left out, like the folded blocks."""
    output = node.get("output")
    items = [item for item in output if isinstance(item, dict) and item.get("type") in CALLS] if isinstance(output, list) else []
    if items or not isinstance(node.get("content"), str):
        return calls_as_json(items)
    return calls_as_json(_unfolded(match[1]) for match in FOLDED_CALL.finditer(node["content"]))


def _unfolded(attributes: str) -> dict[str, object]:
    """The call in the attributes of a folded block; older versions quote the arguments twice."""
    fields: dict[str, Any] = {name: html.unescape(value) for name, value in ATTRIBUTE.findall(attributes)}
    try:
        inner = orjson.loads(fields.get("arguments", ""))
    except orjson.JSONDecodeError:
        return fields
    return fields | {"arguments": inner}


def _edits(nodes: Nodes) -> dict[str, str]:
    """Answers that a person seems to have rewritten in place, with their text as edited."""
    answers = {turn: node for turn, node in nodes.items() if node.get("role") == "assistant"}
    changed = {turn: node for turn, node in answers.items() if _text(node, "originalContent") not in ("", _text(node))}
    if len(answers) > 1 and len(changed) == len(answers):
        return {}
    return {turn: _text(node) for turn, node in changed.items() if _rewritten(_text(node, "originalContent"), _text(node))}


def _rewritten(before: str, after: str) -> bool:
    """Neither is empty, and neither is the beginning or the end of the other."""
    old, new = " ".join(before.split()), " ".join(after.split())
    short, long = sorted((old, new), key=len)
    return bool(short) and not long.startswith(short) and not long.endswith(short)


def _voted(nodes: Nodes) -> Nodes:
    """Annotated messages; of several with one feedback id ("save as copy" once inherited it) the earliest."""
    chosen: dict[str, str] = {}
    for turn, node in sorted(nodes.items(), key=lambda item: (moment(item[1].get("timestamp")) or 0, item[0])):
        if isinstance(node.get("annotation"), dict):
            chosen.setdefault(name_of(node.get("feedbackId")) or f"/{turn}", turn)
    return {turn: nodes[turn] for turn in chosen.values()}


def _acts(
    chat: str, turn: str, notes: dict[str, object], who: str | None, base: str, when: int | None, seen: int | None = None
) -> list[Act]:
    """A thumb and a rating, if given, whatever their value; or only a comment. The chosen reason is the thumb's label.

    What is missing, or lies on the other side of the thumb, was said before it: it takes back the same of earlier exports.
    """
    comment, reason, thumb = name_of(notes.get("comment")), name_of(notes.get("reason")), notes.get("rating")
    stars = dictionary(notes.get("details")).get("rating")
    value, acts = number_of(thumb), list[Act]()
    if _given(thumb):
        label = name_of(thumb) if value is None else None if REASONS.get(reason or "", value) != value else reason
        acts.append(Act(chat, THUMB, turn, value, THUMB_SCALE, label, text=comment, native_id=base))
    elif comment or reason:
        acts.append(Act(chat, COMMENT, turn, label=reason, text=comment, native_id=base))
    else:
        acts.append(Act(chat, THUMB, turn, scale=THUMB_SCALE, native_id=base, retracts="implied"))
    if _given(stars) and not _stale(stars, thumb):
        rating = number_of(stars)
        acts.append(Act(chat, RATING, turn, rating, STARS, name_of(stars) if rating is None else None, native_id=f"{base}/rating"))
    else:
        acts.append(Act(chat, RATING, turn, scale=STARS, native_id=f"{base}/rating", retracts="implied"))
    for act in acts:
        act.annotator, act.created_at, act.seen_at = who, when, seen
    return acts


def _given(value: object) -> bool:
    """Whether there is a rating: null, 0 and "none" mean no rating."""
    return not (value is None or number_of(value) == 0 or (isinstance(value, str) and value.strip().lower() in ("", "none", "null")))


def _stale(stars: object, thumb: object) -> bool:
    """Whether the stars contradict the thumb: they were kept when it was switched."""
    rating, side = number_of(stars), number_of(thumb)
    return rating is not None and side is not None and (rating - sum(STARS) / 2) * side < 0


def _stale_notes(notes: dict[str, object]) -> list[tuple[str, str]]:
    stale = _stale(dictionary(notes.get("details")).get("rating"), notes.get("rating"))
    return [(why.STALE_RATING, "stars that lie on the other side of the thumb were left over from before it was switched")] if stale else []


def _active(row: dict[str, object], chat: dict[str, object], nodes: Nodes) -> set[str]:
    """The messages of the visible branch: up from the current message, or from the newest leaf."""
    current = name_of(row.get("current_message_id")) or name_of(dictionary(chat.get("history")).get("currentId"))
    if current not in nodes:
        parents = {name_of(node.get("parentId")) for node in nodes.values()}
        leaves = [turn for turn in nodes if turn not in parents]
        current = max(leaves, key=lambda turn: (moment(nodes[turn].get("timestamp")) or 0, turn), default=None)
    path: set[str] = set()
    while current in nodes and current not in path:
        path.add(current)
        current = name_of(nodes[current].get("parentId"))
    return path


def _regenerated(chat: str, nodes: Nodes, active: set[str], who: str | None, when: int | None) -> list[Act]:
    """The answer on the active path against each answer that it replaced."""
    places: dict[tuple[Any, ...], list[str]] = {}
    for turn, node in nodes.items():
        if node.get("role") == "assistant" and not node.get("error") and node.get("done") is not False and _text(node):
            slot = node["modelIdx"] if node.get("modelIdx") is not None else name_of(node.get("model"))
            places.setdefault((name_of(node.get("parentId")), str(slot)), []).append(turn)
    return rolled_again(chat, (turns for (parent, _), turns in places.items() if parent is not None), active, who, when)


def _feedback(row: dict[str, Any]) -> ParsedRecord:
    meta = row["meta"]
    chat_id, turn = name_of(meta.get("chat_id")), name_of(meta.get("message_id"))
    if chat_id is None or turn is None:
        raise Unreadable(why.NO_TARGET, "expected meta.chat_id and meta.message_id")
    when = moment(row.get("updated_at")) or moment(row.get("created_at"))
    owner = name_of(row.get("user_id"))
    base = name_of(row.get("id")) or f"{chat_id}/{turn}/annotation"
    parsed = ParsedRecord(acts=_acts(chat_id, turn, row["data"], owner, base, when), notes=_stale_notes(row["data"]))
    if all(act.retracts for act in parsed.acts):
        parsed.notes.append((why.NO_RATING, "neither a rating nor a comment in data"))
    then = dictionary(_decoded(row.get("snapshot") or {}).get("chat"))
    if dictionary(_decoded(then.get("chat", {}))).get("history"):
        _add_snapshot(parsed, {**then, "user_id": owner}, chat_id, turn, when)
    return parsed


def _add_snapshot(parsed: ParsedRecord, then: dict[str, object], chat_id: str, turn: str, when: int | None) -> None:
    """The chat at the time of the vote, when the snapshot holds the voted answer and all that led to it."""
    chat = _decoded(then["chat"])
    messages = dictionary(dictionary(chat.get("history")).get("messages"))
    nodes = {name: node for name, node in messages.items() if isinstance(node, dict)}
    path = _active({"current_message_id": turn}, {}, nodes) if turn in nodes else set()
    whole = bool(path) and all(name_of(nodes[name].get("parentId")) in {*nodes, None} for name in path)
    if not whole:
        if not path:
            parsed.notes.append((why.INCOMPLETE_SNAPSHOT, "the snapshot lacks the voted answer"))
            return
        voted = _message(turn, nodes[turn], edited=False)  # the messages before it come from the chat export
        voted.preferred = True
        parsed.loose.append(Loose(voted, chat_id))
        return
    conversation = _conversation(chat_id, then, chat, nodes, {})
    for message in conversation.messages:
        message.preferred = message.turn_id == turn
    parsed.conversations.append(conversation)
    parsed.acts.extend(_regenerated(chat_id, nodes, _active(then, chat, nodes), name_of(then.get("user_id")), when))
