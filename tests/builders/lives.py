"""The life of a small dataset: versions by the real stages, with a person in the first four of whom everything is planted.

Version 1 has the first logs, version 2 a log more, version 3 another parameter; version 4 is version 2 again, and version 5 is made after
the person was erased.
"""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from flows.versions import record
from tests.builders.whole_nights import Done, Workspace, export, places, workspace

CONVERSATIONS = 60  # of the sample, in the first logs
TAGS = tuple(record.tag(number) for number in (1, 2, 3, 4, 5))
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
    """A workspace with its first three versions; DVC's notes on it lie beside it, where they can be looked into."""
    at = workspace(folder)
    at.well("dvc", "config", "--local", "core.site_cache_dir", str(folder / "site"))
    logs(at, CONVERSATIONS)
    night(at)
    logs(at, CONVERSATIONS, more=True)
    night(at)
    at.set_parameters(pair__confidence__min=0.6)
    night(at)
    return at


def forget(at: Workspace, *more: str) -> Done:
    """The command that forgets the person."""
    return at.command("pairwright", "forget", "--raw-id", "-", "--yes", *more, text=USER + "\n")


def strew(at: Workspace) -> None:
    """Leave the person where only odd circumstances do: in Prefect's logs, set-aside and half pulled logs, notes of runs, and scratch."""
    with sqlite3.connect(at.root / ".prefect" / "prefect.db") as connection:
        connection.execute("CREATE TABLE noted (message TEXT)")
        connection.execute("INSERT INTO noted VALUES (?)", [f"{USER} was read from {FILE}"])
    own = (at.root / "data" / "raw" / FILE).read_bytes()
    for place in (f"data/raw-set-aside/1/{FILE}", f"data/.raw.new/{FILE}", ".pairwright/scratch/0123", f"data/.01_ingest.new/{FILE}"):
        (at.root / place).parent.mkdir(parents=True, exist_ok=True)
        (at.root / place).write_bytes(own)
    for place in (".pairwright/lineage/old.jsonl", ".pairwright/reports/validate/0123/index.html", "data/reports/run/log.jsonl"):
        (at.root / place).parent.mkdir(parents=True, exist_ok=True)
        (at.root / place).write_text(json.dumps({"said": f"{USER} in {FILE}"}), encoding="utf-8")


def objects(root: Path) -> bytes:
    """Every object that git keeps, whether a commit names it or not."""
    command = ["git", "cat-file", "--batch-all-objects", "--batch", "--buffer", "--unordered"]
    return subprocess.run(command, cwd=root, capture_output=True, check=True).stdout


def found(at: Workspace, more: dict[str, str]) -> dict[str, set[str]]:
    """Kind of each planted value that stands somewhere: the places, with git's among them."""
    values = {value: kind for kind, value in {**PLANTED, **more}.items()}
    there: dict[str, set[str]] = {}
    for place, value in places(values, at.outside):
        there.setdefault(values[value], set()).add(place)
    for repository in (at.root, at.outside / "origin.git"):
        kept = objects(repository)
        for value in values:
            if value.encode() in kept:
                there.setdefault(values[value], set()).add(f"objects of {repository.name}")
    return there


def tables(at: Workspace, version: str, stage: str, name: str) -> list[dict[str, Any]]:
    """Rows of a version's table, straight from git and DVC's cache."""
    lock = yaml.safe_load(at.well("git", "show", f"{version}:dvc.lock"))["stages"][stage]["outs"][0]["md5"]
    listing = json.loads(stored(at, lock).read_bytes())
    wanted = [entry["md5"] for entry in listing if entry["relpath"].startswith(f"{name}/")]
    return [row for md5 in wanted for row in pq.read_table(io.BytesIO(stored(at, md5).read_bytes())).to_pylist()]


def stored(at: Workspace, md5: str) -> Path:
    """Where an object lies in the cache."""
    return at.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
