"""Several processes train what one does: the same steps over the same rows, up to the order of sums; and only one of them speaks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.core import authenticity
from tasks.core.errors import UserError
from tests.builders import training
from tests.builders.training import digests, released
from tests.conftest import ROOT
from trainer import launch
from trainer.models import parallel

NOISE = 1e-4  # of weights after three steps: sums over shares are rounded in another order
UNSIGNED = authenticity.UNSIGNED.format("data/release")  # the folder is no checkout


def project(root: Path) -> Path:
    """A folder in which `python -m trainer STAGE` runs, made small; two rows at once of the four of a step."""
    root.mkdir(exist_ok=True)
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name in ("start", "reward", "train"):
        training._shrink(document[name])
        document[name]["monitoring"] |= {"save_steps": 2, "logging_steps": 1}
    for section in (document["start"], document["reward"], document["train"]["dpo"]):
        section["schedule"]["per_device_train_batch_size"] = 2
    document["train"]["dpo"]["sft_weight"] = 0.0  # a mean over the tokens of a share, which are not as many in each
    (root / "params.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    shutil.copy(ROOT / "dvc.yaml", root)
    return root


def started(root: Path, name: str, processes: int, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """A stage, started in the folder as `dvc repro` starts it, or by a launcher."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PAIRWRIGHT_DEVICE": "cpu"} | ({} if launcher else {launch.PROCESSES: str(processes)})
    command = [*(launcher or (sys.executable,)), "-m", "trainer", name]
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of all stages, each trained in one process."""
    root = project(tmp_path_factory.mktemp("alone"))
    released(root)
    for name in ("start", "reward", "train"):
        result = started(root, name, 1)
        assert result.returncode == 0, result.stderr
    return root


@pytest.mark.slow
@pytest.mark.parametrize(("name", "output"), [("start", "start"), ("reward", "reward"), ("train", "policy")])
def test_two_processes_train_what_one_does(alone: Path, name: str, output: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    root = project(tmp_path)
    for given in ("release", "models/start", "models/reward"):
        shutil.copytree(alone / "data" / given, root / "data" / given)
    shutil.rmtree(root / "data/models" / output, ignore_errors=True)
    result = started(root, name, 2)
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if " step " in line]
    assert [line.split(": ")[2] for line in lines] == [f"step {step} of 3" for step in (1, 2, 3)], "each once"
    assert result.stderr.splitlines() == [f"{name}: warning: {UNSIGNED}"], "once, by the first"
    one, two = (load_file(where / "data/models" / output / "model.safetensors") for where in (alone, root))
    assert max(float((one[key] - two[key]).abs().max()) for key in one) < NOISE
    assert set(digests(root / "data/models" / output)) == set(digests(alone / "data/models" / output))
    assert not (root / "data/checkpoints" / name).exists()
    assert len(list((root / "data/reports" / name).iterdir())) == 1


@pytest.mark.slow
def test_accelerate_starts_the_same_training(alone: Path, tmp_path: Path) -> None:
    accelerate = (str(Path(sys.executable).with_name("accelerate")), "launch", "--multi_gpu", "--num_processes", "2")
    roots = [project(tmp_path / name) for name in ("own", "theirs")]
    for root, launcher in zip(roots, ((), accelerate), strict=True):
        shutil.copytree(alone / "data/release", root / "data/release")
        result = started(root, "start", 2, launcher)
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("step 3 of 3") == 1
    own, theirs = (digests(root / "data/models/start") for root in roots)
    assert own["model.safetensors"] == theirs["model.safetensors"]
    text = (roots[1] / "params.yaml").read_text(encoding="utf-8")
    (roots[1] / "params.yaml").write_text(text.replace("train_batch_size: 4", "train_batch_size: 3"), encoding="utf-8")
    assert "no even share for 2 processes" in started(roots[1], "start", 2, accelerate).stderr


@pytest.mark.slow
def test_a_mistake_is_one_line_whatever_the_number_of_processes(alone: Path, tmp_path: Path) -> None:
    root = project(tmp_path)
    shutil.copytree(alone / "data/release", root / "data/release")
    text = (root / "params.yaml").read_text(encoding="utf-8")
    (root / "params.yaml").write_text(text.replace("train_batch_size: 4", "train_batch_size: 3"), encoding="utf-8")
    result = started(root, "start", 2)
    assert result.returncode == 1
    told, line = result.stderr.splitlines()
    assert told == f"start: warning: {UNSIGNED}", "as one process says it"
    assert line.startswith(
        "error: schedule.train_batch_size: 3: found no even share for 2 processes that take 2 rows at once; expected a multiple of"
    )


@pytest.mark.slow
def test_only_whole_numbers_of_processes_are_taken(tmp_path: Path) -> None:
    env = {**os.environ, launch.PROCESSES: "two"}
    result = subprocess.run([sys.executable, "-m", "trainer", "start"], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "error: PAIRWRIGHT_PROCESSES: found 'two'; expected a number of processes; correct or unset the variable\n"


def test_a_batch_that_is_no_multiple_of_what_fits_at_once_is_refused(tmp_path: Path) -> None:
    released(tmp_path)
    with pytest.raises(UserError, match=r"schedule.train_batch_size: 4: found no even share for 1 process that takes 3 rows at once"):
        training.run(tmp_path, "start", training.tiny("start", schedule__per_device_train_batch_size=3))


@pytest.mark.parametrize(("batch", "micro", "steps"), [(16, 16, 1), (16, 4, 4), (4, 16, 1)])
def test_a_step_sees_a_batch_whatever_fits_at_once(batch: int, micro: int, steps: int) -> None:
    assert parallel.accumulation(batch, micro) == steps


def test_shares_are_a_batch_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    rows: list[Any] = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        rows += parallel.share(range(9))
    assert sorted(rows) == list(range(9))


@pytest.mark.parametrize("name", ["start", "train"])
def test_fewer_rows_at_once_learn_the_same(name: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    released(tmp_path)
    training.run(tmp_path, "start")
    key = {"start": "schedule__per_device_train_batch_size", "train": "dpo__schedule__per_device_train_batch_size"}[name]
    plain = {"train": {"dpo__sft_weight": 0.0}}.get(name, {})  # the supervised part is TRL's, a mean over the tokens of rows at once
    whole, parts = (
        load_file(training.run(tmp_path, name, training.tiny(name, **{key: micro}, **plain)) / "model.safetensors") for micro in (4, 2)
    )
    assert max(float((whole[part] - parts[part]).abs().max()) for part in whole) < NOISE
