"""Our PPO on the rollouts and minibatches that TRL 1.12's PPOTrainer recorded: the same figures, the same weights after 12 steps.

The functions are those that training calls. The largest difference of every figure is printed (`pytest -s`).

Figures that rest on the weights of a step are held to 1e-5 where those weights are the recorded ones, which is before the first
step. After that, weights differ in their last bits (Adam turns a gradient of rounding error into a whole step), and a token of
probability e^-11 shows it: its logarithm moves by 1e-3. Losses are means, and hold to 1e-5 all along.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from trainer.methods import ppo, ppo_math, ppo_rollouts
from trainer.methods.sections import Ppo
from trainer.models import reward_models, runtime
from trainer.settings import Adapter, Schedule

if TYPE_CHECKING:
    from torch import Tensor

SCHEDULE = Schedule(
    num_train_epochs=1, max_steps=3, train_batch_size=32, per_device_train_batch_size=16, learning_rate=1e-3, warmup_ratio=0.0
)
RECORDED = Ppo(  # as SOURCE.txt beside the recording says
    max_new_tokens=20,
    temperature=0.9 + 1e-7,
    num_ppo_epochs=2,
    num_mini_batches=2,
    gamma=1.0,
    gae_lambda=0.95,
    cliprange=0.2,
    cliprange_value=0.2,
    vf_coef=0.1,
    max_grad_norm=math.inf,
    missing_eos_penalty=1.0,
    whiten_rewards=False,
    after_end=True,
    kl_coef=0.05,
    kl_target=0.0,
    kl_horizon=1,
    kl_stop=0.0,
    kl_bound=0.0,
    schedule=SCHEDULE,
)
FULL = Adapter(r=0, lora_alpha=1.0, lora_dropout=0.0, target_modules="all-linear", gradient_checkpointing=False, load_in_4bit=False)
FIRST = 1e-5  # differences before the first step
LATER = 1e-2  # of single log-probabilities once weights differ in their last bits


@dataclass
class Replay:
    """A learner that goes through the recorded steps, and by how much it differs from them."""

    learner: ppo.Learner
    reward: Any
    recorded: dict[str, Tensor]
    pad: int
    end: int
    masks_equal: bool = True
    largest: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def differ(self, name: str, step: int, ours: Tensor, theirs: str) -> None:
        """Take note of the largest difference, apart for the time before the first step."""
        key = f"{name}, {'before the first step' if step == 0 else 'later'}"
        self.largest[key] = max(self.largest[key], (ours - self.recorded[f"{step}.{theirs}"]).abs().max().item())

    def rollouts(self, step: int, context: int) -> ppo.Experience:
        """What is to be learnt from the rollouts of an update; its models' figures are the recorded ones, ours are held against them."""
        tokens = self.recorded[f"{step}.query_responses"]
        prompts, answers = tokens[:, :context], tokens[:, context:]
        sequences = ppo_rollouts.Sequences.of(prompts, prompts != self.pad, answers, [self.end])
        mask = sequences.answered
        self.masks_equal &= bool((mask == ~self.recorded[f"{step}.padding_mask"]).all())
        self.masks_equal &= bool((ppo_math.valued(mask, True) == ~self.recorded[f"{step}.padding_mask_p1"]).all())
        scores = self.recorded[f"{step}.scores"].new_tensor(reward_models.score(self.reward, sequences.rows([self.end]), self.pad, 16))
        self.differ("scores", step, scores - (~sequences.ended).float(), "scores")
        seen = self.learner.score_rollouts(sequences)
        for name, ours, outside in (("logprobs", seen.policy, 1), ("ref_logprobs", seen.reference, 1), ("values", seen.values, 0)):
            self.differ(name, step, ours.masked_fill(~ppo_math.valued(mask, name == "values"), outside), name)
        policy, reference = (self.recorded[f"{step}.{name}"].masked_fill(~mask, 0) for name in ("logprobs", "ref_logprobs"))
        told = ppo.RolloutStats(policy, reference, self.recorded[f"{step}.values"])
        experience = self.learner.compute_advantages(sequences, told, scores)
        for name in ("rewards", "advantages", "returns"):
            self.differ(name, step, getattr(experience, name), name)
        return experience

    def step(self, step: int, experience: ppo.Experience) -> None:
        """One optimizer step on the recorded minibatch."""
        batch = experience.take(self.recorded[f"{step}.micro_batch_inds"])
        new, _ = ppo_rollouts.log_probabilities(self.learner.policy, batch.sequences, RECORDED.temperature)
        self.differ("new_logprobs", step, new.detach().masked_fill(~batch.sequences.answered, 1), "new_logprobs")
        self.differ("vpred", step, ppo_rollouts.values(self.learner.value, batch.sequences, True).detach(), "vpred")
        figures = self.learner.step(batch)
        assert figures
        for ours, theirs in (("loss", "loss"), ("policy_loss", "pg_loss"), ("value_loss", "vf_loss")):
            self.differ(theirs, step, new.new_tensor(figures[ours]), theirs)


@pytest.fixture(scope="module")
def replay(shared_data: Path) -> Replay:
    """All 12 recorded steps, taken."""
    folder = shared_data / "ppo_golden"
    if not folder.is_dir():
        pytest.skip(f"needs the recorded steps in {folder}")
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    runtime.prepare(threads=1, seed=0, offline=True)
    tokenizer = AutoTokenizer.from_pretrained(folder / "policy_and_reference")
    policy = AutoModelForCausalLM.from_pretrained(folder / "policy_and_reference")
    reward, _ = reward_models.load(folder / "reward_and_value")
    learner = ppo.Learner(policy, reward, RECORDED, FULL, updates=3)
    made = Replay(learner, reward, load_file(folder / "steps.safetensors"), tokenizer.pad_token_id, tokenizer.eos_token_id)
    for step, told in enumerate(json.loads((folder / "steps.json").read_bytes())):
        if step % 4 == 0:
            experience = made.rollouts(step, told["context_length"])
        assert learner.optimizer.param_groups[0]["lr"] == pytest.approx(told["lr"], abs=1e-12)
        made.step(step, experience)
        if step % 4 == 3:
            learner.lr_scheduler.step()
    theirs = load_file(folder / "policy_after_12_steps.safetensors")
    weights = policy.state_dict()
    made.largest["weights after 12 steps"] = max((weights[name] - theirs[name]).abs().max().item() for name in theirs)
    print("\n" + "\n".join(f"{value:9.1e}  {name}" for name, value in sorted(made.largest.items())))  # noqa: T201
    return made


def test_masks_are_those_of_trl(replay: Replay) -> None:
    assert replay.masks_equal


@pytest.mark.parametrize("name", ["scores", "logprobs", "ref_logprobs", "values", "new_logprobs", "vpred"])
def test_what_models_say_is_what_they_said_under_trl(replay: Replay, name: str) -> None:
    assert replay.largest[f"{name}, before the first step"] <= FIRST
    assert replay.largest[f"{name}, later"] <= (LATER if name.endswith("logprobs") else FIRST)


@pytest.mark.parametrize("name", ["rewards", "advantages", "returns", "loss", "pg_loss", "vf_loss"])
def test_rewards_advantages_and_losses_are_those_of_trl(replay: Replay, name: str) -> None:
    assert max(value for key, value in replay.largest.items() if key.startswith(f"{name}, ")) <= 1e-5


def test_after_twelve_steps_the_weights_are_those_of_trl(replay: Replay) -> None:
    assert replay.largest["weights after 12 steps"] <= 1e-4
