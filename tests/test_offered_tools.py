"""Claims about the tools that a conversation was offered, and whose call a tool answers: logs tell it, and templates get it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import datasets
import pyarrow as pa
import pytest

from tasks.clean.tool_calls import Tools
from tasks.common import tokenization
from tasks.common.raw_files.files import Unreadable
from tasks.ingest.formats import recognise
from tasks.release import files
from tests.builders.format_examples import read_all
from tests.builders.real_sets import Line, run_path, write
from tests.builders.tool_pairs import call, rows_of
from trainer.data.release_reader import _rows

PARAMETERS: Line = {"type": "object", "properties": {"city": {"type": "string", "description": "A place"}}, "required": ["city"]}
RAIN: Line = {"type": "function", "function": {"name": "rain", "description": "Whether it rains.", "parameters": PARAMETERS}}
TOLD = json.dumps([RAIN], separators=(",", ":"))
ASKED: Line = {"role": "user", "content": "Will it rain?"}
CALLING: Line = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "rain", "arguments": '{"city": "Bergen"}'}}],
}
ANSWERED: Line = {"role": "tool", "tool_call_id": "call_1", "name": "rain", "content": "12 mm"}
CHAT: list[Line] = [ASKED, CALLING, ANSWERED, {"role": "assistant", "content": "Yes."}]
FLAT: Line = {"name": "rain", "description": "Whether it rains.", "parameters": PARAMETERS}
ANTHROPIC: Line = {"name": "rain", "description": "Whether it rains.", "input_schema": PARAMETERS}


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("jsonl", {"id": "c", "messages": CHAT, "tools": [RAIN]}),
        ("jsonl", {"id": "c", "messages": CHAT[:1], "tools": json.dumps([RAIN])}),  # bare messages too
        ("openai", {"messages": CHAT, "tools": [RAIN], "parallel_tool_calls": True}),
        ("openai", {"messages": CHAT, "tools": [{"type": "function"} | FLAT, {"type": "web_search"}]}),
        ("openai", {"messages": CHAT, "tools": [ANTHROPIC]}),
        ("openai", {"messages": CHAT, "functions": [FLAT]}),
        ("openai", {"messages": CHAT[:3], "tools": [RAIN], "chosen": CHAT[3], "rejected": {"role": "assistant", "content": "No."}}),
        (
            "openai",
            {
                "input": {"messages": CHAT[:3], "tools": [RAIN]},
                "preferred_output": CHAT[3:],
                "non_preferred_output": [{"role": "assistant", "content": "No."}],
            },
        ),
        ("sharegpt", {"tools": TOLD, "conversations": [{"from": "human", "value": "Rain?"}, {"from": "gpt", "value": "Yes."}]}),
        ("preference", {"prompt": CHAT[:3], "tools": TOLD, "chosen": CHAT[3:], "rejected": [{"role": "assistant", "content": "No."}]}),
        ("preference", {"prompt": "Rain?", "tools": TOLD, "completion": "Yes.", "label": True}),
    ],
)
def test_the_first_message_has_the_tools_in_one_shape_with_keys_in_the_logs_order(name: str, record: dict[str, Any]) -> None:
    assert recognise(record) == name
    turns, _, _ = read_all(name, record)
    tools = [row["tools"] for row in sorted(turns, key=lambda row: row["position"])]
    assert (tools[0], {*tools[1:]} - {None}) == (TOLD, set())


def test_a_tools_message_names_the_call_that_it_answers() -> None:
    turns, _, _ = read_all("openai", {"messages": CHAT})
    assert [(row["tool_call_id"], row["tool_name"]) for row in turns] == [(None, None), (None, None), ("call_1", "rain"), (None, None)]
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "12 mm"}]}
    turns, _, _ = read_all("openai", {"messages": [ASKED, result]})
    assert turns[1]["tool_call_id"] == "toolu_1"


@pytest.mark.parametrize("tools", [[], None, "none", {}, [3, {"type": "web_search"}, {"function": {"name": ""}}]])
def test_what_names_no_tool_is_none(tools: object) -> None:
    turns, _, _ = read_all("openai", {"messages": CHAT, "tools": tools})
    assert {row["tools"] for row in turns} == {None}


def test_a_schema_that_is_too_deep_costs_the_record() -> None:
    deep: Any = {}
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(Unreadable, match="bad_tools"):
        read_all("openai", {"messages": CHAT, "tools": [{"name": "rain", "parameters": deep}]})


def test_texts_of_schemas_are_redacted_in_place_and_their_language_stays() -> None:
    schema = {"$schema": "https://json-schema.org/draft", "title": "x", "default": ["secret"]}
    column = pa.array([None, json.dumps([{"type": "function", "function": {"name": "rain", "parameters": schema}}])], pa.large_string())
    tools = Tools(column)
    assert tools.rows.to_pylist() == [1] * len(tools.texts)
    texts = cast("list[str]", tools.texts.to_pylist())
    assert not any("json-schema.org" in text for text in texts)
    changed = tools.put(pa.array([text.replace("secret", "[KEY_1]") for text in texts], pa.large_string()))
    assert changed.to_pylist() == [None, json.dumps(json.loads(column[1].as_py()), separators=(",", ":")).replace("secret", "[KEY_1]")]


def weather_log(count: int) -> list[Line]:
    """Chats with a choice that read alike; a quarter was offered rain, a quarter snow, and the others nothing."""
    lines: list[Line] = []
    for number in range(count):
        function: Line = {**FLAT, "name": "rain" if number % 4 else "snow"}
        offered: Line = {} if number % 2 else {"tools": [{"type": "function", "function": function}]}
        messages: list[Line] = [
            message | {"id": f"m{at}", "parent_id": f"m{at - 1}" if at else None} for at, message in enumerate(CHAT[:3])
        ]
        for at, text in enumerate(("Yes", "No")):
            messages.append({"id": f"a{at}", "parent_id": "m2", "role": "assistant", "content": f"{text} {number}."})
        lines.append({"id": f"c{number}", "messages": messages, **offered})
        lines.append({"conversation_id": f"c{number}", "kind": "choice", "better": "a0", "worse": "a1", "user_id": f"u{number}"})
    return lines


@pytest.mark.slow
def test_prompts_that_were_offered_other_tools_are_other_prompts(tmp_path: Path) -> None:
    write(weather_log(8), tmp_path / "raw" / "log.jsonl")
    walked = run_path(tmp_path / "raw", tmp_path / "out")
    made = [row for row in walked["pair"]["pairs"].kept.to_pylist() if row["augmented_from"] is None]
    assert len(made) == 8
    offered = {row["prompt_id"]: json.loads(row["prompt"][0]["tools"] or "[]") for row in made}
    assert sorted([tool["function"]["name"] for tool in tools] for tools in offered.values()) == [[], ["rain"], ["snow"]]
    assert all(row["prompt"][2]["tool_call_id"] == "call_1" and row["prompt"][2]["name"] == "rain" for row in made)


@pytest.fixture
def rows() -> pa.Table:
    """One pair whose prompt was offered a tool and called it, and one whose prompt was not."""
    return rows_of([call("rain", city="Bergen")], "12 mm", offered=TOLD, tool_call_id="call_1", tool_name="rain")


@pytest.mark.slow
def test_a_release_has_the_tools_in_a_column_that_trl_gives_to_templates_and_so_does_the_trainer(rows: pa.Table, tmp_path: Path) -> None:
    import trl
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl import data_utils

    file = tmp_path / "train.parquet"
    file.write_bytes(files.parquet(files.portable(files.as_trainers_read(rows, files.optional_fields({"pairs": rows})))))
    read = datasets.load_dataset("parquet", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    released = {row["prompt"][0]["content"]: row for row in read}
    assert {name: row["tools"] for name, row in released.items()} == {"Will it rain?": TOLD, "Is it windy?": None}
    assert released["Will it rain?"]["prompt"][2] == {
        "role": "tool",
        "content": "12 mm",
        "tool_calls": None,
        "tool_call_id": "call_1",
        "name": "rain",
    }
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"x": 0}, unk_token="x")))  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    ours = {row["prompt"][0]["content"]: row["prompt"] for row in _rows(file, ["prompt"])}
    for template in ("qwen3", "llama3_2"):
        tokenizer.chat_template = (Path(trl.__file__).parent / "chat_templates" / f"{template}.jinja").read_text("utf-8")
        for name, row in released.items():
            tools = json.loads(row["tools"]) if isinstance(row["tools"], str) else row["tools"]  # as TRL's trainers do
            spoken = data_utils.apply_chat_template({key: row[key] for key in ("prompt", "chosen", "rejected")}, tokenizer, tools=tools)
            assert ("Whether it rains." in spoken["prompt"]) == (name == "Will it rain?")
            assert tokenization.written(tokenizer, ours[name], prompt=True) == spoken["prompt"]


def test_a_release_of_plain_chats_has_no_such_fields(rows: pa.Table) -> None:
    plain = rows.filter(pa.array([row["prompt"][0]["content"] == "Is it windy?" for row in rows.to_pylist()]))
    made = files.as_trainers_read(plain, files.optional_fields({"pairs": plain}))
    assert made.column_names == plain.column_names
    assert [field.name for field in made.schema.field("prompt").type.value_type] == ["role", "content"]
