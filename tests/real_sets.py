"""Real sets of judged answers that have no reader of their own, as lines of our own JSONL; and the path that they take to pairs.

In: the folder of real inputs. Out: conversations and feedback, as `tasks.formats.jsonl` reads them. Everything that the set says
goes along, also what no vote can be made of (a rating of a user's message, a blank rating): giving reasons is the pipeline's work.
"""

from __future__ import annotations

import dataclasses
import gzip
import importlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks import ingest
from tasks.core import catalog, engine
from tasks.core.ids import stable_id
from tasks.core.ledger import Account
from tasks.core.params import load
from tasks.core.tables import TEXT
from tests.chatlog import accounts, kept
from tests.conftest import ROOT

Line = dict[str, Any]

PANDALM_SIDES = {1: ("1", "2"), 2: ("2", "1"), 0: ("1", "2")}  # an annotator's label: the better and the worse answer, 0 is a tie
TOPICAL_WORDS = ["Poor", "Not Good", "Passable", "Good", "Excellent"]
TASKMASTER_ROLES = {"agent": "assistant", "user": "user", "api": "tool"}


def pandalm(folder: Path) -> list[Line]:
    """An instruction with two answers, and what each of three annotators chose."""
    lines: list[Line] = []
    for row in _json(folder / "pandalm" / "data" / "testset-v1.json"):
        name = f"pandalm-{row['idx']}"
        question = "\n\n".join(str(row[part]) for part in ("instruction", "input") if str(row[part]).strip())
        answers = [{"id": side, "parent_id": "q", "role": "assistant", "content": str(row[f"response{side}"])} for side in "12"]
        lines.append({"id": name, "messages": [{"id": "q", "role": "user", "content": question}, *answers]})
        for annotator in ("annotator1", "annotator2", "annotator3"):
            better, worse = PANDALM_SIDES[row[annotator]]
            vote = {"id": f"{name}-{annotator}", "conversation_id": name, "kind": "choice", "better": better, "worse": worse}
            lines.append(vote | {"value": 1 if row[annotator] else 0, "user_id": annotator})
    return lines


def taskmaster(folder: Path) -> list[Line]:
    """Task dialogues with tools, each with the next turns that were tried, and whether each was right (a thumb)."""
    rows = [row for path in sorted((folder / "taskmaster").glob("TM-*/reward/*")) for row in _json(path)]
    lines: dict[str, Line] = {}
    votes: list[Line] = []
    for number, row in enumerate(rows):
        name = f"taskmaster-{stable_id(row['context'])}"
        if name not in lines:
            said = [_taskmaster_message(turn) for turn in json.loads(row["context"])]
            lines[name] = {"id": name, "messages": [{"id": f"m{at}", **message} for at, message in enumerate(said)]}
        messages = lines[name]["messages"]
        turn = f"try-{stable_id(row['generation'])}"
        if turn not in {message["id"] for message in messages}:
            before = next((message["id"] for message in reversed(messages) if message["id"].startswith("m")), None)
            messages.append({"id": turn, "parent_id": before, **_taskmaster_message(json.loads(row["generation"]))})
        value = "up" if row["reward"] else "down"
        votes.append({"id": f"taskmaster-{number}", "conversation_id": name, "kind": "thumb", "message_id": turn, "value": value})
    return [*lines.values(), *votes]


def _taskmaster_message(turn: Line) -> Line:
    """A turn; calls of tools and what they gave stay JSON."""
    said = next(turn[key] for key in ("text", "api", "response") if key in turn)
    return {"role": TASKMASTER_ROLES[turn["role"]], "content": said if isinstance(said, str) else json.dumps(said, sort_keys=True)}


def topical_chat(folder: Path) -> list[Line]:
    """Chats of two people, the second in the place of the assistant; each message rated in words by the one who got it."""
    people, roles = {"agent_1": "agent_2", "agent_2": "agent_1"}, {"agent_1": "user", "agent_2": "assistant"}
    lines: list[Line] = []
    for path in sorted((folder / "topical_chat" / "conversations").glob("*.json.gz")):
        for name, chat in _json(path).items():
            messages = [{"role": roles[turn["agent"]], "content": turn["message"]} for turn in chat["content"]]
            lines.append({"id": name, "messages": messages, "user_id": f"{name}-agent_1"})
            for at, turn in enumerate(chat["content"]):
                vote = {"id": f"{name}-{at}", "conversation_id": name, "kind": "rating", "message_index": at}
                said = {"value": turn["turn_rating"], "scale": TOPICAL_WORDS}
                lines.append(vote | said | {"user_id": f"{name}-{people[turn['agent']]}"})
    return lines


SETS: dict[str, Callable[[Path], list[Line]]] = {"pandalm": pandalm, "taskmaster": taskmaster, "topical_chat": topical_chat}


def write(lines: list[Line], path: Path) -> None:
    """The lines as a JSONL file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _json(path: Path) -> Any:
    """A JSON file, packed or not."""
    data = path.read_bytes()
    return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)


STAGES: dict[str, ModuleType] = {
    stage: importlib.import_module(f"tasks.{stage}") for stage in ("ingest", "clean", "dedupe", "validate", "aggregate", "split", "pair")
}


def run_path(raw: Path, out: Path) -> dict[str, dict[str, Account]]:
    """All stages from raw logs to pairs that neither add nor repeat rows, in this process: by stage, the accounts of its tables."""
    out.mkdir()
    reading = dataclasses.replace(catalog.stage("ingest", ROOT), data=(raw,))
    ingest.work(reading, load(ROOT / "params.yaml", "ingest", ingest.Params), out)
    now = {name: engine.read_table(out / name) for name in ("turns", "feedback")}
    gone = {name: pq.read_table(folder) for name in now if (folder := out / "dropped" / name).exists()}
    empty = pa.table({"dropped": pa.nulls(0, TEXT)})
    found = {"ingest": {name: _account(name, rows.to_arrow(), gone.get(name, empty)) for name, rows in now.items()}}
    for stage, module in list(STAGES.items())[1:]:
        taken = {name: rows for name, rows in now.items() if name in {path.name for path in catalog.stage(stage, ROOT).data}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            result = module.run(taken, load(ROOT / "params.yaml", stage, module.Params))
        found[stage] = accounts(stage, result, taken)
        now |= {name: kept(account) for name, account in found[stage].items() if name in module.WRITES}
    return found


def _account(name: str, stays: pa.Table, goes: pa.Table) -> Account:
    return Account(name, stays, goes, 0, len(stays) + len(goes), len(stays))
