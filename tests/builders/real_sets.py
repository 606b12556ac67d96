"""Real sets of judged answers that have no reader of their own, as lines of our own JSONL; and the path that they take to pairs.

In: the folder of real inputs. Out: conversations and feedback, as `tasks.ingest.formats.jsonl` reads them. Everything that the set says
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

from tasks.core import engine, pipeline
from tasks.core.ids import stable_id
from tasks.core.ledger import Account
from tasks.core.params import load
from tasks.core.tables import TEXT
from tasks.ingest import stage as ingest
from tests.builders.chatlog import accounts, kept
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


def arena_hard(folder: Path) -> list[Line]:
    """Answers of nine models to hard questions, each with the mark of a judging model, 1 to 10 or none."""
    lines: dict[str, Line] = {}
    votes: list[Line] = []
    for number, row in enumerate(row for path in judgments(folder) for row in _json_lines(path)):
        question = row["user_prompt"].removeprefix("[Question]\n").partition("\n\n[The Start of Reference Answer]")[0]
        answer = row["user_prompt"].partition("[The Start of Assistant's Answer]")[2].rpartition("[The End of Assistant's Answer]")[0]
        turn, name = f"{row['model']}-{number}", row["question_id"]
        chat = lines.setdefault(name, {"id": name, "messages": [{"id": "q", "role": "user", "content": question}]})
        chat["messages"].append({"id": turn, "parent_id": "q", "role": "assistant", "content": answer.strip(), "model": row["model"]})
        vote = {"id": f"arena-{number}", "conversation_id": name, "kind": "rating", "message_id": turn, "value": row["score"]}
        votes.append(vote | {"scale": [1, 10], "user_id": "judge", "annotator_kind": "model"})
    return [*lines.values(), *votes]


def judgments(folder: Path) -> list[Path]:
    """The files of marks of `arena_hard`."""
    return sorted((folder / "arena_hard" / "history").rglob("*.jsonl.gz"))


def fastchat(folder: Path) -> list[Line]:
    """Answers of seven models to the Vicuna questions, and the marks, 1 to 10, that judging models gave to two of them at a time."""
    table = folder / "fastchat" / "history" / "fastchat" / "eval" / "table"
    lines: list[Line] = []
    answers = [row for path in sorted((table / "answer").glob("*.jsonl")) for row in _json_lines(path)]
    for question in _json_lines(table / "question.jsonl"):
        name = str(question["question_id"])
        own = [row for row in answers if str(row["question_id"]) == name]
        said = [
            {"id": row["answer_id"], "parent_id": "q", "role": "assistant", "content": row["text"], "model": row["model_id"]} for row in own
        ]
        lines.append({"id": name, "messages": [{"id": "q", "role": "user", "content": question["text"]}, *said]})
    for path in reviews(folder):
        for at, row in enumerate(_json_lines(path)):
            for side, value in zip(("answer1_id", "answer2_id"), row["score"], strict=True):
                vote = {"id": f"{path.stem}-{at}-{side}", "conversation_id": str(row["question_id"]), "kind": "rating", "value": value}
                judge = {"user_id": f"{path.parent.name}-{row['reviewer_id']}", "annotator_kind": "model"}
                lines.append(vote | judge | {"message_id": row[side], "scale": [1, 10]})
    return lines


def reviews(folder: Path) -> list[Path]:
    """The files of marks of `fastchat`."""
    return sorted((folder / "fastchat" / "history" / "fastchat" / "eval" / "table" / "review").rglob("*.jsonl"))


SETS: dict[str, Callable[[Path], list[Line]]] = {
    "pandalm": pandalm,
    "taskmaster": taskmaster,
    "topical_chat": topical_chat,
    "arena_hard": arena_hard,
    "fastchat": fastchat,
}


def _ranked(node: Line) -> int:
    """Thumbs and ranks in a tree of Open Assistant, on whatever message."""
    thumbs = sum(count for name, count in (node.get("emojis") or {}).items() if name in ("+1", "-1"))
    return int(thumbs) + (node.get("rank") is not None) + sum(map(_ranked, node.get("replies") or []))


def _voted(node: object) -> set[tuple[str, str]]:
    """Thumbs in an export of a front end: `feedback` of LibreChat, `data` and `annotation` of Open WebUI, each with a `rating`.

    Open WebUI writes its messages twice, as a tree and as a list.
    """
    if isinstance(node, list):
        return set().union(*map(_voted, node))
    if not isinstance(node, dict):
        return set()
    own = {
        (key, str(node.get("id")))
        for key in ("feedback", "data", "annotation")
        if isinstance(node.get(key), dict) and "rating" in node[key]
    }
    return own.union(*map(_voted, node.values()))


RAW_ACTS: dict[str, Callable[[Path], int]] = {  # what people (and judging models) said, counted in the files as they are
    "pandalm": lambda folder: 3 * len(_json(folder / "pandalm" / "data" / "testset-v1.json")),
    "taskmaster": lambda folder: sum(len(_json(path)) for path in (folder / "taskmaster").glob("TM-*/reward/*")),
    "topical_chat": lambda folder: sum(
        len(chat["content"]) for path in (folder / "topical_chat" / "conversations").glob("*.json.gz") for chat in _json(path).values()
    ),
    "arena_hard": lambda folder: sum(len(_json_lines(path)) for path in judgments(folder)),
    "fastchat": lambda folder: 2 * sum(len(_json_lines(path)) for path in reviews(folder)),
    "oasst": lambda folder: sum(_ranked(row["prompt"]) for row in _json_lines(folder / "oasst" / "en_100_tree.first60.jsonl")),
    "hh_rlhf": lambda folder: sum(len(_json_lines(path)) for path in (folder / "hh_rlhf").rglob("*.jsonl.gz")),
    "tulu_human_eval": lambda folder: len(_json_lines(next((folder / "tulu_human_eval").rglob("preference_sample.jsonl")))),
    "frontend_exports": lambda folder: sum(
        len(_voted(_json(path))) for part in ("librechat", "openwebui") for path in (folder / "frontend_exports" / part).glob("*.json")
    ),
}


def write(lines: list[Line], path: Path) -> None:
    """The lines as a JSONL file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _json(path: Path) -> Any:
    """A JSON file, packed or not."""
    return json.loads(_unpacked(path))


