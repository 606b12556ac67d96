"""What methods share that hold several answers to one prompt against each other: GRPO, RLOO, online DPO and best-of-n.

In: rollouts of `num_generations` answers a prompt, and their rewards. Out: a few optimizer steps on what the method makes of them.
There is no value model: what was to be expected of a prompt say the other answers to it.

A method says what is to be learnt from an update (`prepare`) and what it costs (`losses`); rounds, minibatches, clipping and checkpoints
are the same for all. Log-probabilities are those at the temperature of the rollouts: the policy that writes is the one that learns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

import numpy as np

from trainer.checkpointing.stateful import Stateful
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import on_policy, ppo_rollouts
from trainer.methods.on_policy import RolloutStats
from trainer.methods.ppo_rollouts import Sequences
from trainer.methods.sections import Grouped
from trainer.models import parallel, runtime

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class Material(Protocol):
    """What is to be learnt from an update."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def take(self, places: Tensor) -> Self:
        """Some of it."""
        ...


G = TypeVar("G", bound=Grouped)
M = TypeVar("M", bound=Material)


class GroupLearner(on_policy.Learner[G, RolloutStats], Generic[G, M]):
    """The policy, its reference, and all that changes while it learns."""

    def __init__(self, policy: PreTrainedModel, settings: G, updates: int, dtype: str = "float32") -> None:
        super().__init__(policy, settings, dtype)
        self.num_generations = settings.num_generations
        self.optimizer, self.lr_scheduler = on_policy.optimizer((self.policy,), settings.schedule, updates)

    def prepare(self, sequences: Sequences, stats: RolloutStats, rewards: Tensor) -> M:
        """What is to be learnt; `rewards` are fined for missing ends, the answers to one prompt one after the other."""
        raise NotImplementedError

    def losses(self, part: M, whole: M) -> tuple[Tensor, Metrics]:
        """The loss of a part of a minibatch, so that the losses of all parts add up; and figures that add up, too."""
        raise NotImplementedError

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        return {"policy": self.policy, "optimizer": self.optimizer, "lr_scheduler": self.lr_scheduler, "snapshot": self.snapshot}

    def score_rollouts(self, sequences: Sequences) -> RolloutStats:
        """What policy and reference say of these rollouts."""
        return RolloutStats(*self.both(sequences))

    def grouped(self, rewards: Tensor) -> Tensor:
        """The rewards, one line a prompt."""
        return rewards.reshape(-1, self.num_generations)

    def log_probabilities(self, part: Sequences) -> tuple[Tensor, Tensor]:
        """Log-probability of every token of the answers as the policy stands now, and the entropy there, to learn from."""
        with runtime.autocast(self.dtype):
            return ppo_rollouts.log_probabilities(self.policy, part, self.settings.temperature)

    def learn(self, sequences: Sequences, stats: RolloutStats, scores: np.ndarray, run: Run, update: int) -> Metrics:
        """Some rounds over what the rollouts teach, in minibatches; mean figures of the steps."""
        rewards = self.fined(sequences.tokens.new_tensor(scores, dtype=stats.policy.dtype), sequences.ended)
        given = self.prepare(sequences, stats, rewards)
        chance = np.random.default_rng([run.context.seed, update, parallel.rank()])
        rate = self.optimizer.param_groups[0]["lr"]
        taken = [self.step(given.take(sequences.tokens.new_tensor(places))) for places in self._minibatches(len(given), chance)]
        self.lr_scheduler.step()
        spread = float(self.grouped(rewards).std(1).mean())
        return on_policy.means(taken) | {"reward_spread": parallel.mean(spread), "learning_rate": rate}

    def _minibatches(self, count: int, chance: np.random.Generator) -> Iterator[list[int]]:
        """Places of each minibatch, in a new order every round."""
        for _ in range(self.settings.num_iterations):
            for places in np.split(chance.permutation(count), self.settings.num_mini_batches):
                yield places.tolist()

    def step(self, batch: M) -> Metrics:
        """One optimizer step; its loss, the method's figures, and the gradient's norm before it was clipped."""
        import torch

        figures: Metrics = {}
        micro = self.settings.schedule.per_device_train_batch_size
        for start in range(0, len(batch), micro):
            places = torch.arange(start, min(start + micro, len(batch)), device=self.policy.device)
            loss, told = self.losses(batch.take(places), batch)
            loss.backward()  # type: ignore[no-untyped-call]
            for name, value in ({"loss": loss.item()} | told).items():
                figures[name] = figures.get(name, 0.0) + value
        parallel.average(self.policy)
        norm = torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.settings.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {name: parallel.mean(value) for name, value in figures.items()} | {"grad_norm": float(norm)}
