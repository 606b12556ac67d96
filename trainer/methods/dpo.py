"""Direct Preference Optimisation with TRL, on pairs that we have tokenised, counted and put in order ourselves.

In: a policy that stands where the reference stands, and encoded pairs. Out: the policy,
trained in place; the mean figures of the last steps.

TRL would tokenise, drop and cut by itself, without a count, and score the reference again for every repeated row:
here it gets exactly the tokens that were counted, and the reference's scores as columns. The reference is scored once, before the
first step, and only on rows that are seen. Held-out loss is computed here, over all pairs at once: TRL's own is a mean of batch means.
Both answers of a pair share one row where the model allows it, and the GPU's memory (`shared_prompt`): the same loss at half the cost.

Losses: sigmoid (Rafailov et al. 2023), hinge (SLiC, Zhao et al. 2023), ipo (Azar et al. 2023), robust (Chowdhury et al. 2024),
apo_zero (D'Oosterlinck et al. 2024), and sigmoid_norm (the sigmoid of the mean log-ratios of a token: length has no say in it).
Beside any of them may stand the supervised loss of the chosen answers, as in Pang et al. (2024):
DPO only asks that the chosen answer fall less than the rejected one, and a model whose good answers all become unlikely writes broken ones.
It is TRL's, a mean over the tokens of the rows at once, so with it the result depends a little on the rows at once and on the processes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.core.errors import UserError
from trainer.data.encode import EncodedPair
from trainer.loop import hf_trainer
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import pairwise
from trainer.methods.pair_scores import KnownScores, score
from trainer.methods.pairwise import FIGURES, Judge, Judged, answer_lengths
from trainer.models import runtime
from trainer.models.scoring import Scores
from trainer.settings import Schedule

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.methods.pairwise import Given, Sides

# TRL's `discopop` is left out because it learned the wrong way when measured; the others need settings of their own.
LOSSES = ("sigmoid", "sigmoid_norm", "hinge", "ipo", "robust", "apo_zero")
SMOOTHED = ("robust",)  # those of them that read label smoothing; TRL lets the others ignore it without a word
SUPERVISED = "sft"  # TRL's name of the supervised loss of the chosen answers, a mean over the tokens of a batch
AUTO = "auto"


@dataclass(frozen=True)
class Settings:
    """What DPO needs to know."""

    loss_type: str
    beta: float
    label_smoothing: float
    sft_weight: float  # of the supervised loss of the chosen answers; 0 leaves it out
    schedule: Schedule

    @property
    def terms(self) -> dict[str, float]:
        """TRL's names of the parts of the loss, with their weights."""
        return {self.loss_type: 1.0} | ({SUPERVISED: self.sft_weight} if self.sft_weight else {})


def resolve_label_smoothing(loss: str, wanted: float | str, estimate: float | None) -> float:
    """The label smoothing to use: the wanted number, or with `auto` the release's estimate; a UserError where neither can be had."""
    reads = loss in SMOOTHED
    if wanted == AUTO and reads:
        if estimate is None:
            raise UserError(
                "train.dpo.label_smoothing: auto",
                "no `label_smoothing` in the release's methods.json",
                "a release that estimates its label noise",
                "make the release again, or give a number",
            )
        return estimate
    if wanted == AUTO:
        return 0.0
    if wanted and not reads:
        raise UserError(
            f"train.dpo.label_smoothing: {wanted}",
            f"the loss {loss}, which ignores it",
            f"0 or auto, or the loss {' or '.join(SMOOTHED)}",
            "change train.dpo.label_smoothing or train.dpo.loss_type",
        )
    return float(wanted)


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[EncodedPair],
    settings: Settings,
    run: Run,
    heldout: Sequence[EncodedPair] = (),
) -> Metrics:
    """Train the policy to prefer the chosen answers; the reference is the policy as it comes in. `held` is never learned from."""
    schedule, pad = settings.schedule, tokenizer.pad_token_id
    steps = hf_trainer.steps(len(pairs), schedule)
    own = {"loss_type": list(settings.terms), "loss_weights": list(settings.terms.values())}
    arguments = pairwise.arguments(schedule, steps, run, beta=settings.beta, label_smoothing=settings.label_smoothing, **own)
    held_out = held_out_loss(policy, heldout, pad, settings, run.context.dtype) if heldout else None
    together = pairwise.shared(policy, pairs, pad, arguments.per_device_train_batch_size)
    kind = pairwise.judging(judge(settings), pairwise.reader(together)) if together else pairwise.counted_rows()
    trainer = kind(
        model=policy,
        args=arguments,
        data_collator=pairwise.collator(pad, together) if together else None,
        train_dataset=_rows(pairs, policy, pad, schedule, steps, run.context.seed, run.context.dtype, run.known),
        processing_class=tokenizer,
    )
    return pairwise.figures("dpo", hf_trainer.fit(trainer, run, "dpo", steps, FIGURES, held_out))


