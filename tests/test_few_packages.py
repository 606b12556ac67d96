"""A machine that only trains, such as a rented GPU, needs neither the engine of the tables nor what draws curves for DVC."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def test_the_trainer_is_there_without_daft_and_dvclive() -> None:
    absent = "import sys; sys.modules.update(daft=None, dvclive=None)"
    stages = "import trainer.start, trainer.reward, trainer.train, trainer.launch"
    subprocess.run([sys.executable, "-c", f"{absent}; {stages}"], cwd=ROOT, check=True)


def test_without_dvclive_there_are_no_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainer.loop import curves

    rows = [{"part": "dpo", "step": 1, "loss": 0.5}]
    curves.write(rows, tmp_path / "with")
    assert (tmp_path / "with/metrics/dpo/loss.tsv").is_file()
    monkeypatch.setitem(sys.modules, "dvclive", None)
    for module in ("dvclive.plots", "dvclive.plots.metric"):
        monkeypatch.setitem(sys.modules, module, None)
    curves.write(rows, tmp_path / "without")
    assert not (tmp_path / "without").exists()
