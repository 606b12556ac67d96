"""Trust-Region DPO (Gorbatovski et al. 2024): DPO whose reference follows the policy, so that it may go further.

In: a policy that stands where the reference stands, and encoded pairs. Out: the policy, trained in place; the mean figures of the last
steps. Every `ref_model_sync_steps` steps the reference becomes `ref_model_mixup_alpha` parts policy (soft update; 1 is a hard one).
Names and numbers are TRL's (`sync_ref_model`), whose own resumed runs forget where the reference stood: here it is part of a checkpoint.

The reference is a second model in memory, and its pass a third of a step, where DPO scores it once. With an adapter there is no model
that could follow (TRL refuses that, too).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trainer.data.encode import EncodedPair
from trainer.loop import hf_trainer
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import dpo, pairwise
from trainer.methods.pairwise import FIGURES, Judge, Judged
from trainer.methods.sections import TrDpo
from trainer.models import runtime, typed

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.methods.pairwise import Given, Read, Sides


class Follower:
    """A reference that follows the policy; part of a checkpoint."""

    def __init__(self, policy: PreTrainedModel, alpha: float, every: int) -> None:
        self.policy, self.alpha, self.every = policy, alpha, every
        self.model = typed.evaluating(copy.deepcopy(policy).requires_grad_(False))

    def follow(self, step: int) -> None:
        """Go some way towards the policy, if it is time to."""
        if step % self.every == 0:
            for mine, theirs in zip(self.model.parameters(), self.policy.parameters(), strict=True):
                mine.data.mul_(1 - self.alpha).add_(theirs.data, alpha=self.alpha)

    def state_dict(self) -> dict[str, Tensor]:
        """Its weights."""
        return self.model.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Stand where it stood."""
        self.model.load_state_dict(state)


def judge(settings: dpo.Settings, follower: Follower, read: Read, dtype: str) -> Judge:
    """DPO's loss against the reference as it stands now."""

    def judged(now: Sides, given: Given) -> Judged:
        import torch

        with torch.no_grad(), runtime.autocast(dtype):
            before, _ = read(follower.model, given)
        return dpo.against(settings, now, before, given)

    return judged


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[EncodedPair],
    settings: TrDpo,
    run: Run,
    heldout: Sequence[EncodedPair] = (),
) -> Metrics:
    """Train the policy; held-out loss is that of DPO beside the policy as it came in, so that it can be compared from look to look."""
    schedule, pad = settings.schedule, tokenizer.pad_token_id
    own = dpo.Settings(settings.loss_type, settings.beta, 0.0, settings.sft_weight, schedule)
    steps = hf_trainer.steps(len(pairs), schedule)
    arguments = pairwise.arguments(schedule, steps, run)
    held_out = dpo.held_out_loss(policy, heldout, pad, own, run.context.dtype) if heldout else None
    together = pairwise.shared(policy, pairs, pad, arguments.per_device_train_batch_size)
    read, follower = pairwise.reader(together), Follower(policy, settings.ref_model_mixup_alpha, settings.ref_model_sync_steps)
    trainer = pairwise.judging(judge(own, follower, read, run.context.dtype), read)(
        model=policy,
        args=arguments,
        data_collator=pairwise.collator(pad, together),
        train_dataset=pairwise.table(pairs, pairwise.planned(pairs, schedule, steps, run.context.seed)),
        processing_class=tokenizer,
    )
    logged = hf_trainer.fit(trainer, run, "tr_dpo", steps, FIGURES, held_out, follower, follower.follow)
    return pairwise.figures("tr_dpo", logged)
