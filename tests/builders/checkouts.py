"""The project in a repository of its own with a short training; its commands, and killing them."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests.conftest import ROOT

BIN = Path(sys.executable).parent
QUICK = {  # the training is the same, only shorter
    "start.schedule.max_steps": 10,
    "reward.schedule.max_steps": 10,
    "train.dpo.schedule.max_steps": 10,
    "evaluate.control.seeds": 1,
    "evaluate.generations.prompts": 4,
    "compress.variants": ["half", "int8"],
    "compress.generation.prompts": 4,
    "compare.generations.prompts": 4,
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


def kill_at(root: Path, name: str, output: Path) -> bool:
    """Run the path and `kill -9` everything when the stage has begun to write; False where it was whole before anybody saw it begin."""
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
        if process.poll() is not None:
            return False
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True
