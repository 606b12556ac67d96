"""Claims about the salt of people's ids: public for the sample alone, secret for all other logs, and never given away."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import cast

import make_sample
import pyarrow.parquet as pq
import pytest

from tasks.common import log_salt, salt
from tasks.core.ids import person_id
from tests.builders.checkouts import checkout, run
from tests.builders.projects import make_project, run_stage
from tests.conftest import ROOT

SAMPLE = ROOT / "data" / "raw" / "sample"
MADE = "made a secret salt"


def logs(root: Path, user: str = "jane", name: str = "own.jsonl") -> None:
    """One conversation that is not the sample's, and a thumb on it."""
    record = {"id": "c", "user_id": user, "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    thumb = {"conversation_id": "c", "kind": "thumb", "value": 1, "message_index": 1, "user_id": user}
    (root / "data" / "raw").mkdir(parents=True, exist_ok=True)
    (root / "data" / "raw" / name).write_text(f"{json.dumps(record)}\n{json.dumps(thumb)}\n", encoding="utf-8")


def ingest(root: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """The stage, with this salt in the environment or none."""
    return run_stage(root, "ingest", PAIRWRIGHT_SALT=given)


def people(root: Path) -> set[str]:
    return set(cast("list[str]", pq.read_table(root / "data/01_ingest/turns", columns=["user_id"])["user_id"].drop_null().to_pylist()))


def mark(root: Path) -> str:
    return (root / ".pairwright" / "fingerprint").read_text().strip()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A project with logs of somebody's own."""
    root = make_project(tmp_path / "own")
    logs(root)
    return root


def test_logs_of_ones_own_get_a_secret_salt_once_and_are_told_so_in_one_line(own: Path) -> None:
    done = ingest(own)
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stderr.splitlines() if MADE in line]) == 1
    secret = own / ".pairwright" / "salt"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert re.fullmatch(r"[0-9a-f]{64}\n", secret.read_text())
    assert people(own) == {person_id("jane", secret.read_text().strip())} != {person_id("jane", salt.PUBLIC)}
    assert secret.read_text().strip() not in done.stdout + done.stderr
    first, before = people(own), secret.read_text()
    done = ingest(own)
    assert (done.returncode, done.stderr) == (0, "")
    assert (people(own), secret.read_text()) == (first, before)
    assert mark(own) == salt.fingerprint(before.strip())
    assert [path.name for path in secret.parent.iterdir() if path != secret] == ["fingerprint"]


def test_two_projects_never_share_a_salt(own: Path, tmp_path: Path) -> None:
    twin = make_project(tmp_path / "twin")
    logs(twin)
    assert ingest(own).returncode == ingest(twin).returncode == 0
    assert people(own).isdisjoint(people(twin))


def test_a_salt_in_the_environment_is_taken_and_no_file_is_made(own: Path) -> None:
    done = ingest(own, "pepper")
    assert (done.returncode, done.stderr) == (0, "")
    assert people(own) == {person_id("jane", "pepper")}
    assert not (own / ".pairwright" / "salt").exists()
    assert mark(own) == salt.fingerprint("pepper")


def test_the_sample_keeps_its_public_salt_wherever_it_lies(tmp_path: Path) -> None:
    root = make_project(tmp_path / "sample")
    (root / "data" / "raw" / "elsewhere").mkdir(parents=True)
    for number, source in enumerate(sorted(SAMPLE.iterdir())):
        shutil.copy(source, root / "data" / "raw" / "elsewhere" / f"{number}.txt")
    done = ingest(root)
    assert (done.returncode, MADE in done.stderr) == (0, False)
    assert not (root / ".pairwright" / "salt").exists()
    assert person_id("customer-1", salt.PUBLIC) in people(root)
    assert mark(root) == (ROOT / ".pairwright" / "fingerprint").read_text().strip() == salt.fingerprint(salt.PUBLIC)


@pytest.mark.parametrize("change", ["beside", "among", "altered"])
def test_anything_beside_or_in_the_sample_means_a_secret_salt(tmp_path: Path, change: str) -> None:
    root = make_project(tmp_path / "mixed")
    shutil.copytree(SAMPLE, root / "data" / "raw" / "sample")
    if change == "altered":
        file = root / "data" / "raw" / "sample" / "battles.jsonl"
        file.write_bytes(file.read_bytes().replace(b"the", b"teh", 1))
    else:
        logs(root, name="own.jsonl" if change == "beside" else "sample/own.jsonl")
    done = ingest(root)
    assert (done.returncode, done.stderr.count(MADE)) == (0, 1), done.stderr
    assert person_id("customer-1", salt.PUBLIC) not in people(root)


def test_digests_of_the_sample_are_those_of_its_generator() -> None:
    assert log_salt.SAMPLE.read_text(encoding="utf-8") == make_sample.digests(make_sample.make()), "run `python data/make_sample.py`"


