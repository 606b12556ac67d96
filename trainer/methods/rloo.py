"""REINFORCE Leave-One-Out (Ahmadian et al. 2024), against the reward model.

In: a policy, prompts as tokens, a reward model. Out: the policy, trained in place, and its figures.
The reward of an answer is its score less `kl_coef` (TRL's `beta`) times its KL from the reference; its advantage is that less the mean of
the other answers to the same prompt. The whole answer is one action: one clipped ratio an answer. The numbers are those of TRL's
`RLOOTrainer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import on_policy, ppo_math
from trainer.methods.group_learner import GroupLearner
from trainer.methods.grpo import SMALL, Graded
from trainer.methods.on_policy import RolloutStats
from trainer.methods.ppo_rollouts import Sequences
from trainer.methods.sections import Rloo

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Learner(GroupLearner[Rloo, Graded]):
    """RLOO."""

    name = "rloo"

    def prepare(self, sequences: Sequences, stats: RolloutStats, rewards: Tensor) -> Graded:
        """Answers with advantages beside the others of their groups; the KL is paid out of the reward."""
        priced = rewards - self.settings.kl_coef * (stats.policy - stats.reference).masked_fill(~sequences.answered, 0).sum(1)
        return Graded(sequences, stats.policy, stats.reference, advantages(self.grouped(priced), self.settings.normalize_advantages))

    def losses(self, part: Graded, whole: Graded) -> tuple[Tensor, Metrics]:
        """The clipped loss of whole answers."""
        new, entropy = self.log_probabilities(part.sequences)
        mask, tokens = part.sequences.answered, whole.sequences.answered.sum()
        each, clipped = answer_losses(self.settings, new, part)
        figures = {
            "entropy": (ppo_math.total(entropy, mask) / tokens).item(),
            "clip_fraction": clipped.float().sum().item() / len(whole),
            "moved": (ppo_math.total(ppo_math.distance(new.detach(), part.old), mask) / tokens).item(),
        }
        return each.sum() / len(whole), figures


def advantages(grouped: Tensor, normalized: bool) -> Tensor:
    """Of every answer; `grouped` has one line a prompt, of two answers at least."""
    others = (grouped.sum(1, keepdim=True) - grouped) / (grouped.shape[1] - 1)
    found = (grouped - others).flatten()
    return (found - found.mean()) / (found.std() + SMALL) if normalized else found


def answer_losses(settings: Rloo, new: Tensor, part: Graded) -> tuple[Tensor, Tensor]:
    """Loss of every answer, and whether the clip decided it."""
    mask = part.sequences.answered
    now, before = (lines.masked_fill(~mask, 0).sum(1) for lines in (new, part.old))
    return ppo_math.policy_losses(now, before, part.advantages, settings.epsilon)


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    reward: PreTrainedModel,
    settings: Rloo,
    run: Run,
) -> Metrics:
    """Let the policy learn which of its own answers to a prompt the reward model prefers; the reference is the policy as it comes in."""
    updates = on_policy.updates_of(len(prompts), settings, settings.num_generations)
    return on_policy.train(Learner(policy, settings, updates, run.context.dtype), tokenizer, prompts, reward, run)
