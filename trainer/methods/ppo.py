"""Proximal Policy Optimisation, our own: TRL dropped it with 1.13, others need GPUs.

In: a policy, prompts as tokens, a reward model. Out: the policy, trained in place, and its figures.
One step of the loop (`on_policy`): the policy answers some prompts; the reward model scores the answers; each token costs its distance to
the reference (the policy as it came in); a value model, which starts as the reward model, says what was to be expected; then a few rounds
over these rollouts with clipped losses. The arithmetic lies in `ppo_math`, the models' part in `ppo_rollouts`.

Schulman et al. 2017 (clipped losses), Ziegler et al. 2019 (KL penalty, adaptive), Stiennon et al. 2020 (separate value model),
Huang et al. 2024 (details), TRL 1.12 (conventions; a test holds every figure against its recorded steps).

Prompts carry no weight, so none is honoured here: the reward model was trained with the weights of the pairs.

Memory: policy and value model with their optimizer states, the reward model, and the reference. With an adapter the reference is
the policy with the adapter off, and costs nothing; without one it is a frozen copy. The best policy is kept as a copy of the trained
weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trainer.checkpointing.stateful import Stateful
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import on_policy, ppo_math, ppo_rollouts
from trainer.methods.ppo_math import AdaptiveKLController
from trainer.methods.ppo_rollouts import Sequences
from trainer.methods.sections import Ppo
from trainer.models import adapters, parallel, runtime, typed
from trainer.settings import Adapter

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class RolloutStats(on_policy.RolloutStats):
    """What three models say of every token of the answers, at the time of the rollouts."""

    values: Tensor


@dataclass(frozen=True)
class Experience:
    """What is to be learnt from rollouts; tensors of one line a rollout, one column a token."""

    sequences: Sequences
    old: Tensor  # log-probabilities at the time of the rollouts
    values: Tensor
    rewards: Tensor
    advantages: Tensor  # whitened
    returns: Tensor

    def take(self, places: Tensor) -> Experience:
        """Some of the rollouts."""
        others = (self.old, self.values, self.rewards, self.advantages, self.returns)
        return Experience(self.sequences.take(places), *(tensor[places] for tensor in others))


class Learner(on_policy.Learner[Ppo, RolloutStats]):
    """The four models, and all that changes while the policy learns."""

    name = "ppo"

    def __init__(
        self, policy: PreTrainedModel, reward: PreTrainedModel, settings: Ppo, adapter: Adapter, updates: int, dtype: str = "float32"
    ) -> None:
        super().__init__(policy, settings, dtype)
        self.value = typed.evaluating(adapters.wrap(copy.deepcopy(reward).requires_grad_(True), adapter, "SEQ_CLS"))
        self.optimizer, self.lr_scheduler = on_policy.optimizer((self.policy, self.value), settings.schedule, updates)
        self.kl_controller = AdaptiveKLController(settings.kl_coef, settings.kl_target, settings.kl_horizon)

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        return {
            "policy": self.policy,
            "value": self.value,
            "optimizer": self.optimizer,
            "lr_scheduler": self.lr_scheduler,
            "kl_controller": self.kl_controller,
            "snapshot": self.snapshot,
        }

    def noted(self, figures: Metrics) -> Metrics:
        """The price of KL that these steps paid; the next ones pay what follows from the KL of the rollouts."""
        paid = self.kl_controller.coefficient
        self.kl_controller.update(figures["kl"], self.settings.schedule.train_batch_size)
        return {"kl_coefficient": paid}

    def score_rollouts(self, sequences: Sequences) -> RolloutStats:
        """What policy, reference and value model say of these rollouts."""
        own, micro = self.settings, self.settings.schedule.per_device_train_batch_size
        policy, reference = self.both(sequences)
        with runtime.autocast(self.dtype):
            values = ppo_rollouts.in_parts(lambda part: ppo_rollouts.values(self.value, part, own.after_end), sequences, micro)
        return RolloutStats(policy, reference, values)

    def compute_advantages(self, sequences: Sequences, stats: RolloutStats, scores: Tensor) -> Experience:
        """What is to be learnt from rollouts that the reward model has scored."""
        own, mask = self.settings, sequences.answered
        fined = self.fined(scores, sequences.ended)
        rewarded = ppo_math.rewards(stats.policy - stats.reference, fined, mask, self.kl_controller.coefficient, own.after_end)
        if own.whiten_rewards:
            rewarded = ppo_math.whiten(rewarded, ppo_math.valued(mask, own.after_end), centre=False)
        gained = ppo_math.advantages(rewarded, stats.values, own.gamma, own.gae_lambda)
        return Experience(sequences, stats.policy, stats.values, rewarded, ppo_math.whiten(gained, mask), gained + stats.values)

    def learn(self, sequences: Sequences, stats: RolloutStats, scores: np.ndarray, run: Run, update: int) -> Metrics:
        """Some rounds over the rollouts, in minibatches; mean figures of the steps that were taken."""
        given = self.compute_advantages(sequences, stats, sequences.tokens.new_tensor(scores, dtype=stats.values.dtype))
        taken: list[Metrics] = []
        for places in self._minibatches(len(given.old), np.random.default_rng([run.context.seed, update, parallel.rank()])):
            figures = self.step(given.take(given.sequences.tokens.new_tensor(places)))
            if figures is None:
                break
            taken.append(figures)
        self.lr_scheduler.step()
        return on_policy.means(taken) | {"steps": len(taken)}

    def _minibatches(self, rollouts: int, chance: np.random.Generator) -> Iterator[list[int]]:
        """Places of the rollouts of each minibatch, in a new order every round."""
        for _ in range(self.settings.num_ppo_epochs):
            for places in np.split(chance.permutation(rollouts), self.settings.num_mini_batches):
                yield places.tolist()

    def step(self, batch: Experience) -> Metrics | None:
        """One optimizer step on a minibatch; None, and no step, where the policy is too far from the one that wrote the rollouts."""
        import torch

        figures = self._losses(batch)
        if self.settings.kl_stop and figures["moved"] > self.settings.kl_stop:
            self.optimizer.zero_grad()
            return None
        for model in (self.policy, self.value):
            parallel.average(model)
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.settings.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return figures

    def _losses(self, batch: Experience) -> Metrics:
        """Losses of a minibatch, their gradients added up a few rollouts at a time; sums are divided by the tokens of all."""
        own, mask = self.settings, batch.sequences.answered
        tokens, places = mask.sum(), ppo_math.valued(mask, own.after_end).sum()
        sums = dict.fromkeys(("loss", "policy_loss", "value_loss", "entropy", "clip_fraction", "moved"), 0.0)
        for rows in batch.sequences.parts(own.schedule.per_device_train_batch_size):
            part = batch.take(rows)
            mask = part.sequences.answered
            with runtime.autocast(self.dtype):
                new, entropy = ppo_rollouts.log_probabilities(self.policy, part.sequences, own.temperature)
                now = ppo_rollouts.values(self.value, part.sequences, own.after_end)
            each, clipped = ppo_math.policy_losses(new, part.old, part.advantages, own.cliprange)
            policy_loss = ppo_math.total(each, mask) / tokens
            missed = ppo_math.value_losses(now, part.values, part.returns, own.cliprange_value)
            value_loss = ppo_math.total(missed, ppo_math.valued(mask, own.after_end)) / places
            loss = policy_loss + own.vf_coef * value_loss
            loss.backward()  # type: ignore[no-untyped-call]
            shares = (ppo_math.total(one, mask) / tokens for one in (entropy, clipped.float(), ppo_math.distance(new, part.old)))
            for name, value in zip(sums, (loss, policy_loss, value_loss, *shares), strict=True):
                sums[name] += value.item()
        return {name: parallel.mean(value) for name, value in sums.items()}


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    reward: PreTrainedModel,
    settings: Ppo,
    run: Run,
) -> Metrics:
    """Let the policy learn from the reward model's scores of its own answers; the reference is the policy as it comes in."""
    updates = on_policy.updates_of(len(prompts), settings)
    return on_policy.train(Learner(policy, reward, settings, run.adapter, updates, run.context.dtype), tokenizer, prompts, reward, run)
