"""Odds Ratio Preference Optimization (Hong et al. 2024): likely chosen answers and preferences in one loss, without a reference.

In: a policy and encoded pairs. Out: the policy, trained in place; the mean figures of the last steps.
The loss is that of the supervised start on the chosen answers, plus beta times -log sigmoid of how much higher the odds of the chosen
answer are, with p the geometric mean of its tokens' probabilities. The number is TRL's (`trl.experimental.orpo`), but for one thing: TRL's
supervised part counts the prompt's tokens too, ours the answer's alone, as the authors' paper has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.data.encode import EncodedPair
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import pairwise
from trainer.methods.pairwise import Judge, Judged
from trainer.methods.sections import Orpo

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.methods.pairwise import Given, Sides

LEAST = 1e-7  # nats a token: an answer that is certain has infinite odds


def judge(settings: Orpo) -> Judge:
    """The loss; rewards are beta times the mean log-probability of a token."""

    def judged(now: Sides, given: Given) -> Judged:
        from torch.nn import functional

        lengths = (given["length_chosen"], given["length_rejected"])
        chosen, rejected = (sums / length for sums, length in zip(now, lengths, strict=True))
        preferred = functional.softplus(-(log_odds(chosen) - log_odds(rejected)))
        losses = settings.beta * preferred - now[0].sum() / lengths[0].sum()
        return Judged(losses, settings.beta * chosen.detach(), settings.beta * rejected.detach())

    return judged


def log_odds(mean: Tensor) -> Tensor:
    """log(p / (1 - p)) of p = exp(mean)."""
    below = mean.clamp(max=-LEAST)
    return below - (-below.exp()).log1p()


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[EncodedPair],
    settings: Orpo,
    run: Run,
    heldout: Sequence[EncodedPair] = (),
) -> Metrics:
    """Train the policy to write the chosen answers, and to find them likelier than the rejected ones."""
    return pairwise.train_without_reference(policy, tokenizer, pairs, "orpo", judge(settings), settings.schedule, run, heldout)
