"""Checkpoints: whole or ignored, of this run or refused, and whoever goes on from one ends with the bytes of an unbroken run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import UserError
from tests.builders import training
from tests.builders.killed import killed
from tests.builders.training import digests, released, stage, tiny
from trainer.checkpointing.divergence import DivergedError
from trainer.loop.monitor import Monitor

STEPS, BROKEN = 6, 5  # a checkpoint after steps 2 and 4, and the end comes in step 5
WATCHING = {"monitoring__save_steps": 2, "monitoring__logging_steps": 1}
LENGTH = {"start": "schedule__max_steps", "train": "dpo__schedule__max_steps"}


def settings(name: str, **other: object) -> Any:
    return tiny(name, **{LENGTH[name]: STEPS, **WATCHING, **other})


def run(root: Path, name: str, **other: object) -> dict[str, str]:
    """Digests of what one run of a stage wrote."""
    return digests(training.run(root, name, settings(name, **other)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of an unbroken run of both stages."""
    root = tmp_path_factory.mktemp("whole")
    released(root)
    for name in LENGTH:
        run(root, name)
    return root


@pytest.fixture(scope="module")
def broken(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of runs that were broken off in step 5, each with two checkpoints."""
    root = copy(whole, tmp_path_factory.mktemp("broken") / "root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Monitor, "step", _broken_off(Monitor.step))
        for name in LENGTH:
            with pytest.raises(KeyboardInterrupt):
                run(root, name)
    return root


def _broken_off(step: Callable[..., None], at: int = BROKEN) -> Callable[..., None]:
    def call(monitor: Monitor, part: str, number: int, *rest: object) -> None:
        if number == at:
            raise KeyboardInterrupt
        step(monitor, part, number, *rest)

    return call


def copy(root: Path, to: Path) -> Path:
    """The same release, start and checkpoints below another root."""
    for folder in ("data/release", "data/models/start", "data/checkpoints"):
        if (root / folder).exists():
            shutil.copytree(root / folder, to / folder)
    return to


def checkpoints(root: Path, name: str) -> list[Path]:
    return sorted(stage(name, root).checkpoints.glob("*/step-*"))  # type: ignore[union-attr]


@pytest.mark.parametrize("name", LENGTH)
def test_a_run_that_was_broken_off_ends_with_the_same_bytes(
    whole: Path, broken: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy(broken, tmp_path / "root")
    assert [path.name[-2:] for path in checkpoints(root, name)] == ["02", "04"]
    assert run(root, name) == digests(stage(name, whole).output)
    said = capsys.readouterr().out
    assert "goes on after step 4" in said
    assert "step 4 of" not in said
    assert not checkpoints(root, name), "they go when the output is there"


def _empty(folder: Path) -> str:
    shutil.rmtree(folder)
    folder.mkdir()
    return "complete.json is missing"


def _truncate(name: str) -> Callable[[Path], str]:
    def damage(folder: Path) -> str:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])
        return f"{name} has {len(data) // 2:,} bytes of {len(data):,}"

    return damage


def _flip(name: str) -> Callable[[Path], str]:
    def damage(folder: Path) -> str:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(bytes(data))
        return f"{name} is not what was written"

    return damage


def _delete(name: str) -> Callable[[Path], str]:
    def damage(folder: Path) -> str:
        (folder / name).unlink()
        return f"{name} is missing"

    return damage


def _break_json(folder: Path) -> str:
    (folder / "complete.json").write_text('{"step": 4, "fi')
    return "complete.json cannot be read"


def _other_step(folder: Path) -> str:
    text = (folder / "complete.json").read_text()
    (folder / "complete.json").write_text(text.replace('"step": 4', '"step": 3'))
    return "complete.json is of step 3"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("train", _truncate("model.safetensors")),
        ("train", _delete("optimizer.pt")),
        ("train", _flip("rng_state.pth")),
        ("train", _break_json),
        ("start", _truncate("model.pt")),
        ("start", _delete("optimizer.pt")),
        ("start", _flip("schedule.pt")),
        ("start", _other_step),
        ("start", _empty),
    ],
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(
    whole: Path, broken: Path, name: str, damage: Callable[[Path], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy(broken, tmp_path / "root")
    newest = checkpoints(root, name)[-1]
    reason = damage(newest)
    assert run(root, name) == digests(stage(name, whole).output)
    said = capsys.readouterr().out
    assert f"warning: a damaged checkpoint is left out: {newest}/{reason}" in said
    assert "goes on after step 2" in said


def test_with_no_whole_checkpoint_the_run_starts_anew(whole: Path, broken: Path, tmp_path: Path) -> None:
    root = copy(broken, tmp_path / "root")
    for folder in checkpoints(root, "start"):
        _empty(folder)
    assert run(root, "start") == digests(stage("start", whole).output)


# --- of another run ---


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_not_used_and_the_difference_is_said(
    whole: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy(broken, tmp_path / "root")
    (own,) = {path.parent for path in checkpoints(root, "train")}
    other = run(root, "train", dpo__beta=0.3)
    assert other != digests(stage("train", whole).output)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "another run" in line]
    assert line == (
        f"train: starts anew: the checkpoint in {own} is of another run (dpo.beta 0.1 → 0.3); "
        "monitoring.resume_from_checkpoint: other would go on from it"
    )
    alone = copy(whole, tmp_path / "alone")
    assert other == run(alone, "train", dpo__beta=0.3), "nothing of the other run is in it"


def test_a_checkpoint_of_other_data_is_not_used(broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy(broken, tmp_path / "root")
    shutil.rmtree(root / "data/release")
    released(root, {**training.COUNTS, "train": 40})
    run(root, "start")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "another run" in line]
    assert "of another run (release " in line


def test_how_often_a_run_speaks_and_saves_makes_it_no_other_run(broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy(broken, tmp_path / "root")
    run(root, "start", monitoring__logging_steps=3, monitoring__save_steps=4, monitoring__save_total_limit=5, monitoring__max_kl=7.0)
    assert "goes on after step 4" in capsys.readouterr().out


def test_told_to_a_run_goes_on_from_another(broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy(broken, tmp_path / "root")
    run(root, "train", dpo__beta=0.3, monitoring__resume_from_checkpoint="other")
    said = capsys.readouterr().out
    assert "is of another run (dpo.beta 0.1 → 0.3, monitoring." not in said
    assert "warning: " in said
    assert "is of another run (dpo.beta 0.1 → 0.3)" in said
    assert "goes on after step 4" in said


@pytest.mark.parametrize("name", LENGTH)
def test_told_to_go_on_a_run_without_anything_to_go_on_from_is_refused(whole: Path, tmp_path: Path, name: str) -> None:
    root = copy(whole, tmp_path / "root")
    with pytest.raises(
        UserError, match=r"found no whole checkpoint; expected one to go on from \(monitoring.resume_from_checkpoint: other\)"
    ):
        run(root, name, monitoring__resume_from_checkpoint="other")


def test_a_checkpoint_of_another_shape_is_refused_in_one_line(broken: Path, tmp_path: Path) -> None:
    root = copy(broken, tmp_path / "root")
    with pytest.raises(UserError, match="expected a checkpoint of a model of this shape") as caught:
        run(root, "start", model__hidden_size=64, monitoring__resume_from_checkpoint="other")
    assert "\n" not in str(caught.value)


def test_a_checkpoint_beyond_the_end_of_this_run_is_refused(broken: Path, tmp_path: Path) -> None:
    root = copy(broken, tmp_path / "root")
    for name in LENGTH:
        with pytest.raises(UserError, match="found a checkpoint of step 4; expected one before step 3"):
            run(root, name, monitoring__resume_from_checkpoint="other", **{LENGTH[name]: 3})


def test_told_so_a_run_starts_anew(whole: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy(broken, tmp_path / "root")
    weights = run(root, "start", monitoring__resume_from_checkpoint="none")["model.safetensors"]
    assert weights == digests(stage("start", whole).output)["model.safetensors"]
    assert "step 1 of" in capsys.readouterr().out


# --- on disk ---


def test_a_disk_without_room_is_refused_before_the_first_step(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy(whole, tmp_path / "root")
    for name in LENGTH:
        with pytest.raises(UserError, match=r"found room for .* GB; expected .* GB for 1000000000000 checkpoints and one being written"):
            run(root, name, monitoring__save_total_limit=10**12)
    assert "step 1 of" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", LENGTH)
def test_only_so_many_checkpoints_are_kept(whole: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Monitor, "step", _broken_off(Monitor.step, at=10))
    for keep, kept in ((7, "3456789"), (1, "456789")):  # never fewer than a guard may go back to
        root = copy(whole, tmp_path / f"{keep}")
        with pytest.raises(KeyboardInterrupt):
            run(root, name, monitoring__save_steps=1, monitoring__save_total_limit=keep, **{LENGTH[name]: 10})
        assert [path.name[-1] for path in checkpoints(root, name)] == list(kept)


def test_the_checkpoint_that_a_guard_goes_back_to_is_kept_beside_the_newest(whole: Path, tmp_path: Path) -> None:
    root = copy(whole, tmp_path / "root")
    long = {"schedule__max_steps": 12, "schedule__learning_rate": 0.99, "monitoring__save_steps": 1, "monitoring__save_total_limit": 1}
    with pytest.raises(DivergedError, match="the last good checkpoint is kept in") as caught:
        run(root, "start", monitoring__max_loss=2.2, **long)
    kept = checkpoints(root, "start")[-1]
    assert int(kept.name[-2:]) == caught.value.since > 0  # at which step such a run diverges, hangs on the machine


@pytest.mark.slow
def test_saving_costs_no_byte_of_the_result(whole: Path, tmp_path: Path) -> None:
    root = copy(whole, tmp_path / "root")
    for name in LENGTH:
        weights = run(root, name, monitoring__save_steps=0)["model.safetensors"]
        assert weights == digests(stage(name, whole).output)["model.safetensors"]


# --- killed ---

MOMENTS = ["step:5", "torch.save:2", "torch.save:9", "seal:2", "rename:2", "output:1"]


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", LENGTH)
def test_a_killed_run_ends_with_the_same_bytes(whole: Path, name: str, moment: str, tmp_path: Path) -> None:
    root = copy(whole, tmp_path / "root")
    killed(root, name, moment, **{LENGTH[name]: STEPS, **WATCHING})
    assert run(root, name) == digests(stage(name, whole).output)


@pytest.mark.slow
def test_a_run_killed_twice_ends_with_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    root = copy(whole, tmp_path / "root")
    for moment in ("step:3", "step:2"):
        killed(root, "train", moment, **{LENGTH["train"]: STEPS, **WATCHING})
    assert run(root, "train") == digests(stage("train", whole).output)


@pytest.mark.slow
@pytest.mark.parametrize("name", LENGTH)
def test_a_killed_run_of_an_adapter_with_dropout_ends_with_the_same_bytes(whole: Path, name: str, tmp_path: Path) -> None:
    lora = {"adapter__r": 4, "adapter__lora_dropout": 0.2}
    root = copy(whole, tmp_path / "root")
    unbroken = run(root, name, **lora)
    killed(root, name, "step:5", **{LENGTH[name]: STEPS, **WATCHING, **lora})
    (newest,) = checkpoints(root, name)[-1:]
    assert sum(file.stat().st_size for file in newest.rglob("*")) < 2_000_000
    assert run(root, name, **lora) == unbroken
