"""Claims about the logs of agents: answers that call tools on their way are answers, and what people say of them reaches a trainer.

The log is made here, and so is the count that the tables are held against.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.builders.product_logs import choice, prose, thumb
from tests.builders.projects import DATA_STAGES, make_project, run_stages
from tests.builders.real_sets import Line, run_path, write

TOOLS = ("search", "weather", "run_code", "read_file")


def called(draw: random.Random, number: int) -> Line:
    """An answer's message that calls a tool, with arguments of varying shape."""
    arguments: dict[str, Any] = {"query": prose(f"call {number}", 3), "limit": number % 5, "deep": {"days": [number % 7, 1]}}
    kept = {key: arguments[key] for key in draw.sample(sorted(arguments), 2)}
    function = {"name": draw.choice(TOOLS), "arguments": json.dumps(kept)}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": f"call{number}", "type": "function", "function": function}]}


def agent_log(count: int) -> tuple[list[Line], dict[str, int]]:
    """Chats in which one or two tools are called before an answer is given, and how much of what is in them.

    Of three fifths two answers are compared; in the others there is one answer with a thumb, on it or on the call before it.
    """
    draw, lines, counted = random.Random(7), list[Line](), {"turns": 0, "choices": 0, "thumbs": 0}
    for number in range(count):
        name = f"agent-{number}"
        messages: list[Line] = [{"role": "user", "content": prose(f"task {number}", 12)}]
        for step in range(1 + number % 2):
            messages += [called(draw, number * 2 + step), {"role": "tool", "content": json.dumps({"found": prose(f"{name} {step}", 8)})}]
        compared = number % 5 < 3
        replies = [{"role": "assistant", "content": prose(f"{name} answer {at}", 25)} for at in range(1 + compared)]
        told = [{"id": f"m{at}", "parent_id": f"m{at - 1}" if at else None, **message} for at, message in enumerate(messages)]
        told += [{"id": f"a{at}", "parent_id": f"m{len(messages) - 1}", **reply} for at, reply in enumerate(replies)]
        vote = choice(name, "a0", "a1") if compared else thumb(name, 1 - 2 * (number % 2), "a0" if number % 5 == 3 else "m1")
        lines += [{"id": name, "user_id": f"u-{name}", "messages": told}, vote]
        counted["turns"] += len(told)
        counted["choices" if compared else "thumbs"] += 1
    return lines, counted


def test_answers_that_call_tools_lose_no_turn_vote_or_pair(tmp_path: Path) -> None:
    lines, counted = agent_log(150)
    write(lines, tmp_path / "raw" / "log.jsonl")
    walked = run_path(tmp_path / "raw", tmp_path / "out")
    assert walked["aggregate"]["turns"].kept.num_rows == counted["turns"]
    votes = walked["pair"]["votes"]
    assert (votes.kept.num_rows, votes.dropped.num_rows) == (counted["choices"] + counted["thumbs"], 0)
    assert walked["pair"]["pairs"].kept.num_rows == counted["choices"]
    assert walked["pair"]["unpaired"].kept.num_rows == counted["thumbs"]


@pytest.mark.slow
def test_a_thousand_agent_chats_are_released_as_tool_calling_templates_read_them(tmp_path: Path) -> None:
    import datasets
    import trl
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl import data_utils

    lines, counted = agent_log(1_000)
    write(lines, tmp_path / "logs" / "log.jsonl")
    project = make_project(tmp_path / "project", tmp_path / "logs")
    run_stages(project, DATA_STAGES)
    released = datasets.load_dataset(str(project / "data" / "release"), "preference", cache_dir=str(tmp_path / "cache"))
    rows = [row for split in released.values() for row in split if row["augmented_from"] is None]
    assert len(rows) == counted["choices"]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"x": 0}, unk_token="x")))  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    for template in ("qwen3", "llama3_2"):
        tokenizer.chat_template = (Path(trl.__file__).parent / "chat_templates" / f"{template}.jinja").read_text("utf-8")
        for row in rows:
            spoken = data_utils.apply_chat_template({key: row[key] for key in ("prompt", "chosen", "rejected")}, tokenizer)
            calls = [call["function"] for message in row["prompt"] for call in message["tool_calls"] or []]
            assert calls
            assert all(call["name"] in spoken["prompt"] and isinstance(call["arguments"], dict) for call in calls)
            assert row["chosen"][-1]["content"] in spoken["chosen"]
