"""Claims about tools that answers call: a prompt keeps the calls, and the release gives them to trainers as templates read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest

from tasks.common import tokenization
from tasks.core.tables import Prompts, Unpaired
from tasks.release import files, gate_columns
from tests.builders.tool_pairs import rows_of

CALLS = [
    {"function": {"arguments": {"city": "Bergen"}, "name": "rain"}, "id": "c1", "type": "function"},
    {"function": {"arguments": {"days": [1, 2]}, "name": "wind"}, "id": "c2", "type": "function"},
]


@pytest.fixture
def rows() -> pa.Table:
    """One pair whose prompt calls two tools of different arguments, and one whose prompt calls none."""
    return rows_of(CALLS, '{"mm": 12}')


def released(rows: pa.Table, tmp_path: Path) -> list[dict[str, Any]]:
    """The rows as `datasets` reads them from the release's file."""
    (tmp_path / "train.parquet").write_bytes(
        files.parquet(files.portable(files.as_trainers_read(rows, files.optional_fields({"pairs": rows}))))
    )
    result = datasets.load_dataset("parquet", data_files=str(tmp_path / "train.parquet"), split="train", cache_dir=str(tmp_path / "cache"))
    return list(result)


def test_a_prompt_keeps_the_tools_that_were_called_and_passes_the_gate(rows: pa.Table) -> None:
    prompts = {row["prompt"][0]["content"]: row["prompt"] for row in rows.to_pylist()}
    assert [message["role"] for message in prompts["Will it rain?"]] == ["user", "assistant", "tool"]
    assert json.loads(prompts["Will it rain?"][1]["tool_calls"]) == CALLS
    tables = {"pairs": rows, "unpaired": Unpaired.schema().empty_table(), "prompts": Prompts.schema().empty_table()}
    assert gate_columns.flatten(tables)["pairs"]["has_prompt"].to_pylist() == [True, True]


def test_datasets_reads_calls_as_objects_whatever_their_arguments(rows: pa.Table, tmp_path: Path) -> None:
    read = {row["prompt"][0]["content"]: row["prompt"] for row in released(rows, tmp_path)}
    assert read["Will it rain?"][1]["tool_calls"] == CALLS
    assert read["Is it windy?"][0]["tool_calls"] is None


def test_without_calls_the_release_has_no_such_field(rows: pa.Table, tmp_path: Path) -> None:
    plain = rows.filter(pa.array([row["prompt"][0]["content"] == "Is it windy?" for row in rows.to_pylist()]))
    assert [set(message) for row in released(plain, tmp_path) for message in row["prompt"]] == [{"role", "content"}]


def test_templates_get_objects_and_no_empty_fields(rows: pa.Table, tmp_path: Path) -> None:
    for shown in ([row["prompt"] for row in rows.to_pylist()], [row["prompt"] for row in stored(rows)]):
        spoken = {messages[0]["content"]: tokenization.spoken(messages) for messages in shown}
        assert spoken["Will it rain?"][1] == {"role": "assistant", "content": "", "tool_calls": CALLS}
        assert spoken["Is it windy?"] == [{"role": "user", "content": "Is it windy?"}]


def stored(rows: pa.Table) -> list[dict[str, Any]]:
    """The rows as the trainer reads them from a release."""
    return [dict(row) for row in files.portable(files.as_trainers_read(rows, {"tool_calls"})).to_pylist()]
