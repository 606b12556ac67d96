"""Claims about what must not leave the machine: DVC never carries what lies before redaction, and a clone does without it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from flows import dvc
from tasks.core import pipeline
from tests.builders import toys
from tests.builders.checkouts import checkout, run
from tests.conftest import ROOT

PLANTED = ("jane.doe@example.org", "+49 171 2345678", "jane-1988", "DE89370400440532013000")


def test_only_the_stage_that_redacts_reads_what_is_not_redacted() -> None:
    stages = pipeline.stages(ROOT)
    private = [stage.output for stage in stages.values() if stage.private]
    assert private == [Path("data/01_ingest")]
    readers = {name for name, stage in stages.items() for path in stage.data if any(out == path or out in path.parents for out in private)}
    assert readers == {"clean"}
    for entry in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["ingest"]["outs"]:
        for options in entry.values():
            assert options["persist"], "without it DVC's run cache would keep the output all the same"


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real path up to `clean` over logs with planted values, built and pushed with all that DVC can push; a shared cache beside it."""
    root = checkout(tmp_path_factory.mktemp("pushed") / "project")
    shutil.rmtree(root / "data" / "raw")
    (root / "data" / "raw" / PLANTED[0]).mkdir(parents=True)
    chat = {
        "id": f"desk {PLANTED[1]}",
        "user_id": PLANTED[2],
        "messages": [
            {"role": "user", "content": f"I am {PLANTED[0]}, my account is {PLANTED[3]}, call {PLANTED[1]}"},
            {"role": "assistant", "content": "Thank you, that is all I need."},
        ],
    }
    (root / "data" / "raw" / PLANTED[0] / f"chat {PLANTED[1]}.jsonl").write_text(json.dumps(chat) + "\n", encoding="utf-8")
    run(root, "dvc", "cache", "dir", str(root.parent / "cache"))
    run(root, "dvc", "remote", "add", "--default", "store", str(root.parent / "remote"))
    run(root, "dvc", "repro", "clean")
    run(root, "dvc", "push")
    run(root, "dvc", "push", "--run-cache")
    return root


@pytest.mark.parametrize("place", ["remote", "cache"])
def test_nothing_planted_is_in_what_dvc_keeps_or_pushes(pushed: Path, place: str) -> None:
    folder = pushed.parent / place
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files, "nothing was pushed, so nothing was tried"
    told = b"\n".join(readable(path) for path in files)
    assert [value for value in PLANTED if value.encode() in told] == []
    assert b"[EMAIL_1]" in told, "the redacted text is there, so texts are read as they should be"


def readable(path: Path) -> bytes:
    """A file's bytes, with its cells where it is a table (columns are packed)."""
    import pyarrow.parquet as pq

    data = path.read_bytes()
    return data + (json.dumps(pq.read_table(path).to_pylist(), default=str).encode() if data[:4] == b"PAR1" else b"")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone, all of it pulled, of a toy project whose first stage is private and whose raw logs are not in git."""
    origin = toys.make(tmp_path / "origin", private=True)
    toys.dvc(origin, "remote", "add", "--default", "store", str(tmp_path / "remote"))
    told = toys.dvc(origin, "repro")
    assert "ERROR" not in told, told
    told = toys.dvc(origin, "push")
    assert "pushed" in told, told
    for command in (["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "start"]):
        subprocess.run(["git", *command], cwd=origin, check=True)
    subprocess.run(["git", "clone", "-q", str(origin), str(tmp_path / "clone")], check=True)
    told = toys.dvc(tmp_path / "clone", "pull")
    assert "ERROR" not in told, told
    monkeypatch.chdir(tmp_path / "clone")
    monkeypatch.setenv("PATH", toys.environment()["PATH"])
    return tmp_path / "clone"


def test_a_clone_goes_on_without_the_logs_and_says_what_is_not_there(clone: Path) -> None:
    assert not (clone / toys.FIRST).exists()
    assert (clone / toys.TRAIN / "text.txt").is_file()
    assert toys.pairwright(clone, "status").stdout.splitlines() == [
        "first: left out: private and not on this machine: data/raw.txt, data/01_first",
        "second: left out: private and not on this machine: data/01_first",
        "train: up to date",
        "2 left out, 1 up to date",
    ]
    assert dvc.stale() == {}
    assert "Nothing to do" in toys.pairwright(clone, "run").stdout
    told = toys.dvc(clone, "repro", "--allow-missing")
    assert "Data and pipelines are up to date." in told, told
    toys.set_param(clone, "train", "wait", 0.1)
    assert dvc.stale() == {"train": ["params.yaml:train modified"]}
    dvc.reproduce("train", lambda line: None)
    assert dvc.stale() == {}


def test_a_clone_without_the_logs_does_not_pass_over_what_needs_them(clone: Path) -> None:
    toys.set_param(clone, "second", "wait", 0.1)
    assert set(dvc.stale()) == {"first", "second"}
    (clone / "dvc.lock").unlink()
    assert dvc.left_out() == {}


def test_logs_that_are_there_are_read_again_when_what_was_read_of_them_is_gone(clone: Path) -> None:
    shutil.copy(clone.parent / "origin" / "data" / "raw.txt", clone / "data")
    assert dvc.stale() == {"first": ["data/01_first deleted"], "second": ["data/01_first deleted"]}


def test_the_real_path_goes_on_from_clean_in_a_clone_without_the_logs(pushed: Path, tmp_path: Path) -> None:
    shutil.copytree(pushed, tmp_path / "origin", ignore=lambda _, names: {"data"} & set(names))
    shutil.copytree(pushed / "data" / "erased", tmp_path / "origin" / "data" / "erased")
    for command in (["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "built"]):
        subprocess.run(["git", *command], cwd=tmp_path / "origin", check=True)
    subprocess.run(["git", "clone", "-q", str(tmp_path / "origin"), str(tmp_path / "clone")], check=True)
    root = tmp_path / "clone"
    run(root, "dvc", "pull", "clean")  # all that was built
    assert not (root / "data" / "raw").exists()
    assert run(root, "pairwright", "status", "ingest", "clean").splitlines() == [
        "ingest: left out: private and not on this machine: data/raw, data/01_ingest",
        "clean: left out: private and not on this machine: data/01_ingest/turns, data/01_ingest/feedback, data/01_ingest/files, "
        "data/01_ingest/ledger.json",
    ]
    assert "dedupe: turns: 2 in" in run(root, "dvc", "repro", "--allow-missing", "dedupe")
