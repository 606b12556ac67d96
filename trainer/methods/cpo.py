"""Contrastive Preference Optimization (Xu et al. 2024): DPO without a reference, held together by the supervised loss.

In: a policy and encoded pairs. Out: the policy, trained in place; the mean figures of the last steps.
The loss is that of DPO with a reference that finds every answer equally likely, so it saves the reference's pass, and nothing keeps the
policy where it stands but `sft_weight` times the supervised loss of the chosen answers. Losses: sigmoid and hinge on sums of
log-probabilities, ipo on means. The numbers are TRL's (`trl.experimental.cpo`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.data.encode import EncodedPair
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import pairwise
from trainer.methods.pairwise import Judge, Judged
from trainer.methods.sections import Cpo

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.methods.pairwise import Given, Sides

LOSSES = ("sigmoid", "hinge", "ipo")
AVERAGED = ("ipo",)  # those of them that read the mean log-probability of a token


def judge(settings: Cpo) -> Judge:
    """The loss; rewards are beta times what it reads."""

    def judged(now: Sides, given: Given) -> Judged:
        lengths = (given["length_chosen"], given["length_rejected"])
        averaged = settings.loss_type in AVERAGED
        chosen, rejected = (sums / length if averaged else sums for sums, length in zip(now, lengths, strict=True))
        losses = _losses(settings, chosen - rejected) - settings.sft_weight * now[0].sum() / lengths[0].sum()
        return Judged(losses, settings.beta * chosen.detach(), settings.beta * rejected.detach())

    return judged


def _losses(settings: Cpo, ahead: Tensor) -> Tensor:
    """Each pair's preference loss, by how far the chosen answer is ahead."""
    from torch.nn import functional

    match settings.loss_type:
        case "sigmoid":
            return functional.softplus(-settings.beta * ahead)
        case "hinge":
            return functional.relu(1 - settings.beta * ahead)
        case "ipo":
            return (ahead - 1 / (2 * settings.beta)) ** 2


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[EncodedPair],
    settings: Cpo,
    run: Run,
    heldout: Sequence[EncodedPair] = (),
) -> Metrics:
    """Train the policy to find the chosen answers likelier than the rejected ones."""
    return pairwise.train_without_reference(policy, tokenizer, pairs, "cpo", judge(settings), settings.schedule, run, heldout)
