"""Claims about whole runs in fresh checkouts; minutes long, so marked slow."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tasks.core import pipeline
from tests.conftest import ROOT

pytestmark = pytest.mark.slow
BIN = Path(sys.executable).parent
QUICK = {  # the training is the same, only shorter
    "start.schedule.max_steps": 10,
    "reward.schedule.max_steps": 10,
    "train.dpo.schedule.max_steps": 10,
    "evaluate.control.seeds": 1,
    "evaluate.generations.prompts": 4,
    "compress.variants": ["half", "int8"],
    "compress.generation.prompts": 4,
}


def checkout(folder: Path) -> Path:
    """The project's files, as they are now but with a short training, in a git repository of their own with nothing built."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    shorten(folder / "params.yaml")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "start"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def shorten(path: Path) -> None:
    """Lay `QUICK` over the parameters."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key, value in QUICK.items():
        *outer, last = key.split(".")
        at = functools.reduce(lambda inner, name: inner[name], outer, document)
        assert last in at, f"there is no parameter {key}"
        at[last] = value
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def environment(root: Path) -> dict[str, str]:
    """Variables under which the commands of this environment run the checkout's own code."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "PAIRWRIGHT_"))}
    return kept | {"PYTHONPATH": str(root), "PATH": f"{BIN}:{os.environ['PATH']}"}


def run(root: Path, *command: str) -> str:
    """Output of the command; the test fails when the command does."""
    done = subprocess.run(
        command, cwd=root, env=environment(root), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which `dvc repro` ran once, from the beginning to the end."""
    root = checkout(tmp_path_factory.mktemp("unbroken"))
    run(root, "dvc", "repro")
    return root


def test_flow_and_dvc_write_the_same_lock_and_a_second_run_does_nothing(unbroken: Path, tmp_path: Path) -> None:
    root = checkout(tmp_path)
    run(root, "pairwright", "run")
    lock = (root / "dvc.lock").read_bytes()
    assert lock == (unbroken / "dvc.lock").read_bytes()
    stamps = {path: path.stat().st_mtime_ns for path in (root / "data").rglob("*.parquet")}
    run(root, "pairwright", "run")
    assert (root / "dvc.lock").read_bytes() == lock
    assert {path: path.stat().st_mtime_ns for path in (root / "data").rglob("*.parquet")} == stamps


def test_a_run_killed_at_every_stage_ends_like_an_unbroken_one(unbroken: Path, tmp_path: Path) -> None:
    root = checkout(tmp_path)
    for name, stage in pipeline.stages(ROOT).items():
        kill_at(root, name, stage.output)
        assert not (root / stage.output).exists(), f"{name} left an output that is not whole"
        run(root, "dvc", "repro", "--single-item", name)
    assert (root / "dvc.lock").read_bytes() == (unbroken / "dvc.lock").read_bytes()


def kill_at(root: Path, name: str, output: Path) -> None:
    """Run the path and `kill -9` everything when the stage has begun to write."""
    process = subprocess.Popen(
        ["dvc", "repro", name],
        cwd=root,
        env=environment(root),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    beside = root / output.with_name(f".{output.name}.new")
    while not beside.exists():
        assert process.poll() is None, f"{name} ended before it wrote anything"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