@pytest.mark.parametrize(
    ("content", "mode", "told", "code"),
    [
        (b"", 0o600, "an empty file", 1),
        (b" \n", 0o600, "an empty file", 1),
        (b"\xff\xfe\x00", 0o600, "bytes that are no text", 1),
        (None, 0o700, "Is a directory", 1),
        (b"pairwright-sample\n", 0o600, "the public salt of the sample", 1),
        (b"my own salt\n", 0o640, "others on this machine may read the salt (mode 640)", 0),
        (b"my own salt\n", 0o604, "chmod 600", 0),
    ],
)
def test_a_salt_file_that_is_not_as_it_should_be_is_one_line(own: Path, content: bytes | None, mode: int, told: str, code: int) -> None:
    secret = own / ".pairwright" / "salt"
    secret.parent.mkdir()
    if content is None:
        secret.mkdir()
    else:
        secret.write_bytes(content)
    secret.chmod(mode)
    done = ingest(own)
    assert done.returncode == code
    assert (told in done.stderr, done.stderr.count("\n")) == (True, 1), done.stderr
    assert (own / "data" / "01_ingest").exists() == (code == 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_salt_file_that_cannot_be_read_is_one_line(own: Path) -> None:
    (own / ".pairwright").mkdir()
    (own / ".pairwright" / "salt").write_text("my own salt")
    (own / ".pairwright" / "salt").chmod(0)
    done = ingest(own)
    assert (done.returncode, done.stderr.count("\n"), "Permission denied" in done.stderr) == (1, 1, True)


def test_the_public_salt_is_refused_for_logs_of_ones_own(own: Path) -> None:
    done = ingest(own, salt.PUBLIC)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "$PAIRWRIGHT_SALT: found the public salt of the sample" in done.stderr


def test_logs_that_hold_nothing_make_no_salt(tmp_path: Path) -> None:
    root = make_project(tmp_path / "empty")
    (root / "data" / "raw").mkdir()
    (root / "data" / "raw" / "readme.txt").write_text("nothing to see")
    assert ingest(root).returncode == 1
    assert not (root / ".pairwright").exists()


def test_a_new_salt_after_a_lost_one_is_told_with_what_it_means(own: Path) -> None:
    ingest(own)
    (own / ".pairwright" / "salt").unlink()
    assert "ids of people differ from those of earlier runs" in ingest(own).stderr


def test_two_runs_that_make_a_salt_at_once_take_the_same(own: Path) -> None:
    code = "import warnings; from tasks.common.log_salt import choose; warnings.simplefilter('ignore'); print(choose([]))"
    env = os.environ | {"PYTHONPATH": str(ROOT), "PAIRWRIGHT_SALT": ""}
    runs = [subprocess.Popen([sys.executable, "-c", code], cwd=own, env=env, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert {run.communicate()[0].strip() for run in runs} == {(own / ".pairwright" / "salt").read_text().strip()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real path under git and DVC over logs of somebody's own, up to `clean`."""
    root = checkout(tmp_path_factory.mktemp("built") / "project")
    shutil.rmtree(root / "data" / "raw")
    logs(root, "jane")
    told = run(root, "dvc", "repro", "clean")
    assert MADE in told
    return root


def test_git_and_dvc_take_the_fingerprint_and_not_the_salt(built: Path) -> None:
    secret = (built / ".pairwright" / "salt").read_text().strip()
    run(built, "git", "add", "-A")
    assert ".pairwright/fingerprint" in run(built, "git", "status", "--short")
    kept = [path for folder in (".git", ".dvc", "data") for path in (built / folder).rglob("*") if path.is_file()]
    assert ".pairwright/salt" not in run(built, "git", "ls-files")
    assert not any(secret.encode() in path.read_bytes() for path in [*kept, built / "dvc.lock"])
    assert "up to date" in run(built, "dvc", "status", "ingest", "clean")


def test_another_salt_makes_ingest_stale_and_a_run_takes_it(built: Path) -> None:
    assert run(built, "pairwright", "status", "ingest").strip() == "ingest: up to date"
    before = people(built)
    (built / ".pairwright" / "salt").write_text("another secret\n")
    assert run(built, "pairwright", "status", "ingest").strip() == "ingest: stale: the salt (see .pairwright/fingerprint) modified"
    run(built, sys.executable, "-c", "from flows import dvc; dvc.reproduce('ingest', print)")
    assert people(built).isdisjoint(before)
    assert run(built, "pairwright", "status", "ingest").strip() == "ingest: up to date"
    (built / ".pairwright" / "fingerprint").write_text("0123456789abcdef\n")
    assert "changed" in run(built, "dvc", "status", "ingest"), "plain DVC looks at the fingerprint"


def test_the_committed_fingerprint_is_the_samples() -> None:
    assert (ROOT / ".pairwright" / "fingerprint").read_text() == salt.fingerprint(salt.PUBLIC) + "\n"
