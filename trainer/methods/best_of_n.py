"""Best of n (rejection sampling, as for Llama 2; RAFT, Dong et al. 2023): the policy learns to write the best of its own answers at once.

In: a policy, prompts as tokens, a reward model. Out: the policy, trained in place, and its figures.
One round: the policy writes `num_generations` answers to each of some prompts, the reward model picks the best, and the supervised loss
is lowered on those alone. The best of n answers is log n - (n - 1) / n nats at most away from the policy that wrote them (Beirami et al.
2024), so this is the tamest of the methods that learn from a reward model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import on_policy, online, ppo_math
from trainer.methods.group_learner import GroupLearner
from trainer.methods.on_policy import RolloutStats
from trainer.methods.ppo_rollouts import Sequences
from trainer.methods.sections import BestOfN

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Best:
    """The best answer to each prompt."""

    sequences: Sequences

    def __len__(self) -> int:
        """Prompts."""
        return len(self.sequences.tokens)

    def take(self, places: Tensor) -> Best:
        """Some of the prompts."""
        return Best(self.sequences.take(places))


class Learner(GroupLearner[BestOfN, Best]):
    """Best of n."""

    name = "best_of_n"

    def prepare(self, sequences: Sequences, stats: RolloutStats, rewards: Tensor) -> Best:
        """The best answer to each prompt."""
        best, _ = online.ranked(self.grouped(rewards - self.settings.length_price * sequences.answered.sum(1)))
        return Best(sequences.take(best))

    def losses(self, part: Best, whole: Best) -> tuple[Tensor, Metrics]:
        """The supervised loss, a mean over the tokens of all best answers."""
        found, entropy = self.log_probabilities(part.sequences)
        mask, tokens = part.sequences.answered, whole.sequences.answered.sum()
        return -ppo_math.total(found, mask) / tokens, {"entropy": (ppo_math.total(entropy, mask) / tokens).item()}


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    reward: PreTrainedModel,
    settings: BestOfN,
    run: Run,
) -> Metrics:
    """Let the policy learn to write the best of its own answers; the reference is the policy as it comes in."""
    updates = on_policy.updates_of(len(prompts), settings, settings.num_generations)
    return on_policy.train(Learner(policy, settings, updates, run.context.dtype), tokenizer, prompts, reward, run)
