"""How the sample's conversations look in each log format; used by `make_sample.py`."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from make_sample import Talk

Json = dict[str, Any]
START = 1_767_225_600  # 2026-01-01T00:00:00Z


def _time(seconds: int) -> str:
    days, rest = divmod(seconds - START, 86_400)
    months = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    month = 0
    while days >= months[month]:
        days, month = days - months[month], month + 1
    return f"2026-{month + 1:02d}-{days + 1:02d}T{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}Z"


def as_jsonl(talk: Talk) -> list[Json]:
    """The conversation and its feedback as records of the plain JSONL format."""
    messages: list[Json] = [
        {"id": f"m{at}", "parent_id": f"m{at - 1}" if at else None, "role": r, "content": c} for at, (r, c) in enumerate(talk.messages)
    ]
    parent = f"m{len(messages) - 1}"
    for number, answer in enumerate(talk.answers):
        messages.append({"id": f"a{number}", "parent_id": parent, "role": "assistant", "content": answer.text, "model": answer.model})
    records: list[Json] = [
        {"id": talk.name, "user_id": talk.user, "topic": talk.topic, "created_at": _time(talk.created_at), "messages": messages}
    ]
    for number, act in enumerate(talk.feedback):
        named = {
            ("message_id" if key == "answer" else key): f"a{value}" if key in ("answer", "better", "worse") else value
            for key, value in act.items()
        }
        records.append(
            {"id": f"{talk.name}-f{number}", "conversation_id": talk.name, **named, "created_at": _time(talk.created_at + 90 + number)}
        )
    return records


def as_webui(talk: Talk) -> tuple[Json, list[Json]]:
    """The conversation as an Open WebUI chat row, and its thumbs as rows of the feedback export."""
    messages: dict[str, Json] = {}
    parent: str | None = None
    for at, (role, text) in enumerate(talk.messages):
        name = f"{talk.name}-m{at}"
        messages[name] = {
            "id": name,
            "parentId": parent,
            "childrenIds": [],
            "role": role,
            "content": text,
            "timestamp": talk.created_at + at * 5,
        }
        if parent:
            messages[parent]["childrenIds"].append(name)
        parent = name
    for number, answer in enumerate(talk.answers):
        name = f"{talk.name}-a{number}"
        messages[name] = {
            "id": name,
            "parentId": parent,
            "childrenIds": [],
            "role": "assistant",
            "content": answer.text,
            "model": answer.model,
            "modelIdx": number,
            "timestamp": talk.created_at + 40 + number,
            "done": True,
        }
        messages[str(parent)]["childrenIds"].append(name)
    current = f"{talk.name}-a{len(talk.answers) - 1}"
    rows = []
    for number, act in enumerate(talk.feedback):
        if act["kind"] != "thumb":
            continue
        target = f"{talk.name}-a{act['answer']}"
        rows.append(
            {
                "id": f"{talk.name}-fb{number}",
                "user_id": talk.user,
                "version": 0,
                "type": "rating",
                "data": {"rating": act["value"], "reason": "", "comment": ""},
                "meta": {"arena": False, "message_id": target, "message_index": len(talk.messages) + 1, "chat_id": talk.name},
                "snapshot": {"chat": {"id": talk.name, "chat": {"history": {"currentId": target, "messages": {target: messages[target]}}}}},
                "created_at": talk.created_at + 100 + number,
                "updated_at": talk.created_at + 100 + number,
            }
        )
        messages[target]["annotation"] = {"rating": act["value"]}
        messages[target]["feedbackId"] = f"{talk.name}-fb{number}"
    chat = {
        "id": talk.name,
        "user_id": talk.user,
        "title": talk.topic,
        "created_at": talk.created_at,
        "updated_at": talk.created_at + 60,
        "archived": False,
        "meta": {"tags": [talk.topic]},
        "chat": {
            "title": talk.topic,
            "models": sorted({a.model for a in talk.answers}),
            "history": {"currentId": current, "messages": messages},
        },
    }
    return chat, rows


def as_battle(talk: Talk) -> Json:
    """The conversation's choice as a line of a Chatbot Arena log."""
    act = talk.feedback[0]
    kind = {1: "leftvote", 0: "tievote", -1: "bothbad_vote"}[act["value"]]
    left, right = act["better"], act["worse"]
    if kind == "leftvote" and zlib.crc32(talk.name.encode()) % 2:  # the winner stands on either side
        left, right, kind = right, left, "rightvote"
    states = [
        {
            "template_name": "one_shot",
            "system_message": "",
            "roles": ["user", "assistant"],
            "offset": 0,
            "conv_id": f"{talk.name}-{side}",
            "model_name": talk.answers[number].model,
            "messages": [*map(list, talk.messages), ["assistant", talk.answers[number].text]],
        }
        for side, number in (("left", left), ("right", right))
    ]
    return {
        "tstamp": talk.created_at + 77.5,
        "type": kind,
        "models": ["", ""],
        "states": states,
        "ip": f"198.51.{talk.created_at % 199}.{talk.created_at % 251}",
    }
