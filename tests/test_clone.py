"""Claims about whole runs in fresh checkouts; minutes long, so marked slow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.core import pipeline
from tests.builders.checkouts import checkout, kill_at, run
from tests.conftest import ROOT

pytestmark = pytest.mark.slow
QUICK = ("compare", "promote")  # without a champion they copy some files, in less time than it takes to see that and to kill them


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
        begun = kill_at(root, name, stage.output)
        if name not in QUICK:
            assert begun, f"{name} ended before it wrote anything"
            assert not (root / stage.output).exists(), f"{name} left an output that is not whole"
        run(root, "dvc", "repro", "--single-item", name)
    assert (root / "dvc.lock").read_bytes() == (unbroken / "dvc.lock").read_bytes()
