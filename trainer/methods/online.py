"""Online DPO (Guo et al. 2024): the policy answers, the reward model ranks, DPO learns from the best against the worst.

In: a policy, prompts as tokens, a reward model. Out: the policy, trained in place, and its figures.
One round: the policy writes `num_generations` answers to each of some prompts; the reward model scores them; DPO (`dpo.loss_of`) takes a
few steps on the best and the worst answer to each prompt; the next round's answers are those of the policy that learnt. The reference is
the policy as it came in, in every round.

Against reward that is bought with length: `length_price` is taken from the reward for every token before answers are ranked, `beta` keeps
the policy near its reference, `sft_weight` keeps the best answers likely, `kl_bound` and `monitoring.max_growth` end training. Where all
answers to a prompt are ranked alike, best and worst are one answer, which teaches no preference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import dpo, on_policy, ppo_math
from trainer.methods.group_learner import GroupLearner
from trainer.methods.on_policy import RolloutStats
from trainer.methods.ppo_rollouts import Sequences
from trainer.methods.sections import Online

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Compared:
    """The best and the worst answer to each prompt, and what the reference says of them, as sums of log-probabilities."""

    best: Sequences
    worst: Sequences
    reference_best: Tensor
    reference_worst: Tensor

    def __len__(self) -> int:
        """Prompts."""
        return len(self.reference_best)

    def take(self, places: Tensor) -> Compared:
        """Some of the prompts."""
        return Compared(self.best.take(places), self.worst.take(places), self.reference_best[places], self.reference_worst[places])


class Learner(GroupLearner[Online, Compared]):
    """Online DPO."""

    name = "online"

    def prepare(self, sequences: Sequences, stats: RolloutStats, rewards: Tensor) -> Compared:
        """The best and the worst answer to each prompt."""
        best, worst = ranked(self.grouped(rewards - self.settings.length_price * sequences.answered.sum(1)))
        before = stats.reference.masked_fill(~sequences.answered, 0).sum(1)
        return Compared(sequences.take(best), sequences.take(worst), before[best], before[worst])

    def losses(self, part: Compared, whole: Compared) -> tuple[Tensor, Metrics]:
        """DPO's loss; the supervised term is a mean over the tokens of all best answers."""
        own = self.settings
        (best, entropy), (worst, _) = (self.log_probabilities(side) for side in (part.best, part.worst))
        now = (best.masked_fill(~part.best.answered, 0).sum(1), worst.masked_fill(~part.worst.answered, 0).sum(1))
        before = (part.reference_best, part.reference_worst)
        lengths = (part.best.answered.sum(1), part.worst.answered.sum(1))
        each = dpo.loss_of(dpo.Settings(own.loss_type, own.beta, 0.0, 0.0, own.schedule), now, before, lengths)
        tokens = whole.best.answered.sum()
        loss = each.sum() / len(whole) - own.sft_weight * now[0].sum() / tokens
        chosen, rejected = (own.beta * (mine - theirs).detach() for mine, theirs in zip(now, before, strict=True))
        means = {
            "margin": chosen - rejected,
            "accuracy": (chosen > rejected).float(),
            "chosen_reward": chosen,
            "rejected_reward": rejected,
            "chosen_logps": now[0].detach(),
            "rejected_logps": now[1].detach(),
        }
        figures = {name: value.sum().item() / len(whole) for name, value in means.items()}
        return loss, figures | {"entropy": (ppo_math.total(entropy, part.best.answered) / tokens).item()}


def ranked(grouped: Tensor) -> tuple[Tensor, Tensor]:
    """Places of the best and the worst answer to each prompt; `grouped` has one line a prompt. Of answers alike the first."""
    import torch

    first = torch.arange(len(grouped), device=grouped.device) * grouped.shape[1]
    return first + grouped.argmax(1), first + grouped.argmin(1)


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    reward: PreTrainedModel,
    settings: Online,
    run: Run,
) -> Metrics:
    """Let the policy learn to prefer its best answers to its worst; the reference is the policy as it comes in."""
    updates = on_policy.updates_of(len(prompts), settings, settings.num_generations)
    return on_policy.train(Learner(policy, settings, updates, run.context.dtype), tokenizer, prompts, reward, run)
