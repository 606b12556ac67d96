"""Group Relative Policy Optimization (Shao et al. 2024), against the reward model.

In: a policy, prompts as tokens, a reward model. Out: the policy, trained in place, and its figures.
The advantage of an answer is its reward less the mean of the answers to the same prompt (by their standard deviation, unless
`scale_rewards` is none); every token of the answer has it. The loss is PPO's clipped one plus `kl_coef` (TRL's `beta`) times the KL from
the reference, by the estimate that is never negative (Schulman 2020). How tokens are weighed, says `loss_type`: grpo, the mean of answers'
means; dapo, the mean of all tokens (Yu et al. 2025); dr_grpo, the sum by answers times `max_new_tokens`, which no length biases
(Liu et al. 2025). The numbers are those of TRL's `GRPOTrainer`, whose own loop wants a GPU, samples and resumes in its own way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import on_policy, ppo_math
from trainer.methods.group_learner import GroupLearner
from trainer.methods.on_policy import RolloutStats
from trainer.methods.ppo_rollouts import Sequences
from trainer.methods.sections import Grpo

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SMALL = 1e-4  # beside a standard deviation, as TRL has it


@dataclass(frozen=True)
class Graded:
    """Answers with their advantages; tensors of one line an answer, one column a token but for `advantages`."""

    sequences: Sequences
    old: Tensor  # log-probabilities at the time of the rollouts
    reference: Tensor
    advantages: Tensor  # one number an answer

    def __len__(self) -> int:
        """Answers."""
        return len(self.advantages)

    def take(self, places: Tensor) -> Graded:
        """Some of the answers."""
        return Graded(self.sequences.take(places), self.old[places], self.reference[places], self.advantages[places])


class Learner(GroupLearner[Grpo, Graded]):
    """GRPO."""

    name = "grpo"

    def prepare(self, sequences: Sequences, stats: RolloutStats, rewards: Tensor) -> Graded:
        """Answers with advantages within their groups."""
        return Graded(sequences, stats.policy, stats.reference, advantages(self.grouped(rewards), self.settings.scale_rewards))

    def losses(self, part: Graded, whole: Graded) -> tuple[Tensor, Metrics]:
        """The clipped loss and the price of the KL."""
        new, entropy = self.log_probabilities(part.sequences)
        each, clipped = token_losses(self.settings, new, part)
        mask, tokens = part.sequences.answered, whole.sequences.answered.sum()
        loss = reduced(self.settings, each, mask, len(whole), int(tokens))
        shares = {"entropy": entropy, "clip_fraction": clipped.float(), "moved": ppo_math.distance(new.detach(), part.old)}
        return loss, {name: (ppo_math.total(value, mask) / tokens).item() for name, value in shares.items()}


def advantages(grouped: Tensor, scale: str) -> Tensor:
    """Of every answer; `grouped` has one line a prompt. A group whose rewards are all the same teaches nothing."""
    ahead = grouped - grouped.mean(1, keepdim=True)
    return (ahead / (grouped.std(1, keepdim=True) + SMALL) if scale == "group" else ahead).flatten()


def token_losses(settings: Grpo, new: Tensor, part: Graded) -> tuple[Tensor, Tensor]:
    """Loss of every token, and whether the clip decided it."""
    each, clipped = ppo_math.policy_losses(new, part.old, part.advantages.unsqueeze(1), settings.epsilon)
    return each + settings.kl_coef * ppo_math.distance(part.reference, new), clipped


def reduced(settings: Grpo, each: Tensor, mask: Tensor, answers: int, tokens: int) -> Tensor:
    """The loss of a part of `answers` answers with `tokens` tokens."""
    lines = each.masked_fill(~mask, 0).sum(1)
    match settings.loss_type:
        case "grpo":
            return (lines / mask.sum(1)).sum() / answers
        case "dapo":
            return lines.sum() / tokens
        case "dr_grpo":
            return lines.sum() / (answers * settings.max_new_tokens)


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    reward: PreTrainedModel,
    settings: Grpo,
    run: Run,
) -> Metrics:
    """Let the policy learn which of its own answers to a prompt the reward model prefers; the reference is the policy as it comes in."""
    updates = on_policy.updates_of(len(prompts), settings, settings.num_generations)
    return on_policy.train(Learner(policy, settings, updates, run.context.dtype), tokenizer, prompts, reward, run)
