"""Simple Preference Optimization (Meng et al. 2024): mean log-probabilities as rewards, a margin between them, no reference.

In: a policy and encoded pairs. Out: the policy, trained in place; the mean figures of the last steps.
The reward of an answer is beta times the mean log-probability of its tokens, so length has no say in it; the chosen answer's is to be
`gamma` above the rejected one's. Nothing keeps the policy where it stands but `sft_weight` times the supervised loss of the chosen
answers, which the authors leave out. The numbers are TRL's (`trl.experimental.cpo`, loss `simpo`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.data.encode import EncodedPair
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import pairwise
from trainer.methods.pairwise import Judge, Judged
from trainer.methods.sections import SimPo

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.methods.pairwise import Given, Sides


def judge(settings: SimPo) -> Judge:
    """The loss and the rewards."""

    def judged(now: Sides, given: Given) -> Judged:
        from torch.nn import functional

        lengths = (given["length_chosen"], given["length_rejected"])
        chosen, rejected = (settings.beta * sums / length for sums, length in zip(now, lengths, strict=True))
        losses = functional.softplus(settings.gamma - (chosen - rejected)) - settings.sft_weight * now[0].sum() / lengths[0].sum()
        return Judged(losses, chosen.detach(), rejected.detach())

    return judged


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[EncodedPair],
    settings: SimPo,
    run: Run,
    heldout: Sequence[EncodedPair] = (),
) -> Metrics:
    """Train the policy to find the chosen answers likelier than the rejected ones, token for token."""
    return pairwise.train_without_reference(policy, tokenizer, pairs, "simpo", judge(settings), settings.schedule, run, heldout)
