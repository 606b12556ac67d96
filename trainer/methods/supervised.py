"""The supervised start: the model learns to write the chosen answers before it learns to prefer them.

A preference method only moves a model away from where it stands, so a model made from scratch must first stand
somewhere. In: a model and encoded pairs. Out: the model, trained in place; the mean loss per token of the last steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.checkpointing import checkpoints, divergence
from trainer.data import batches
from trainer.data.encode import EncodedPair
from trainer.loop import metrics
from trainer.loop.early_stopping import EarlyStopping
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.models import parallel, runtime, typed
from trainer.models.scoring import token_losses
from trainer.settings import Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CLIP = 1.0  # largest norm of the gradient, as everywhere in the field
PART = "supervised"


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[EncodedPair],
    schedule: Schedule,
    run: Run,
    held_out: Sequence[EncodedPair] = (),
) -> Metrics:
    """Maximise the likelihood of the chosen answers (not of the prompts) with AdamW; the rate rises, then falls as a cosine.

    `held_out` are the pairs whose loss is looked at, every `monitoring.eval_steps` steps.
    """
    import torch
    from transformers import get_cosine_schedule_with_warmup

    if schedule.num_train_epochs == 0:
        return {"supervised_steps": 0}
    parallel.accumulation(schedule.train_batch_size, schedule.per_device_train_batch_size)  # refuses what cannot be shared evenly
    steps = batches.steps(len(pairs), schedule.train_batch_size, schedule.num_train_epochs, schedule.max_steps)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=schedule.learning_rate, weight_decay=0.0)
    rate = get_cosine_schedule_with_warmup(optimizer, int(steps * schedule.warmup_ratio), steps)
    order = batches.plan(
        [row.length for row in pairs], [row.pair.weight for row in pairs], schedule.train_batch_size, steps, run.context.seed
    )
    pad, micro = tokenizer.pad_token_id, schedule.per_device_train_batch_size
    early_stopping = EarlyStopping(
        run, PART, model, (lambda: loss_of(model, held_out, pad, micro, run.context.dtype)) if held_out else None
    )
    parts = {"model": model, "optimizer": optimizer, "schedule": rate, "stopping": early_stopping}
    step, _ = checkpoints.restore(run, parts, steps)
    stop = False
    model.train()
    while step < steps and not stop:
        loss = _gradients(model, [pairs[row] for row in order[step]], pad, micro, run.context.dtype)
        norm = torch.nn.utils.clip_grad_norm_(trained, CLIP)
        told = {"loss": loss, "grad_norm": norm.item(), "learning_rate": optimizer.param_groups[0]["lr"]}
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
        step += 1
        run.monitor.step(PART, step, steps, told)
        stop = early_stopping.evaluate(step)
        checkpoints.save(run, step, parts, {})
    divergence.require_finite(PART, step, model)
    early_stopping.restore_best(step)
    losses = run.monitor.metrics_of(PART)
    return {"supervised_steps": step, "supervised_loss_first": losses[0]["loss"], "supervised_loss": metrics.final_means(losses)["loss"]}


def _gradients(model: PreTrainedModel, batch: Sequence[EncodedPair], pad: int, micro: int, dtype: str) -> float:
    """Add up the gradients of one batch, `micro` rows at once, over all processes; the batch's mean loss per token."""
    tokens = sum(len(row.chosen) for row in batch)
    mine, total = parallel.share(batch), 0.0
    for start in range(0, len(mine), micro):
        rows = [(row.prompt, row.chosen) for row in mine[start : start + micro]]
        with runtime.autocast(dtype):
            loss = token_losses(model, rows, pad).sum() / tokens * parallel.world()  # the mean over processes follows
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    parallel.average(model)
    return parallel.mean(total)


def loss_of(model: PreTrainedModel, pairs: Sequence[EncodedPair], pad: int, batch: int, dtype: str = "float32") -> float:
    """The exact mean loss per token of the chosen answers."""
    import torch

    typed.evaluating(model)
    total = 0.0
    with torch.no_grad(), runtime.autocast(dtype):
        for start in range(0, len(pairs), batch):
            rows = [(row.prompt, row.chosen) for row in pairs[start : start + batch]]
            total += token_losses(model, rows, pad).double().sum().item()
    return total / sum(len(row.chosen) for row in pairs)
