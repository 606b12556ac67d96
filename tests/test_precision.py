"""bfloat16: where a run says so, every pass of the model that learns is computed in it, and so is what it is held against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import training
from trainer.gpu_check import made_release
from trainer.methods import shared_prompt


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a release with pairs, single answers and prompts, and of a start in bfloat16 and a reward model."""
    root = tmp_path_factory.mktemp("halved")
    made_release.write(root / "data/release", (24, 16))
    training.run(root, "start", training.tiny("start", dtype="bfloat16"))
    training.run(root, "reward")
    return root


def _losses(root: Path, model: str) -> list[float]:
    rows = [json.loads(line) for line in (root / "data/models" / model / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows]


def test_the_start_is_computed_in_bfloat16_and_learns_the_same(halved: Path, tmp_path: Path) -> None:
    made_release.write(tmp_path / "data/release", (24, 16))
    training.run(tmp_path, "start")
    half, single = _losses(halved, "start"), _losses(tmp_path, "start")
    assert half != single
    assert half == pytest.approx(single, rel=0.01)


@pytest.mark.parametrize(("method", "of"), [("dpo", "LlamaModel"), ("kto", "LlamaModel"), ("ppo", "LlamaForCausalLM")])
def test_policy_and_reference_are_computed_in_bfloat16(method: str, of: str, halved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = _watched(of, monkeypatch)
    small = {"ppo__max_new_tokens": 8, "ppo__num_mini_batches": 2}
    training.run(halved, "train", training.tiny("train", method=method, **small))
    assert seen
    assert set(seen) == {True}


def _watched(name: str, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each pass of models of a kind was computed in bfloat16, but for the trial of rows that are shared."""
    import torch
    import transformers

    seen: list[bool] = []
    kind = getattr(transformers, name)
    plain = kind.forward

    def forward(self: object, *given: object, **named: object) -> Any:
        seen.append(torch.is_autocast_enabled("cpu"))
        return plain(self, *given, **named)

    monkeypatch.setattr(kind, "forward", forward)
    monkeypatch.setattr(shared_prompt, "fits", lambda *_: True)
    return seen
