"""Distillation: a student with fewer layers learns to write, and to prefer, as the policy does.

In: the policy (teacher), a student that starts with some of its layers (as DistilBERT, Sanh et al. 2019), and pairs of the train split.
Out: the student, trained in place. The loss is the teacher's distribution over each token of both answers (Kullback-Leibler, Hinton et
al. 2015), and, times `margin`, how far the student's difference between the two answers is from the teacher's: what was learned
from preferences is in that difference, of which the distributions of single tokens say little. Labels are not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.data import batches
from trainer.data.encode import EncodedPair
from trainer.loop.metrics import Metrics
from trainer.models import scoring, typed
from trainer.settings import Schedule

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

CLIP = 1.0  # largest norm of the gradient, as everywhere in the field


def evenly(layers: int, wanted: int) -> list[int]:
    """So many of the layers, evenly spread from the first to the last: without the first, which reads the embedding, little is left."""
    return [round(place * (layers - 1) / max(1, wanted - 1)) for place in range(wanted)]


def train(
    student: PreTrainedModel, teacher: PreTrainedModel, pairs: Sequence[EncodedPair], pad: int, margin: float, schedule: Schedule, seed: int
) -> list[Metrics]:
    """Train the student with AdamW; the rate rises, then falls as a cosine. The figures of every step."""
    import torch
    from transformers import get_cosine_schedule_with_warmup

    steps = batches.steps(len(pairs), schedule.train_batch_size, schedule.num_train_epochs, schedule.max_steps)
    optimizer = torch.optim.AdamW(student.parameters(), lr=schedule.learning_rate, weight_decay=0.0)
    rate = get_cosine_schedule_with_warmup(optimizer, int(steps * schedule.warmup_ratio), steps)
    order = batches.plan([row.length for row in pairs], [1.0] * len(pairs), schedule.train_batch_size, steps, seed)
    student.train()
    typed.evaluating(teacher)
    logged = []
    for rows in order:
        figures = {"tokens": 0.0, "margins": 0.0}
        for start in range(0, len(rows), schedule.per_device_train_batch_size):
            part = [pairs[row] for row in rows[start : start + schedule.per_device_train_batch_size]]
            tokens, margins = losses(student, teacher, part, pad)
            share = len(part) / len(rows)
            ((tokens + margin * margins) * share).backward()  # type: ignore[no-untyped-call]
            figures = {"tokens": figures["tokens"] + tokens.item() * share, "margins": figures["margins"] + margins.item() * share}
        torch.nn.utils.clip_grad_norm_(student.parameters(), CLIP)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
        logged.append(figures)
    typed.evaluating(student)
    return logged


def losses(student: PreTrainedModel, teacher: PreTrainedModel, pairs: Sequence[EncodedPair], pad: int) -> tuple[Tensor, Tensor]:
    """Mean divergence a token, and mean distance between the two models' margins, in nats."""
    import torch

    rows = [(pair.prompt, pair.chosen) for pair in pairs] + [(pair.prompt, pair.rejected) for pair in pairs]
    inputs, mask, labels = (part.to(student.device) for part in scoring.tensors(rows, pad))
    kept = torch.tensor(scoring.read_from(rows), device=student.device)
    labels = labels[:, kept + 1]
    answers = labels != scoring.IGNORED
    logs = []
    for model, learns in ((teacher, False), (student, True)):
        with torch.set_grad_enabled(learns):
            logits = model(input_ids=inputs, attention_mask=mask, use_cache=False, logits_to_keep=kept).logits
            logs.append(logits[answers].float().log_softmax(-1))
    tokens = torch.nn.functional.kl_div(logs[1], logs[0], reduction="batchmean", log_target=True)
    margins = [_margins(log, labels, answers) for log in logs]
    return tokens, (margins[1] - margins[0]).abs().mean()


def _margins(logs: Tensor, labels: Tensor, answers: Tensor) -> Tensor:
    """Difference of the answers' log-probabilities of every pair; the first half of the lines are the chosen ones."""
    import torch

    picked = logs.gather(1, labels[answers][:, None])[:, 0]
    sums = torch.zeros(len(labels), device=logs.device).index_add(0, answers.nonzero()[:, 0], picked)
    first, second = sums.chunk(2)
    return first - second
