"""The life of a small dataset: four versions by the real stages, with a person in the first three of whom everything is planted.

Version 1 has the first logs, version 2 a log more, version 3 another parameter, version 4 is made after the person was erased.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.versions import record
from tests.builders.whole_nights import Workspace, export, workspace

CONVERSATIONS = 60  # of the sample, in the first logs
TAGS = tuple(record.tag(number) for number in (1, 2, 3, 4))
# Put together here, so that this file, which lies in the workspace too, does not hold them.
USER = "-".join(("customer", "leaving", "4711"))
MAIL = "@".join(("petra.lindqvist", "example.org"))
PHRASE = " ".join(("heron compass from", "the Kvitsoy lighthouse"))
FILE = "-".join(("lindqvist", "petra", "chats.jsonl"))
CONVERSATION = "-".join(("talk", "kvitsoy"))
COMMENT = " ".join(("answered like", "a true helmsman"))
PLANTED = {"mail": MAIL, "raw id": USER, "phrase": PHRASE, "file name": FILE, "conversation id": CONVERSATION, "comment": COMMENT}


def chats() -> Iterator[dict[str, Any]]:
    """Three conversations of the person, with ratings and comments, as the plain format has them."""
    for number in range(3):
        name = f"{CONVERSATION}-{number}"
        asked = f"Where is order K{number}: my {PHRASE}, bought {number + 2} weeks ago? Write to {MAIL}."
        answers = ("For shipping there is a clear answer. 1. Open the account page. 2. Choose the order.", "People keep doing this wrong.")
        messages = [{"id": "m0", "parent_id": None, "role": "user", "content": asked}]
        messages += [{"id": f"a{at}", "parent_id": "m0", "role": "assistant", "content": text} for at, text in enumerate(answers)]
        yield {"id": name, "user_id": USER, "topic": "shipping", "created_at": "2026-01-05T00:00:00Z", "messages": messages}
        yield from (_act(name, f"a{at}", kind="rating", value=value) for at, value in enumerate((5, 1)))
        yield _act(name, "a0", kind="comment", text=f"{COMMENT}, {number} times")


def _act(conversation: str, message: str, **more: object) -> dict[str, Any]:
    name = f"{conversation}-{message}-{more['kind']}"
    return {
        "id": name,
        "conversation_id": conversation,
        "user_id": USER,
        "message_id": message,
        "created_at": "2026-01-05T00:01:00Z",
        **more,
    }


def on_others() -> list[dict[str, Any]]:
    """What the person said of another's conversation, which stands among the logs of all."""
    return [_act("desk-00002", "a1", kind="comment", text=f"{COMMENT}, too")]


def logs(at: Workspace, conversations: int, *, more: bool = False) -> None:
    """Write the logs: those of all, the person's own file, and in one file of its own what came later."""
    export(at.root, lambda number: number < conversations, on_others())
    own = at.root / "data" / "raw" / FILE
    own.write_text("".join(json.dumps(line) + "\n" for line in chats()), encoding="utf-8")
    if more:
        later = Workspace(at.outside / "later")
        export(later.root, lambda number: conversations <= number < conversations + 30)
        (at.root / "data" / "raw" / "desk" / "later.jsonl").write_bytes((later.root / "data" / "raw" / "desk" / "desk.jsonl").read_bytes())


def night(at: Workspace) -> dict[str, str]:
    """The release of a night, which must leave nothing behind in git."""
    done = at.night()
    assert done.code == 0, done.out[-6000:]
    assert at.status() == ""
    return at.release()


def begun(folder: Path) -> Workspace:
    """A workspace with its first three versions."""
    at = workspace(folder)
    logs(at, CONVERSATIONS)
    night(at)
    logs(at, CONVERSATIONS, more=True)
    night(at)
    at.set_parameters(pair__confidence__min=0.6)
    night(at)
    return at


def forget(at: Workspace, *more: str) -> str:
    """What the command says that forgets the person."""
    return at.well("pairwright", "forget", "--raw-id", "-", "--yes", *more, text=USER + "\n")
