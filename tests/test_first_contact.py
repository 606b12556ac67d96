"""First contact: small logs with little or no feedback end with what can be made of them, and say what is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.builders.product_logs import asked, choice
from tests.builders.projects import DATA_STAGES, make_project, run_stages
from tests.builders.raw_logs import chat, lines

WORDS = ["area", "edge", "angle", "slope", "depth", "width", "speed", "force", "power", "energy", "mass", "weight", "charge", "current"]
WORDS += ["voltage", "heat", "light", "sound", "wave", "tide", "moon"]


def chats(count: int, **more: object) -> list[dict[str, Any]]:
    return [
        chat(f"c{at}", f"What is the {WORDS[at % 21]} of a {WORDS[(at * 5 + 1) % 21]}?", f"It is {at * 37}.", user_id=f"u{at}") | more
        for at in range(count)
    ]


def thumbs(values: list[int]) -> list[dict[str, Any]]:
    return [
        {"conversation_id": f"c{at}", "kind": "thumb", "message_index": 1, "value": value, "user_id": f"u{at}"}
        for at, value in enumerate(values)
    ]


def compared(questions: list[str], user: str) -> list[dict[str, Any]]:
    """A chat a question, with two answers of which its user (`user` with the number in it) chose one."""
    told = [(f"c{at}", question, user.format(at)) for at, question in enumerate(questions)]
    chats = [asked(name, question, f"That is {name} and more.", f"Nobody knows {name}.", user=who) for name, question, who in told]
    return [*chats, *(choice(name, "a0", "a1", user=who) for name, _, who in told)]


LOGS: dict[str, tuple[list[dict[str, Any]], int, str]] = {  # records, judged answers, what is said
    "no feedback": (chats(20), 0, r"no feedback in any file"),
    "thumbs only": ([*chats(12), *thumbs([1, -1] * 6)], 12, r"no pairs: only 12 rated answers \(for KTO\) and \d+ prompts"),
    "likes only": ([*chats(8), *thumbs([1] * 8)], 8, r"no pairs: only 8 rated answers"),
    "one conversation": (chats(1), 0, r"no feedback in any file"),
    "twelve votes": (compared([chat["messages"][0]["content"] for chat in chats(12)], "u{}"), 0, r"pair: pairs: .* = 12 kept"),
    "one person": (compared([chat["messages"][0]["content"] for chat in chats(20)], "u"), 0, r"pair: pairs: .* = 20 kept"),
    "one prompt": (
        compared(["What is the area of a sphere?"] * 6, "u{}"),
        0,
        r"the \d pairs are linked too closely to fill every split: none in validation and test",
    ),
}
FIRST = "thumbs only"  # of which the others tell more


@pytest.mark.parametrize("log", [pytest.param(log, marks=[pytest.mark.slow] * (log != FIRST)) for log in LOGS])
def test_small_logs_end_with_what_can_be_made_of_them(tmp_path: Path, log: str) -> None:
    records, judged, said = LOGS[log]
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.jsonl").write_bytes(lines(*records))
    project = make_project(tmp_path / "project", tmp_path / "logs")
    output = run_stages(project, DATA_STAGES)
    assert re.search(said, output)
    assert (project / "data" / "release" / "methods.json").is_file()
    unpaired = [pq.read_table(path).num_rows for path in (project / "data" / "10_pair" / "unpaired").glob("*.parquet")]
    assert sum(unpaired) == judged
