"""Claims about inputs in the middle of the path that are not as they were made: the next stage says so in one line, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.builders import projects, stores, toys
from tests.conftest import ROOT

TURNS = Path("data/02_clean/turns/00000.parquet")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project up to `dedupe`, over forty small conversations."""
    raw = tmp_path_factory.mktemp("raw")
    said = ({"role": "user", "content": "How do I turn the router on?"}, {"role": "assistant", "content": "Press the button at the back."})
    lines = [json.dumps({"id": f"c{number}", "messages": said}) for number in range(40)]
    (raw / "log.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    root = projects.make_project(tmp_path_factory.mktemp("made") / "project", raw)
    projects.run_stages(root, ["ingest", "clean", "dedupe"])
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "project", symlinks=True)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def halve(file: Path) -> None:
    pq.write_table(pq.read_table(file).slice(40), file)


def move(file: Path) -> None:
    file.rename(file.with_name("00001.parquet"))


def drop_column(file: Path) -> None:
    pq.write_table(pq.read_table(file).drop_columns(["content"]), file)


def spoil(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200] + b"\0" * 400 + file.read_bytes()[600:])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (cut, f"{TURNS}: found no whole Parquet file; expected a shard of the table turns;"),
        (Path.unlink, f"{TURNS}: found nothing there; expected a shard of the table turns;"),
        (move, f"{TURNS}: found nothing there; expected a shard of the table turns;"),
        (halve, f"{TURNS.parent}: found 40 rows in 1 shards; expected 80, as data/02_clean/ledger.json says;"),
        (drop_column, f"{TURNS}: found no column content; expected the columns of the table turns;"),
        (spoil, f"found Failed to decode parquet column for {TURNS}"),
    ],
)
def test_a_shard_that_is_not_as_it_was_made_stops_the_next_stage_in_one_line(
    project: Path, change: Callable[[Path], None], told: str
) -> None:
    change(project / TURNS)
    before = projects.digests(project / "data" / "03_dedupe")
    done = projects.run_stage(project, "dedupe")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1
    assert told in line
    assert "Traceback" not in done.stderr
    assert projects.digests(project / "data" / "03_dedupe") == before, "the last output is lost"


def test_a_ledger_that_was_cut_is_named(project: Path) -> None:
    (project / "data" / "02_clean" / "ledger.json").write_text('{"turns": {')
    done = projects.run_stage(project, "dedupe")
    assert done.returncode == 1
    assert done.stderr.startswith("error: data/02_clean/ledger.json: found text that is not JSON;"), done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("closed", [TURNS, Path("data/02_clean/ledger.json"), Path("data")])
def test_files_and_folders_that_are_closed_to_us_are_one_line(project: Path, closed: Path) -> None:
    place = project / closed
    place.chmod(0o555 if place.is_dir() else 0)
    command = [sys.executable, "-m", "tasks", "dedupe"]
    if not os.geteuid():  # root without what lets root in everywhere
        if shutil.which("setpriv") is None:
            pytest.skip("root may read everything, and there is no setpriv to change that")
        command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)
    place.chmod(0o755)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith(f"error: {closed}"), done.stderr
    assert "ermission denied" in done.stderr


def test_a_link_that_leads_nowhere_among_the_logs_is_one_line(tmp_path: Path) -> None:
    root = stores.make(tmp_path)
    (root / stores.RAW / "away.jsonl").symlink_to("nowhere")
    for command in (["status"], ["run"]):
        done = toys.pairwright(root, *command)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done
        assert f"{stores.RAW / 'away.jsonl'}: found a link that leads nowhere" in done.stderr
