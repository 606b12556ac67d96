"""Real benchmarks and real prompts among the real inputs, as texts: for what is planted, and for what must not be found."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tasks.decontaminate.benchmarks import PROMPT, read_items

BENCHMARKS = {
    "mt_bench.jsonl": "fastchat/fastchat/llm_judge/data/mt_bench/question.jsonl",
    "vicuna.jsonl": "fastchat/fastchat/llm_judge/data/vicuna_bench/question.jsonl",
    "arena_hard.jsonl": "arena_hard/data/arena-hard-v0.1/question.jsonl",
    "gsm8k.jsonl": "gsm8k/grade_school_math/data/test.jsonl",
    "humaneval.jsonl.gz": "humaneval/data/HumanEval.jsonl.gz",
    "self_instruct.jsonl": "self_instruct/human_eval/user_oriented_instructions.jsonl",
    "self_instruct_seed.jsonl": "self_instruct/data/seed_tasks.jsonl",
}
MODEL = "models/potion-base-4m-int8"


def benchmark_items(shared_data: Path, scratch: Path) -> pa.Table:
    """The prompts of all benchmarks' items, read from links in the scratch folder."""
    scratch.mkdir()
    for name, place in BENCHMARKS.items():
        (scratch / name).symlink_to(shared_data / place)
    items = read_items(scratch)
    return items.filter(pc.equal(items["part"], pa.scalar(PROMPT)))


def real_prompts(shared_data: Path) -> list[str]:
    """What people really asked, without copies: the user turns of two sets."""
    return sorted({*_transcripts(shared_data / "hh_rlhf"), *_trees(shared_data / "oasst" / "en_100_tree.first60.jsonl")})


def chats(shared_data: Path) -> list[str]:
    """What people really said to each other, without copies: the messages of two sets, grouped by sender."""
    said = set()
    for talk in json.loads(gzip.decompress((shared_data / "chitchat" / "dataset.json.gz").read_bytes())).values():
        said |= {" ".join(bubble["text"] for bubble in group) for group in talk["messages"]}
    for path in sorted((shared_data / "topical_chat" / "conversations").iterdir()):
        for talk in json.loads(gzip.decompress(path.read_bytes())).values():
            said |= {" ".join(turn["message"]) if isinstance(turn["message"], list) else turn["message"] for turn in talk["content"]}
    return sorted(said)


def same_as_self_instruct(shared_data: Path) -> list[str]:
    """The prompts of PandaLM's test set, which its authors took from Self-Instruct."""
    rows = json.loads((shared_data / "pandalm" / "data" / "testset-v1.json").read_bytes())
    return sorted({"\n".join(part for part in (row["instruction"], row["input"]) if part) for row in rows})


def _transcripts(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines():
            turns = re.split(r"\n\n(?=Human: |Assistant: )", json.loads(line)["chosen"])
            yield from (turn.strip().removeprefix("Human: ") for turn in turns if turn.strip().startswith("Human: "))


def _trees(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line:
            yield from _asked(json.loads(line)["prompt"])


def _asked(message: dict[str, Any]) -> Iterator[str]:
    if message["role"] == "prompter":
        yield message["text"]
    for reply in message.get("replies", []):
        yield from _asked(reply)
