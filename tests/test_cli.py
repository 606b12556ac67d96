"""Claims about the command `pairwright`: what it prints, how fast it has nothing to do, and how it says what is wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows import cli, exit_codes, report
from flows.commands import status
from flows.trace import backward, lines
from tasks.core.errors import UserError
from tasks.core.tables import TABLES, Table
from tests.builders import toys
from tests.builders.toys import pairwright
from tests.conftest import ROOT
from trainer.evaluation import verdict


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy project that `pairwright run` built; tests only read it."""
    root = toys.make(tmp_path_factory.mktemp("built") / "toy")
    done = pairwright(root, "run")
    assert done.returncode == 0, done.stderr
    (root / "told.txt").write_text(done.stdout)
    return root


def test_run_tells_what_each_stage_did(built: Path) -> None:
    told = (built / "told.txt").read_text()
    assert "To run: first, second, train" in told
    first = next(line for line in told.splitlines() if line.startswith("first"))
    assert first.split()[:-1] == ["first", "ran", "turns", "1,234", "0", "1,200", "34"]
    assert float(first.split()[-1]) > 0


def test_run_with_nothing_to_do_is_quick_and_starts_no_prefect(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "toy", symlinks=True)
    shutil.rmtree(tmp_path / "toy" / ".prefect")
    began = os.times()
    done = pairwright(tmp_path / "toy", "run")
    spent = os.times()
    assert done.returncode == 0
    assert "Nothing to do: every stage is up to date." in done.stdout
    assert not (tmp_path / "toy" / ".prefect").exists()
    assert spent.children_user + spent.children_system - began.children_user - began.children_system < 5


def test_status_says_what_is_stale_and_what_waits_for_it(built: Path, tmp_path: Path) -> None:
    root = shutil.copytree(built, tmp_path / "toy")
    assert pairwright(root, "status").stdout.splitlines() == [
        "first: up to date",
        "second: up to date",
        "train: up to date",
        "3 up to date",
    ]
    toys.set_param(root, "second", "wait", 0.5)
    lines = ["first: up to date", "second: stale: params.yaml:second modified", "train: waits for second"]
    assert pairwright(root, "status").stdout.splitlines() == [*lines, f"1 up to date, 1 stale, 1 waiting; {status.TO_RUN}"]
    assert pairwright(root, "status", "train").stdout.splitlines() == lines[2:]


def one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command failed with one line on stderr that holds the words."""
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert all(word in done.stderr for word in words), done.stderr


def test_mistakes_are_one_line(built: Path, tmp_path: Path) -> None:
    one_line(pairwright(built, "status", "frist"), "'frist'", "first, second, train")
    one_line(pairwright(tmp_path, "run"), "no dvc.yaml, here or above", "pairwright init")
    root = shutil.copytree(built, tmp_path / "toy")
    shutil.move(root / ".dvc", root / "hidden")
    one_line(pairwright(root, "run"), "no .dvc", "dvc init")
    shutil.move(root / "hidden", root / ".dvc")
    shutil.move(root / ".git", root / "hidden")
    one_line(pairwright(root, "run"), "no .git", "git init")
    shutil.move(root / "hidden", root / ".git")
    one_line(pairwright(root, "serve", PREFECT_API_URL="http://127.0.0.1:9/api"), "PREFECT_API_URL")
    (root / "params.yaml").write_text("first: {wait: [}")
    one_line(pairwright(root, "run"), "params.yaml")


def test_reader_who_has_enough_causes_no_traceback(built: Path) -> None:
    piped = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "status"], cwd=built, env=toys.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert piped.stdout
    piped.stdout.close()
    assert piped.stderr
    assert b"Traceback" not in piped.stderr.read()
    assert piped.wait(60) == exit_codes.NOBODY_READS


def test_wrong_usage_shows_the_usage() -> None:
    done = pairwright(ROOT, "rnu")
    assert done.returncode == 2
    assert "usage: pairwright" in done.stderr
    for command in ("run", "serve", "status", "trace", "versions", "diff", "rollback"):
        assert command in pairwright(ROOT, "--help").stdout


def test_run_says_who_holds_the_lock_and_does_not_wait(built: Path, tmp_path: Path) -> None:
    root = shutil.copytree(built, tmp_path / "toy")
    toys.set_param(root, "first", "wait", 60)
    command = [sys.executable, "-m", "dvc", "repro", "first"]
    env = toys.environment() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    other = subprocess.Popen(command, cwd=root, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert any("begins" in line for line in other.stdout or ())
        one_line(pairwright(root, "run", "--no-wait"), "other DVC commands at work here", f"process {other.pid}")
    finally:
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()


@pytest.mark.slow
def test_stopped_run_leaves_no_process_and_no_lock(built: Path, tmp_path: Path) -> None:
    root = shutil.copytree(built, tmp_path / "toy")
    toys.set_param(root, "first", "wait", 120)
    command = [sys.executable, "-m", "flows.cli", "run"]
    process = subprocess.Popen(command, cwd=root, env=toys.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert any("first: begins" in line for line in process.stdout or ())
    process.terminate()
    told, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "stopped" in told
    assert "Traceback" not in told
    deadline = time.monotonic() + 15
    while (left := at_work_in(root)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left
    toys.set_param(root, "first", "wait", 0)
    assert "up to date" in pairwright(root, "status").stdout


def at_work_in(root: Path) -> list[str]:
    """Command lines of processes whose working folder is `root`."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if (folder / "cwd").readlink() == root:
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue  # ended meanwhile, or another person's
    return found


