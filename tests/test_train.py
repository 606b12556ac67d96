"""train: the policy learns from the release that its start was made from, and the same run gives the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.core import params
from tasks.core.errors import UserError
from tests.conftest import ROOT
from tests.training import COUNTS, digests, released, run, tiny
from trainer import train
from trainer.core import release


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a tiny finished run."""
    root = tmp_path_factory.mktemp("trained")
    released(root)
    for name in ("start", "train"):
        run(root, name)
    return root


def test_writes_the_policy_beside_its_reference(trained: Path) -> None:
    policy, reference = digests(trained / "data/models/policy"), digests(trained / "data/models/start")
    assert _without_curves(policy) == _without_curves(reference)
    assert policy["model.safetensors"] != reference["model.safetensors"]
    assert policy["tokenizer.json"] == reference["tokenizer.json"]
    told = json.loads((trained / "data/models/policy/trained_on.json").read_text())
    assert told["release"] == release.verified(trained / "data/release")
    metrics = json.loads((trained / "data/models/policy/metrics.json").read_text())
    assert (metrics["pairs"], metrics["left_out"]) == (COUNTS["train"], 0)


def _without_curves(files: dict[str, str]) -> set[str]:
    """Names of files, but for the tables of figures: each method has its own."""
    return {name for name in files if not name.startswith("curves/")}


def test_the_same_run_on_one_core_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/release").symlink_to(trained / "data/release")
    code = "import os, pathlib; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from tests import training as t; "
    code += f"[t.run(pathlib.Path({str(tmp_path)!r}), name) for name in ('start', 'train')]"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "5", "OMP_NUM_THREADS": "1"}, check=True)
    assert digests(tmp_path / "data/models") == digests(trained / "data/models")


def test_before_its_first_step_the_policy_is_the_reference(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(trained, "train", tiny("train"))
    first = next(line for line in capsys.readouterr().out.splitlines() if "dpo: step 1" in line)
    assert "loss 0.6931" in first, "log 2"


def test_an_unknown_loss_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("loss: sigmoid", "loss: discopop")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"train.dpo.loss: found 'discopop'; expected Input should be 'sigmoid', 'hinge'"):
        params.load(tmp_path / "params.yaml", "train", train.Params)


def test_importing_the_stages_is_cheap() -> None:
    code = "import sys, trainer.start, trainer.train, trainer.evaluate; "
    code += "print(sorted({'torch', 'transformers', 'trl', 'datasets'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout == "[]\n"