def _rows(
    pairs: Sequence[EncodedPair],
    policy: PreTrainedModel,
    pad: int,
    schedule: Schedule,
    steps: int,
    seed: int,
    dtype: str = "float32",
    known: KnownScores | None = None,
) -> Dataset:
    """The rows of all steps, in order, in TRL's own columns for pairs that are tokenised and scored; only what is seen is scored."""
    places = pairwise.planned(pairs, schedule, steps, seed)
    seen = sorted(set(places))
    with runtime.autocast(dtype):  # as the policy will be, or their roundings differ and every pair begins with a margin
        scores = known.score if known else score
        reference = scores(policy, [pairs[place] for place in seen], pad, schedule.per_device_train_batch_size)
    at = [bisect_left(seen, place) for place in places]
    return pairwise.table(pairs, places, ref_chosen_logps=reference.chosen[at], ref_rejected_logps=reference.rejected[at])


def held_out_loss(
    policy: PreTrainedModel, heldout: Sequence[EncodedPair], pad: int, settings: Settings, dtype: str = "float32"
) -> Callable[[], float]:
    """How to get the mean loss over pairs that are not learned from; the reference is the policy as it stands now."""

    def scores() -> Scores:
        return pairwise.held_out_scores(policy, heldout, pad, settings.schedule.per_device_train_batch_size, dtype)

    reference, lengths = scores(), answer_lengths(heldout)
    return lambda: float(losses(settings, scores(), reference, lengths).mean())


def judge(settings: Settings) -> Judge:
    """The loss, and the rewards, which are β times the log-ratios of policy and reference; batches hold the reference's scores."""

    def judged(now: Sides, given: Given) -> Judged:
        return against(settings, now, (given["reference_chosen"], given["reference_rejected"]), given)

    return judged


def against(settings: Settings, now: Sides, before: Sides, given: Given) -> Judged:
    """The same against the log-probabilities of any reference."""
    chosen, rejected = (settings.beta * (mine - theirs).detach() for mine, theirs in zip(now, before, strict=True))
    return Judged(loss_of(settings, now, before, (given["length_chosen"], given["length_rejected"])), chosen, rejected)


def losses(settings: Settings, policy: Scores, reference: Scores, lengths: Scores) -> np.ndarray:
    """Each pair's loss; `lengths` are the tokens of both answers."""
    import torch

    parts = [(torch.from_numpy(scores.chosen), torch.from_numpy(scores.rejected)) for scores in (policy, reference, lengths)]
    found: np.ndarray = loss_of(settings, parts[0], parts[1], parts[2]).numpy()
    return found


def loss_of(settings: Settings, policy: Sides, reference: Sides, lengths: Sides) -> Tensor:
    """Each pair's loss, as TRL 1.16 computes it. The supervised part is that of all pairs together, and the same for each."""
    from torch.nn import functional

    chosen, rejected = (mine - theirs for mine, theirs in zip(policy, reference, strict=True))
    reward, smooth = settings.beta * (chosen - rejected), settings.label_smoothing
    found: Tensor
    match settings.loss_type:
        case "sigmoid":
            found = functional.softplus(-reward)
        case "sigmoid_norm":
            found = functional.softplus(-settings.beta * (chosen / lengths[0] - rejected / lengths[1]))
        case "hinge":
            found = functional.relu(1 - reward)
        case "ipo":  # per token, as its authors meant it
            found = (chosen / lengths[0] - rejected / lengths[1] - 1 / (2 * settings.beta)) ** 2
        case "robust":
            found = ((1 - smooth) * functional.softplus(-reward) - smooth * functional.softplus(reward)) / (1 - 2 * smooth)
        case "apo_zero":
            found = (-settings.beta * chosen).sigmoid() + (settings.beta * rejected).sigmoid()
        case other:
            raise ValueError(f"no loss {other}")
    return found - settings.sft_weight * policy[0].sum() / lengths[0].sum() if settings.sft_weight else found
