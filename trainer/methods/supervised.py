"""The supervised start: the model learns to write the chosen answers before it learns to prefer them.

A preference method only moves a model away from where it stands, so a model made from scratch must first stand
somewhere. In: a model and encoded pairs. Out: the model, trained in place; the mean loss per token of the last steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.core import batches, outcome
from trainer.core.encode import Encoded
from trainer.core.outcome import Figures
from trainer.core.run import Run
from trainer.core.scoring import token_losses
from trainer.core.settings import Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CLIP = 1.0  # largest norm of the gradient, as everywhere in the field


def train(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Encoded], schedule: Schedule, run: Run) -> Figures:
    """Maximise the likelihood of the chosen answers (not of the prompts) with AdamW; the rate rises, then falls as a cosine."""
    import torch
    from transformers import get_cosine_schedule_with_warmup

    if schedule.epochs == 0:
        return {"supervised_steps": 0}
    steps = batches.steps(len(pairs), schedule.batch, schedule.epochs, schedule.max_steps)
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.learning_rate, weight_decay=0.0)
    rate = get_cosine_schedule_with_warmup(optimizer, int(steps * schedule.warmup), steps)
    order = batches.plan([row.length for row in pairs], [row.pair.weight for row in pairs], schedule.batch, steps, run.basis.seed)
    model.train()
    losses = []
    for step, rows in enumerate(order, start=1):
        given = [(pairs[row].prompt, pairs[row].chosen) for row in rows]
        each = token_losses(model, given, tokenizer.pad_token_id)
        loss = each.sum() / sum(len(answer) for _, answer in given)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
        losses.append({"loss": loss.item()})
        run.watch.step("supervised", step, steps, losses[-1])
    return {"supervised_steps": steps, "supervised_loss_first": losses[0]["loss"], "supervised_loss": outcome.tails(losses)["loss"]}
