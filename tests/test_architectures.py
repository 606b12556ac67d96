"""Any architecture in use trains through every stage, and its reward model is a head of ours on its body."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import UserError
from tests.benchmarks import architectures as table
from tests.builders import architectures
from trainer.models import reward_heads, reward_models, saving

ROWS: list[Any] = [([5, 6, 7, 8], [9, 10]), ([5], [9, 10, 11, 2])]


def scorer(root: Path, name: str) -> tuple[Any, Any, Path]:
    """A new reward model of this architecture, its tokenizer, and the folder that it was saved in."""
    model, tokenizer = reward_models.begin(architectures.write(root / "model", name), 3)
    saving.save(model, tokenizer, root / "reward")
    return model, tokenizer, root / "reward"


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_whoever_has_transformers_class_loads_the_same_reward_model(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    model, tokenizer, folder = scorer(tmp_path, name)
    theirs = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert set(theirs.state_dict()) == set(model.state_dict())
    ours = reward_models.score(model, ROWS, tokenizer.pad_token_id, 2)
    assert reward_models.score(theirs, ROWS, tokenizer.pad_token_id, 2) == pytest.approx(ours, abs=1e-6)


@pytest.mark.parametrize("name", ["granite", "cohere", "mamba"])
def test_an_architecture_without_a_classifier_has_a_reward_that_comes_back_from_disk(name: str, tmp_path: Path) -> None:
    model, tokenizer, folder = scorer(tmp_path, name)
    alone = [reward_models.score(model, [row], tokenizer.pad_token_id, 1)[0] for row in ROWS]
    again, _ = reward_models.load(folder)
    assert reward_models.score(again, ROWS, tokenizer.pad_token_id, 2) == pytest.approx(alone, abs=1e-5)
    assert alone[0] != pytest.approx(alone[1], abs=1e-4)


def test_weights_that_miss_are_told_with_the_folder_they_miss_in(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = architectures.write(tmp_path / "model", "granite")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.0.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"model: found no weights for 1 parts .*layers\.0\.mlp\.up_proj") as caught:
        reward_heads.read(folder, "float32", new=True)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_every_stage_takes_the_architecture(name: str, tmp_path: Path) -> None:
    assert table.through(name, tmp_path) == dict.fromkeys(table.STAGES, table.OK)
