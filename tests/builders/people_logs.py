"""Logs of several people in several formats, record by record, so that one can be made with a person and without."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.builders.product_logs import prose

Line = dict[str, Any]
PHRASE = "my grandmother's recipe from Uzhhorod"  # stands in what the people who are forgotten say


@dataclass(frozen=True)
class Written:
    """A record, and whose it is: a person's own, or one about a person's chat."""

    file: str
    people: frozenset[str]
    line: Line


def plain(name: str, user: str, draw: random.Random) -> Written:
    """A conversation of lines with role and content."""
    texts = [prose(f"{name} {at} {draw.random()}", 8) for at in range(4)]
    texts[0] += f" {PHRASE} {user}"
    messages = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]
    return Written("plain.jsonl", frozenset({user}), {"id": name, "user_id": user, "messages": messages})


def vote(name: str, chatter: str, voter: str) -> Written:
    """A thumb on the first answer of a plain conversation."""
    line = {"conversation_id": name, "kind": "thumb", "message_index": 1, "value": 1, "user_id": voter, "comment": f"says {voter}"}
    return Written("votes.jsonl", frozenset({chatter, voter}), line)


def openwebui(name: str, user: str, draw: random.Random) -> Written:
    """A chat of Open WebUI, its answer rated by its owner."""
    asked, said = (prose(f"{name} {part} {draw.random()}", 9) for part in "qa")
    question: Line = {
        "id": f"q-{name}-{'x' * 20}",
        "parentId": None,
        "childrenIds": ["a"],
        "role": "user",
        "content": f"{asked} {PHRASE} {user}",
    }
    answer = {
        "id": f"a-{name}-{'x' * 20}",
        "parentId": question["id"],
        "childrenIds": [],
        "role": "assistant",
        "content": said,
        "done": True,
    }
    answer["annotation"] = {"rating": 1, "comment": f"thanks, {user}"}
    history = {"currentId": answer["id"], "messages": {question["id"]: question, answer["id"]: answer}}
    line = {"id": name, "user_id": user, "title": f"of {user}", "created_at": 1760000000, "chat": {"history": history}}
    return Written("webui.json", frozenset({user}), line)


def sharegpt(name: str, draw: random.Random) -> Written:
    """A conversation of ShareGPT, which names nobody: it can be erased by its id alone."""
    turns = [{"from": ("human", "gpt")[at % 2], "value": f"{prose(f'{name} {at} {draw.random()}', 7)} {PHRASE}"} for at in range(2)]
    return Written("share.jsonl", frozenset({name}), {"id": name, "conversations": turns})


def tree(name: str, users: tuple[str, str, str], draw: random.Random) -> list[Written]:
    """A tree of OASST, a message a record: one person's question, an answer, and two other people's next questions, answered."""
    root, answer = f"{name}-root", f"{name}-answer"
    lines = [_node(root, None, "prompter", users[0], draw), _node(answer, root, "assistant", "", draw)]
    people = [frozenset({users[0]})] * 2
    for number, user in enumerate(users[1:]):
        asked, told = f"{name}-ask-{number}", f"{name}-told-{number}"
        lines += [_node(asked, answer, "prompter", user, draw), _node(told, asked, "assistant", "", draw)]
        people += [frozenset({users[0], user})] * 2
    return [Written("trees.jsonl", who, line) for who, line in zip(people, lines, strict=True)]


def _node(name: str, parent: str | None, role: str, user: str, draw: random.Random) -> Line:
    text = f"{prose(f'{name} {draw.random()}', 8)} {PHRASE if user else ''} {user}"
    return {"message_id": name, "parent_id": parent, "user_id": user or None, "text": text, "role": role}


def written(seed: int, people: tuple[str, ...], count: int = 4) -> list[Written]:
    """Records of all formats by these people, votes on each other's answers among them; the same for the same seed."""
    draw = random.Random(seed)
    found: list[Written] = []
    for number in range(count):
        one, two, three = (draw.choice(people) for _ in range(3))
        native = str(draw.randrange(count)) if draw.random() < 0.5 else f"conv-{one}-{number}"  # counters meet
        chat = plain(native, one, draw)
        found += [chat, openwebui(f"chat-{number}", two, draw), sharegpt(f"share-{number}", draw)]
        found += [vote(native, one, voter) for voter in {two, three} if native.startswith("conv-")]
        found += tree(f"tree{number}", (one, two, three), draw)
    return found


def files(records: list[Written]) -> dict[str, bytes]:
    """The records as files: lines, and for Open WebUI one document."""
    lines: dict[str, list[Line]] = {}
    for record in records:
        lines.setdefault(record.file, []).append(record.line)
    return {name: _file(name, found) for name, found in lines.items()}


def _file(name: str, lines: list[Line]) -> bytes:
    if name.endswith(".json"):
        return json.dumps(lines).encode()
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def without(records: list[Written], *people: str) -> list[Written]:
    """The records that are neither theirs nor about what is theirs."""
    return [record for record in records if record.people.isdisjoint(people)]


def write(folder: Path, records: list[Written]) -> None:
    """Write the files of the records into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files(records).items():
        (folder / name).write_bytes(data)
