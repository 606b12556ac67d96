"""Claims about `examples/`: each runs, and gives what its page says."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tasks.common.raw_files.files import Unreadable
from tasks.ingest.formats import FORMATS, Format, recognise
from tasks.ingest.formats.columns import TableBuilder
from tasks.ingest.formats.loose_messages import Place
from tests.builders.projects import DATA_STAGES, make_project
from tests.conftest import ROOT

EXAMPLES = ROOT / "examples"
STAGES = """
import sys
from tasks.core import shell, table_io
sys.exit(any(shell.main("tasks", [stage], table_io.run) for stage in sys.argv[1:]))
"""
TICKET = {"ticket": 17, "asked": "Where is my parcel?", "bot": "With the carrier.", "smiley": ":)", "customer": "ann"}


def python(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python in the folder, with the project on its path."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "HF_HOME": str(root / "hub")}
    return subprocess.run([sys.executable, *arguments], cwd=root, env=env, capture_output=True, text=True, check=False)


def built(root: Path, log: Path, stages: list[str]) -> Path:
    """A project in which the stages ran over the log, all in one process, because starting one costs more than these few rows."""
    make_project(root)
    (root / "data" / "raw").mkdir()
    (root / "data" / "raw" / "log.jsonl").write_bytes(log.read_bytes())
    done = python(root, "-c", STAGES, *stages)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def test_five_lines_become_the_release_that_their_page_shows(tmp_path: Path) -> None:
    root = built(tmp_path / "project", EXAMPLES / "five_lines" / "log.jsonl", DATA_STAGES)
    done = python(root, str(EXAMPLES / "read_release" / "read_release.py"), "data/release")
    assert done.returncode == 0, done.stderr
    page = (EXAMPLES / "five_lines" / "README.md").read_text(encoding="utf-8")
    assert done.stdout == re.findall(r"\n\n```\n(.*?)```", page, re.DOTALL)[-1]
    tutorial = (ROOT / "docs/tutorial/from-an-export-to-a-chat.md").read_text(encoding="utf-8")
    assert (EXAMPLES / "five_lines" / "log.jsonl").read_text(encoding="utf-8") in tutorial


def test_a_table_of_votes_becomes_a_log_of_which_every_line_is_read(tmp_path: Path) -> None:
    log = tmp_path / "votes.jsonl"
    done = python(tmp_path, str(EXAMPLES / "own_columns" / "convert.py"), str(EXAMPLES / "own_columns" / "votes.csv"), str(log))
    assert done.returncode == 0, done.stderr
    root = built(tmp_path / "project", log, ["ingest"])
    ledger = json.loads((root / "data/01_ingest/ledger.json").read_text(encoding="utf-8"))
    assert {table: ledger[table]["kept"] for table in ("records", "turns", "feedback", "quarantine")} == {
        "records": 6,
        "turns": 9,
        "feedback": 3,
        "quarantine": 0,
    }


def test_the_page_on_own_columns_shows_code_that_does_the_same(tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/sources/own-columns.md").read_text(encoding="utf-8")
    (tmp_path / "data" / "raw").mkdir(parents=True)
    rows = (EXAMPLES / "own_columns" / "votes.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "votes.csv").write_text("\n".join(row for row in rows if not row.endswith(",tie")), encoding="utf-8")
    done = python(tmp_path, "-c", re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0])
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "data/raw/votes.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [FORMATS["jsonl"].recognise(line) for line in lines] == [True] * 4
    assert [(line["better"], line["worse"]) for line in lines[1::2]] == [("a", "b"), ("b", "a")]


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    """The example of a format."""
    spec = importlib.util.spec_from_file_location("desk_notes", EXAMPLES / "own_format" / "desk_notes.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_of_a_format_knows_its_own_records_only(reader: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "desk_notes", Format(reader.recognise, reader.read))
    assert recognise(TICKET) == "desk_notes"
    for name in set(FORMATS) - {"desk_notes"}:
        records = json.loads((ROOT / "tests" / "examples" / f"{name}.json").read_text(encoding="utf-8"))["records"]
        assert not any(reader.recognise(record) for record in records)


@pytest.mark.parametrize(("smiley", "values"), [(":)", [1.0]), (":(", [-1.0]), (":|", []), (None, [])])
def test_the_example_of_a_format_reads_a_smiley_as_a_thumb_and_guesses_none(
    reader: ModuleType, smiley: str | None, values: list[float]
) -> None:
    gatherer = TableBuilder(lambda: "pepper")
    assert not list(gatherer.add("desk_notes", Place("0" * 16, 0), reader.read(TICKET | {"smiley": smiley})))
    turns, _ = gatherer.turns()
    assert turns["content"].to_pylist() == ["Where is my parcel?", "With the carrier."]
    assert gatherer.feedback()["value"].to_pylist() == values


def test_the_example_of_a_format_says_what_it_expected(reader: ModuleType) -> None:
    with pytest.raises(Unreadable, match="expected texts"):
        reader.read(TICKET | {"bot": None})
