"""Sweeps: DVC's queue tries values of a parameter in copies of a workspace, as the how-to page says."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.builders import toys

PATIENCE = 240  # seconds until a queue of two toys is given up


def git(root: Path, *arguments: str) -> str:
    """What git says."""
    who = ("-c", "user.name=Toy", "-c", "user.email=toy@localhost")
    return subprocess.run(["git", *who, *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_a_queue_tries_values_in_copies_and_leaves_the_workspace_as_it_is(tmp_path: Path) -> None:
    root = toys.make(tmp_path / "toy")
    toys.dvc(root, "repro", "second")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "A toy with its lock")
    before = (root / "params.yaml").read_bytes()
    toys.dvc(root, "exp", "run", "--queue", "--single-item", "-S", "second.wait=0.01,0.02", "second")
    toys.dvc(root, "queue", "start", "--jobs", "1")
    until = time.monotonic() + PATIENCE
    while (said := toys.dvc(root, "queue", "status")).count("Success") < 2 and "Failed" not in said and time.monotonic() < until:
        time.sleep(2)
    assert said.count("Success") == 2, said
    assert (root / "params.yaml").read_bytes() == before
    assert git(root, "status", "--short") == ""
    table = toys.dvc(root, "exp", "show", "--csv", "--only-changed")
    assert "0.01" in table
    assert "0.02" in table
