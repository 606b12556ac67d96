"""All numbers of the check: parameters laid over `params.yaml`, sizes of the models, and the limits that a check must keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What the check imports, by the name of the distribution that brings it.
NEEDED = {
    "torch": "torch",
    "transformers": "transformers",
    "peft": "peft",
    "accelerate": "accelerate",
    "trl": "trl",
    "datasets": "datasets",
    "pyarrow": "pyarrow",
    "pydantic": "pydantic",
    "yaml": "pyyaml",
    "scipy": "scipy",
    "tensorboard": "tensorboard",
}
FOUR_BIT = "bitsandbytes"  # QLoRA is tried where it is

BATCH = 16  # pairs, single answers or rollouts a step
RANK, ALPHA = 16, 32.0  # of adapters

# The limits. Those of time and memory hold for the large model, that of time where a step is the GPU's work: in single precision, or with
# many rows. Elsewhere a step is mostly the time to ask for it, of which the trainer needs more than a bare loop.
TIMES_BARE = 1.10  # step time beside a bare loop
MEMORY_BARE = 1.20  # peak memory beside a bare loop
CURVE = {"float32": 2e-3, "bfloat16": 2e-2}  # how far a step's loss may lie from the bare loop's, as a share of the first
PRECISION = 0.05  # how far the last loss in bfloat16 may lie from that in single precision, as a share of the first
FIRST = {"float32": 1e-3, "bfloat16": 5e-2}  # nats between the policy and the reference that it still is, before the first step
RESUMED = 1e-5  # of a weight, between a resumed run and an unbroken one where their bytes differ
SHARED = 1e-2  # of a weight, between two processes and one


@dataclass(frozen=True)
class Size:
    """A model that is made on the spot, and how fast and long it learns."""

    name: str
    params: Mapping[str, float]
    words: tuple[int, int]  # of prompts and answers, at most
    limited: bool = False  # whether the limits of time and memory hold


def _size(hidden: int, inner: int, layers: int, heads: int, window: int, steps: int, rates: tuple[float, float, float]) -> dict[str, float]:
    start, method, value = rates
    return {
        "start.max_length": window,
        "start.model.hidden_size": hidden,
        "start.model.intermediate_size": inner,
        "start.model.num_hidden_layers": layers,
        "start.model.num_attention_heads": heads,
        "start.schedule.max_steps": steps,
        "start.schedule.learning_rate": start,
        "reward.counts.use": False,  # the bare loop beside it has none
        "reward.schedule.max_steps": steps,
        "reward.schedule.learning_rate": value,
        "train.dpo.schedule.max_steps": steps,
        "train.dpo.schedule.learning_rate": method,
        "train.kto.schedule.max_steps": steps,
        "train.kto.schedule.learning_rate": method,
        "train.ppo.schedule.learning_rate": method / 4,
    }


TINY = Size("tiny", _size(32, 64, 1, 2, 256, 8, (4e-3, 1e-3, 1e-3)), (24, 16))
SMALL = Size("small", _size(128, 384, 4, 4, 512, 32, (4e-3, 1e-3, 1e-3)), (160, 120))
LARGE = Size("large", _size(1024, 4096, 12, 16, 512, 32, (5e-4, 2e-5, 5e-5)), (160, 120), limited=True)

_SCHEDULE = {"num_train_epochs": 8.0, "train_batch_size": BATCH, "per_device_train_batch_size": BATCH, "warmup_ratio": 0.1}
_MONITORING = {"logging_steps": 1000, "save_steps": 0, "max_loss": 0.0}
_PARTS, _STAGES = ("start", "reward", "train.dpo", "train.kto", "train.ppo"), ("start", "reward", "train")
COMMON: dict[str, object] = {
    "start.model.source": "scratch",
    "start.model.vocab_size": 4096,
    "train.ppo.max_new_tokens": 32,
    "train.ppo.num_ppo_epochs": 2,
    "train.ppo.num_mini_batches": 2,
    "train.ppo.schedule.max_steps": 6,
    **{f"{part}.schedule.{name}": value for part in _PARTS for name, value in _SCHEDULE.items()},
    **{f"{stage}.monitoring.{name}": value for stage in _STAGES for name, value in _MONITORING.items()},
}


def precision(name: str) -> dict[str, str]:
    """Train in this precision."""
    return {"start.dtype": name}


def method(name: str) -> dict[str, str]:
    """Train by this method."""
    return {"train.method": name}


def adapter(rank: int = RANK) -> dict[str, float]:
    """Train an adapter of this rank, with the learning rate that one wants."""
    found = {f"{stage}.adapter.{name}": value for stage in ("reward", "train") for name, value in {"r": rank, "lora_alpha": ALPHA}.items()}
    return found | {f"{part}.schedule.learning_rate": 3e-4 for part in ("reward", "train.dpo", "train.ppo")}


def recompute() -> dict[str, bool]:
    """Compute activations again on the way back."""
    return {"train.adapter.gradient_checkpointing": True}


def checkpoints() -> dict[str, int]:
    """Write a checkpoint after every step."""
    return {f"{stage}.monitoring.save_steps": 1 for stage in _STAGES}


def wide() -> dict[str, int]:
    """Four times the rows at once, so that a step is the GPU's work and not the time to ask for it."""
    return {f"train.dpo.schedule.{name}": 4 * BATCH for name in ("train_batch_size", "per_device_train_batch_size")}


def half_share() -> dict[str, float]:
    """Half of a step's rows at once, so that two processes have a share each; without a loss that is a mean over what is at once."""
    return {"train.dpo.schedule.per_device_train_batch_size": BATCH // 2, "train.dpo.sft_weight": 0.0}


def laid_over(document: Mapping[str, Any], values: Mapping[str, object]) -> dict[str, Any]:
    """The parameters with these values, by dotted names; a KeyError where `params.yaml` has no such name."""
    found: dict[str, Any] = {name: laid_over(value, {}) if isinstance(value, Mapping) else value for name, value in document.items()}
    for path, value in values.items():
        *outer, last = path.split(".")
        at = found
        for name in outer:
            at = at[name]
        if last not in at:
            raise KeyError(f"params.yaml has no {path}, which trainer/gpu_check/settings.py sets")
        at[last] = value
    return found
