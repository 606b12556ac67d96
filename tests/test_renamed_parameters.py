"""A parameter's old name is refused, in one line that names the new one; no old name is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.core import params, pipeline
from tasks.core.errors import UserError
from tasks.core.params import StageParams
from tests.builders import training
from tests.conftest import ROOT
from trainer.methods import names

MONITORING = {
    "log_every": "logging_steps",
    "check_every": "eval_steps",
    "patience": "early_stopping_patience",
    "save_every": "save_steps",
    "keep": "save_total_limit",
    "resume": "resume_from_checkpoint",
}
ADAPTER = {
    "rank": "r",
    "alpha": "lora_alpha",
    "dropout": "lora_dropout",
    "targets": "target_modules",
    "recompute": "gradient_checkpointing",
}
SCHEDULE = {
    "epochs": "num_train_epochs",
    "batch": "train_batch_size",
    "micro_batch": "per_device_train_batch_size",
    "warmup": "warmup_ratio",
}
MODEL = {
    "vocabulary": "vocab_size",
    "width": "hidden_size",
    "inner": "intermediate_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
}
PPO = {
    "answer": "max_new_tokens",
    "rounds": "num_ppo_epochs",
    "minibatches": "num_mini_batches",
    "decay": "gae_lambda",
    "clip": "cliprange",
    "value_clip": "cliprange_value",
    "value_weight": "vf_coef",
    "gradient_norm": "max_grad_norm",
    "missing_end": "missing_eos_penalty",
    "kl_coefficient": "kl_coef",
}
RENAMED: dict[str, dict[str, str]] = {  # by the section that the names stand in
    "start": {"window": "max_length", "precision": "dtype", "watching": "monitoring"},
    "start.model": MODEL,
    "reward": {"mixup": "mixup_alpha", "centre": "center_rewards_coefficient", "watching": "monitoring"},
    "train": {"watching": "monitoring"},
    "train.dpo": {"loss": "loss_type"},
    "train.kto": {"loss": "loss_type"},
    "train.ppo": PPO,
    "evaluate": {"batch": "per_device_eval_batch_size"},
    "evaluate.generations": {"most_tokens": "max_new_tokens"},
    "compress": {"batch": "per_device_eval_batch_size"},
    "compress.generation": {"tokens": "max_new_tokens"},
    "compress.timing": {"batch": "batch_size"},
    **{f"{stage}.monitoring": MONITORING for stage in ("start", "reward", "train")},
    **{f"{stage}.adapter": ADAPTER for stage in ("start", "reward", "train")},
    **{f"{place}.schedule": SCHEDULE for place in ("start", "reward", "compress.student", *(f"train.{name}" for name in names.ALL))},
}
TRAINING = [name for name, stage in pipeline.stages(ROOT).items() if stage.module.startswith("trainer.")]
NAMES = [(section, old, new) for section, names in RENAMED.items() for old, new in names.items()]


def put_back(folder: Path, section: str, old: str, new: str) -> Path:
    """The project's parameters with one of them under its old name."""
    document = params.parse((ROOT / "params.yaml").read_text(encoding="utf-8"))
    at = document
    for key in section.split("."):
        at = at[key]
    at[old] = at.pop(new)
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


@pytest.mark.parametrize(("section", "old", "new"), NAMES)
def test_an_old_name_is_refused_with_the_new_one_named(section: str, old: str, new: str, tmp_path: Path) -> None:
    path, stage = put_back(tmp_path, section, old, new), section.split(".")[0]
    with pytest.raises(UserError) as refused:
        params.load(path, stage, training.module(stage).Params)
    assert str(refused.value) == f"{path}: {section}.{old}: found an old name; expected `{new}`, as it is called now; rename the key"


def test_an_old_name_is_named_before_what_else_is_wrong(tmp_path: Path) -> None:
    path = put_back(tmp_path, "train.ppo", "clip", "cliprange")
    document = params.parse(path.read_text(encoding="utf-8"))
    del document["train"]["method"]
    document["train"]["unknown"] = 1
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    with pytest.raises(UserError, match=r"train\.ppo\.clip: found an old name; expected `cliprange`"):
        params.load(path, "train", training.module("train").Params)


def test_every_renamed_parameter_has_its_claim_here_and_leads_to_one_that_exists() -> None:
    found: dict[str, Any] = {}
    for name in TRAINING:
        found |= tables(name, training.module(name).Params)
    assert found == RENAMED


def tables(section: str, model: type[StageParams]) -> dict[str, Any]:
    """The old names of a section and of all sections in it."""
    assert set(model.renamed.values()) <= set(model.model_fields), section
    assert not set(model.renamed) & set(model.model_fields), section
    found: dict[str, Any] = {section: dict(model.renamed)} if model.renamed else {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, StageParams):
            found |= tables(f"{section}.{name}", field.annotation)
    return found
