"""The supervised start: the model learns to write the chosen answers before it learns to prefer them.

A preference method only moves a model away from where it stands, so a model made from scratch must first stand
somewhere. In: a model and encoded pairs. Out: the model, trained in place; the loss per token of every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trainer.core import batches
from trainer.core.encode import Encoded
from trainer.core.scoring import token_losses

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CLIP = 1.0  # largest norm of the gradient, as everywhere in the field
Report = Callable[[int, float], None]


def train(
    model: PreTrainedModel,
    pairs: Sequence[Encoded],
    pad: int,
    *,
    batch: int,
    steps: int,
    learning_rate: float,
    warmup: float,
    seed: int,
    report: Report,
) -> list[float]:
    """Maximise the likelihood of the chosen answers (not of the prompts) with AdamW; the rate rises, then falls as a cosine."""
    import torch
    from transformers import get_cosine_schedule_with_warmup

    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    schedule = get_cosine_schedule_with_warmup(optimizer, int(steps * warmup), steps)
    order = batches.plan([row.length for row in pairs], [row.pair.weight for row in pairs], batch, steps, seed)
    model.train()
    losses = []
    for step, rows in enumerate(order, start=1):
        given = [(pairs[row].prompt, pairs[row].chosen) for row in rows]
        each = token_losses(model, given, pad)
        loss = each.sum() / sum(len(answer) for _, answer in given)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        report(step, losses[-1])
    return losses