def _json_lines(path: Path) -> list[Line]:
    """A file of JSON lines, packed or not."""
    return [json.loads(line) for line in _unpacked(path).split(b"\n") if line.strip()]


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


STAGES: dict[str, ModuleType] = {
    stage: importlib.import_module(f"tasks.{stage}.stage")
    for stage in ("ingest", "clean", "dedupe", "validate", "aggregate", "split", "pair")
}


def run_path(raw: Path, out: Path) -> dict[str, dict[str, Account]]:
    """All stages from raw logs to pairs that neither add nor repeat rows, in this process: by stage, the accounts of its tables."""
    out.mkdir()
    reading = dataclasses.replace(pipeline.stage("ingest", ROOT), data=(raw, raw.with_name("erased")))
    ingest.work(reading, load(ROOT / "params.yaml", "ingest", ingest.Params), out)
    now = {name: engine.read_table(out / name) for name in ("turns", "feedback")}
    gone = {name: pq.read_table(folder) for name in now if (folder := out / "dropped" / name).exists()}
    empty = pa.table({"dropped": pa.nulls(0, TEXT)})
    found = {"ingest": {name: _account(name, rows.to_arrow(), gone.get(name, empty)) for name, rows in now.items()}}
    found["ingest"]["quarantine"] = _account("quarantine", engine.read_table(out / "quarantine").to_arrow(), empty)
    for stage, module in list(STAGES.items())[1:]:
        taken = {name: rows for name, rows in now.items() if name in {path.name for path in pipeline.stage(stage, ROOT).data}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            result = module.run(taken, load(ROOT / "params.yaml", stage, module.Params))
        found[stage] = accounts(stage, result, taken)
        now |= {name: kept(account) for name, account in found[stage].items() if name in module.WRITES}
    return found


def _account(name: str, stays: pa.Table, goes: pa.Table) -> Account:
    return Account(name, stays, goes, 0, len(stays) + len(goes), len(stays))