def write(table: type[Table], folder: Path, **row: object) -> None:
    """One row of a table; what is not given is null, an empty list or nought."""
    schema = table.schema()
    folder.mkdir(parents=True)
    rows = pa.Table.from_pylist([{name: row.get(name) for name in schema.names}], schema=schema)
    pq.write_table(rows, folder / "00000.parquet")


def traced(wanted: str) -> list[str]:
    return list(lines.told(backward.back(wanted), []))


def test_trace_leads_from_a_pair_to_its_raw_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="nothing there"):
        traced("abc")
    write(TABLES["files"], Path("data/01_ingest/files"), file="f1", name="day/chats.jsonl", bytes=1, records=2, quarantined=0)
    row = {"recipe": "choice", "split": "train", "prompt_id": "p1", "votes": ["v1"], "origins": ["f1:17:3", "f9:1:0"]}
    write(TABLES["pairs"], Path("data/10_pair/pairs"), pair_id="abcdef", **row)
    said = {"kind": "choice", "value": 1.0, "better": "r1", "worse": "r2", "annotator_kind": "person", "origin": "f1:18:-1"}
    write(TABLES["votes"], Path("data/10_pair/votes"), feedback_id="v1", prompt_id="p1", **said)
    write(TABLES["unpaired"], Path("data/10_pair/unpaired"), example_id="e1", prompt_id="p1", origins=["f1:1:1"])
    write(TABLES["prompts"], Path("data/10_pair/prompts"), prompt_id="p1", origins=["f1:1:1"])
    place = {"file": "f1", "record": 17, "position": 3}
    write(TABLES["turns"], Path("data/01_ingest/turns"), turn_id="a", content="Write  to ann@example.com &amp; Bob ", origin=place)
    write(TABLES["turns"], Path("data/02_clean/turns"), turn_id="a", content="Write to [EMAIL_1] & Bob", origin=place)
    told = traced("abc")
    assert told[0] == "pair_id abcdef"
    assert "  recipe: choice" in told
    assert "  vote v1: choice 1.0 r1 over r2, by person unknown, from f1:18:-1" in told
    assert "  cleaning, in 1 messages: redacted 1 EMAIL; 1 repaired" in told
    assert told[-2:] == [
        "  from data/raw/day/chats.jsonl, record 17, position 3",
        "  from file f9 (not among the files of the last ingest), record 1, position 0",
    ]
    assert traced("e1")[0] == "example_id e1"
    shutil.move("data/01_ingest", "away")  # as in a clone, which has only what `clean` passes on
    assert traced("abc")[-2].startswith("  from file f1 (not among")
    assert any("repairs unknown" in line for line in traced("abc"))
    write(TABLES["files"], Path("data/02_clean/files"), file="f1", name="[EMAIL].jsonl", bytes=1, records=2, quarantined=0)
    assert traced("abc")[-2] == "  from data/raw/[EMAIL].jsonl, record 17, position 3"
    with pytest.raises(UserError, match="no such row"):
        traced("zzz")


def test_the_old_name_of_trace_is_refused_with_the_new_one() -> None:
    done = pairwright(ROOT, "where", "abc")
    assert done.returncode != 0
    assert "run `pairwright trace abc`" in done.stderr


def test_outcome_compares_with_the_reference() -> None:
    figures: dict[str, float | str] = {
        "test_accuracy": 0.8125,
        "test_accuracy_low": 0.7,
        "test_accuracy_high": 0.9,
        "test_pairs": 64,
        "test_likelihood_policy": 0.7,
        "test_likelihood_reference": 0.5,
        "phrase": "prefers better, writes worse: 28 % of its answers never end",
    }
    told = report.held_out(figures)
    assert told.startswith("test accuracy 0.812 [0.700, 0.900] on 64 pairs (reference 0.500)")
    assert told.endswith("(reference 0.500): prefers better, writes worse: 28 % of its answers never end")
    assert report.listed({"a": 1}) == "a 1"
    assert report.VERDICT == verdict.NAME


def test_what_is_handed_over_stands_beside_what_was_trained() -> None:
    figures = {"pick_bytes": 1_100_000, "original_bytes": 4_400_000, "pick_test_accuracy": 0.82, "original_test_accuracy": 0.83}
    assert report.handed_over(figures) == "1.1 MB of the policy's 4.4, test accuracy 0.820 (the policy's 0.830)"


@pytest.mark.parametrize(("option", "value"), [("--seed", "-1"), ("--seed", str(2**32)), ("--seed", "x"), ("--max-new-tokens", "x")])
def test_numbers_that_no_chat_can_use_are_refused_before_a_model_is_read(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["chat", "--model", "none", "--prompt", "x", option, value])
    assert "whole number" in capsys.readouterr().err
