"""Monitoring: a run that diverges stops with the reason and keeps what was good; held-out loss stops one that learns no more."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.builders import training
from tests.builders.training import released, stage, tiny
from trainer.checkpointing import divergence
from trainer.checkpointing.divergence import DivergedError

LONG = {"schedule__max_steps": 12, "monitoring__save_steps": 1, "monitoring__save_total_limit": 20, "monitoring__logging_steps": 1}


def test_an_absurd_learning_rate_stops_the_run_and_keeps_the_checkpoint_before_it(tmp_path: Path) -> None:
    released(tmp_path)
    with pytest.raises(DivergedError) as caught:
        training.run(tmp_path, "start", tiny("start", schedule__learning_rate=0.99, **LONG))
    said = str(caught.value)
    assert "\n" not in said
    assert "found a loss of" in said
    assert "expected at most 2.5 times that (monitoring.max_loss); lower the learning rate; the last good checkpoint is kept in" in said
    kept = sorted(stage("start", tmp_path).checkpoints.glob("*/step-*"))  # type: ignore[union-attr]
    assert said.endswith(str(kept[-1]))
    assert int(kept[-1].name[-2:]) == caught.value.since


@pytest.mark.parametrize("name", ["train"])
def test_a_gradient_that_is_no_number_stops_the_run(name: str, tmp_path: Path) -> None:
    released(tmp_path)
    for before in ("start", "reward"):
        training.run(tmp_path, before)
    with pytest.raises(DivergedError, match=r"dpo: step 1: found grad_norm nan; expected a finite number; lower the learning rate"):
        training.run(tmp_path, name, tiny(name, dpo__beta=1e38, dpo__schedule__learning_rate=0.99))


def monitoring(**other: object) -> Any:
    return tiny("train", **{f"monitoring__{name}": value for name, value in other.items()}).monitoring


def test_a_divergence_from_the_reference_beyond_its_bound_stops_the_run() -> None:
    divergence.check("ppo", 3, [{"kl": 4.9}], monitoring(max_kl=5.0))
    divergence.check("ppo", 3, [{"kl": 1e9}], monitoring(max_kl=0.0))
    with pytest.raises(DivergedError, match=r"step 3: found a divergence of 5.1 from the reference; expected at most 5 \("):
        divergence.check("ppo", 3, [{"kl": 5.1}], monitoring(max_kl=5.0))


@pytest.mark.parametrize(
    ("rewards", "lengths", "stops"),
    [((0.1, 0.9), (20, 100), True), ((0.1, 0.9), (20, 50), False), ((0.9, 0.1), (20, 100), False)],
)
def test_a_reward_bought_with_length_stops_the_run(rewards: tuple[float, float], lengths: tuple[float, float], stops: bool) -> None:
    history = [
        {"reward": reward, "length": length} for reward, length in zip(rewards, lengths, strict=True) for _ in range(divergence.SPAN)
    ]
    if not stops:
        divergence.check("ppo", 10, history, monitoring(max_growth=4.0))
        return
    with pytest.raises(DivergedError, match=r"found a reward up from 0.1 to 0.9, and answers grown from 20 to 100 tokens"):
        divergence.check("ppo", 10, history, monitoring(max_growth=4.0))


def test_weights_that_are_no_numbers_are_never_saved() -> None:
    import torch

    layer = torch.nn.Linear(2, 2)
    divergence.require_finite("dpo", 1, layer)
    layer.weight.data[0, 0] = float("nan")
    with pytest.raises(DivergedError, match="found a weight in weight that is no number"):
        divergence.require_finite("dpo", 1, layer)


def test_a_run_stops_when_held_out_loss_gets_no_better_and_goes_back_to_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    released(tmp_path)
    settings = tiny(
        "start",
        schedule__learning_rate=0.99,
        monitoring__eval_steps=1,
        monitoring__early_stopping_patience=2,
        monitoring__max_loss=0.0,
        **LONG,
    )
    out = training.run(tmp_path, "start", settings)
    lines = capsys.readouterr().out.splitlines()
    looks = [float(line.rsplit(" ", 1)[1]) for line in lines if "held-out loss" in line and "back" not in line]
    best = looks.index(min(looks))
    assert len(looks) == best + 1 + 2 < 12, "two looks after the best"
    assert lines[-1] == f"start: supervised: back to step {best + 1}, whose held-out loss {min(looks):.4f} is the best"
    assert json.loads((out / "metrics.json").read_text())["supervised_steps"] == len(looks)


def test_the_figures_of_every_step_lie_beside_the_model_without_a_clock(tmp_path: Path) -> None:
    released(tmp_path)
    out = training.run(tmp_path, "start", tiny("start", monitoring__eval_steps=2))
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(row["part"], row["step"]) for row in rows] == [("supervised", step) for step in (1, 2, 2, 3)]
    step = ["grad_norm", "learning_rate", "loss"]
    assert [sorted(set(row) - {"part", "step"}) for row in rows] == [step, step, ["held_out"], step]
    table = (out / "curves/metrics/supervised/loss.tsv").read_text().splitlines()
    assert table[0] == "step\tloss"
    assert [line.split("\t") for line in table[1:]] == [[str(row["step"]), str(row["loss"])] for row in rows if "loss" in row]


def test_patience_without_evaluations_is_refused() -> None:
    with pytest.raises(ValueError, match="eval_steps above 0"):
        monitoring(early_stopping_patience=2)


def test_a_bar_shows_every_step_to_those_who_look_on_and_to_no_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    released(tmp_path)
    training.run(tmp_path, "start")
    assert "start, supervised" not in capfd.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    training.run(tmp_path, "start")
    assert "start, supervised" in capfd.readouterr().err
