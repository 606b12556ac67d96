"""Kahneman-Tversky Optimisation (Ethayarajh et al. 2024) with TRL, on single answers that people liked or did not.

In: a policy that stands where the reference stands, and encoded single answers. Out: the policy, trained in place; the mean
figures of the last steps.

A liked answer's reward is to lie above a point of reference, a disliked one's below it. That point is how far the policy has
moved from the reference on answers that do not belong to their prompts: TRL takes, within every micro-batch, each prompt with the answer
of the row before it. We lay these mismatched answers out ourselves: TRL would cut those that do not fit unseen (they are cut here, too,
but counted), and would take the answer to the same prompt where one is drawn twice in a row. The reference is scored once, before the
first step.

Both labels must be there, and must weigh about the same together: desirable : undesirable, weight x rows, from 1 : 1 to 4 : 3. `auto`
weights count the rows that are drawn, after the filter of lengths and the rows' own weights. The row weights of a release are honoured
by how often a row is drawn: loss and point of reference are means over rows, so a row drawn twice is a row that is there twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.common import training_methods
from tasks.core.errors import UserError
from tasks.core.shell import log
from trainer.data import batches
from trainer.data.encode import EncodedExample
from trainer.loop import hf_trainer, metrics
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods.dpo import AUTO
from trainer.models import runtime
from trainer.models.scoring import Row, sums
from trainer.settings import Schedule

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl.trainer.kto_trainer import KTOTrainer

LOSSES = ("kto", "apo_zero_unpaired")
ANCHORED = ("kto",)  # those of them that need the mismatched answers
FIGURES = {"loss": "loss", "kl": "kl", "rewards/margins": "margin"}  # TRL's name: ours


@dataclass(frozen=True)
class Settings:
    """What KTO needs to know."""

    loss_type: str
    beta: float
    class_weights: list[float] | str  # of liked and of disliked answers, or `auto`
    schedule: Schedule


@dataclass(frozen=True)
class WeightedSettings:
    """Settings whose weights are numbers."""

    loss_type: str
    beta: float
    liked: float
    disliked: float


def train(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[EncodedExample],
    settings: Settings,
    run: Run,
    heldout: Sequence[EncodedExample] = (),
) -> Metrics:
    """Train the policy to write what was liked rather than what was not; the reference is the policy as it comes in."""
    from trl.trainer.kto_config import KTOConfig

    _require_both("train", examples)
    schedule, pad = settings.schedule, tokenizer.pad_token_id
    steps = hf_trainer.steps(len(examples), schedule)
    drawn = order(examples, settings, steps, run.context.seed)
    weighed = weigh(settings, drawn, run.stage)
    own = {
        "loss_type": weighed.loss_type,
        "beta": weighed.beta,
        "desirable_weight": weighed.liked,
        "undesirable_weight": weighed.disliked,
        "precompute_ref_log_probs": True,
        "disable_dropout": not run.adapter.lora_dropout,  # TRL would switch the adapter's off, too
    }
    arguments = hf_trainer.arguments(KTOConfig, schedule, steps, run, **own)
    _require_neighbours(settings, arguments.per_device_train_batch_size)
    held_out = (
        held_out_loss(policy, heldout, pad, weighed, run.context.max_length, schedule.per_device_train_batch_size, run.context.dtype)
        if heldout
        else None
    )
    rows = _rows(drawn, policy, pad, settings, run)
    trainer = _trainer_class()(model=policy, args=arguments, train_dataset=rows, processing_class=tokenizer)
    logged = hf_trainer.fit(trainer, run, "kto", steps, FIGURES, held_out)
    found: Metrics = {"kto_steps": len(logged), "kto_weight_liked": weighed.liked, "kto_weight_disliked": weighed.disliked}
    return found | {f"kto_{name}": value for name, value in metrics.final_means(logged).items()}


def order(examples: Sequence[EncodedExample], settings: Settings, steps: int, seed: int) -> list[EncodedExample]:
    """The rows of all steps, in order."""
    lengths, weights = [row.length for row in examples], [row.example.weight for row in examples]
    return [examples[place] for batch in batches.plan(lengths, weights, settings.schedule.train_batch_size, steps, seed) for place in batch]


def weigh(settings: Settings, drawn: Sequence[EncodedExample], stage: str) -> WeightedSettings:
    """The weights of both labels; says how they stand to the rows that are drawn."""
    liked = sum(row.example.label for row in drawn)
    disliked = len(drawn) - liked
    if settings.class_weights == AUTO:
        found = training_methods.weights(liked, disliked)
        both = (found.desirable_weight or 1.0, found.undesirable_weight or 1.0)
    else:
        both = (float(settings.class_weights[0]), float(settings.class_weights[1]))
    ratio = both[0] * liked / (both[1] * disliked) if disliked else float("inf")
    low, high = training_methods.KTO_RANGE
    outside = "" if round(low, 2) <= round(ratio, 2) <= round(high, 2) else "; KTO wants 1.00 to 1.33"
    log(stage, f"kto: {liked} liked rows x {both[0]:g}, {disliked} disliked x {both[1]:g}: together {ratio:.2f} : 1{outside}")
    return WeightedSettings(settings.loss_type, settings.beta, *both)


def _require_both(split: str, examples: Sequence[EncodedExample]) -> None:
    """A UserError where one label is missing."""
    liked = sum(row.example.label for row in examples)
    if liked in (0, len(examples)):
        raise UserError(
            f"unpaired, split {split}",
            f"{liked} liked and {len(examples) - liked} disliked answers that fit the window",
            "both, since KTO learns from their difference",
            "bring feedback of both kinds, or set train.method to dpo",
        )


def _require_neighbours(settings: Settings, micro: int) -> None:
    """A UserError where a row has no other in its micro-batch whose answer could be the mismatched one."""
    if settings.loss_type in ANCHORED and micro < 2:
        raise UserError(
            f"train.kto.schedule.per_device_train_batch_size: {micro}",
            "rows alone",
            "at least 2, since each row's answer is held against its neighbour's prompt",
            "raise train.kto.schedule.per_device_train_batch_size, or set train.kto.loss_type to apo_zero_unpaired",
        )


def mismatched(rows: Sequence[EncodedExample], block: int, max_length: int) -> tuple[list[Row], int]:
    """Each row's prompt with an answer to another prompt of its block, as `_other` finds it, and how many had to be cut."""
    found: list[Row] = []
    cut = 0
    for start in range(0, len(rows), block):
        part = rows[start : start + block]
        for at, row in enumerate(part):
            answer, room = _other(part, at).answer, max_length - len(row.prompt)
            cut += len(answer) > room
            found.append((row.prompt, answer[:room]))
    return found, cut


def _other(part: Sequence[EncodedExample], at: int) -> EncodedExample:
    """The nearest row before (before the first comes the last) that has another prompt; where all have the same, the row before."""
    return next((part[at - back] for back in range(1, len(part)) if part[at - back].prompt != part[at].prompt), part[at - 1])


def _rows(drawn: Sequence[EncodedExample], policy: PreTrainedModel, pad: int, settings: Settings, run: Run) -> Dataset:
    """The rows of all steps, in order, in TRL's own columns for answers that are tokenised and scored."""
    from datasets import Dataset

    micro = settings.schedule.per_device_train_batch_size
    distinct = {id(row): row for row in drawn}
    own = _sums(policy, [(row.prompt, row.answer) for row in distinct.values()], pad, micro, run.context.dtype)
    scores = dict(zip(distinct, own, strict=True))
    columns = {
        "prompt_ids": [row.prompt for row in drawn],
        "completion_ids": [row.answer for row in drawn],
        "label": [row.example.label for row in drawn],
        "ref_logps": [scores[id(row)] for row in drawn],
    }
    if settings.loss_type in ANCHORED:
        others, cut = mismatched(drawn, min(micro, settings.schedule.train_batch_size), run.context.max_length)
        if cut:
            log(run.stage, f"kto: {cut} of {len(others)} mismatched answers are cut at the window; they set the point of reference only")
        columns |= {
            "KL_completion_ids": [answer for _, answer in others],
            "ref_KL_logps": _sums(policy, others, pad, micro, run.context.dtype),
        }
    return Dataset.from_dict(columns)


def _sums(policy: PreTrainedModel, rows: Sequence[Row], pad: int, micro: int, dtype: str) -> np.ndarray:
    """Log-probabilities in the precision in which the policy learns, or roundings would look like a move."""
    with runtime.autocast(dtype):
        return sums(policy, rows, pad, micro)


def held_out_loss(
    policy: PreTrainedModel,
    heldout: Sequence[EncodedExample],
    pad: int,
    weighed: WeightedSettings,
    max_length: int,
    micro: int,
    dtype: str = "float32",
) -> Callable[[], float]:
    """How to get the mean loss over answers that are not learned from, with one point of reference from all of them."""
    own = [(row.prompt, row.answer) for row in heldout]
    others = mismatched(heldout, len(heldout), max_length)[0] if weighed.loss_type in ANCHORED else []
    before, before_others = (_sums(policy, rows, pad, micro, dtype) for rows in (own, others))
    label = np.array([row.example.label for row in heldout])

    def loss() -> float:
        moved = _sums(policy, own, pad, micro, dtype) - before
        moved_others = _sums(policy, others, pad, micro, dtype) - before_others
        return float(losses(weighed, moved, moved_others, label).mean())

    return loss


def losses(weighed: WeightedSettings, moved: np.ndarray, moved_others: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Each answer's loss, as TRL 1.16 computes it; `moved` are log-ratios of policy to reference, `moved_others` those of mismatched."""
    anchor = max(0.0, float(moved_others.mean())) if weighed.loss_type in ANCHORED else 0.0
    away = weighed.beta * (moved - anchor)
    found: np.ndarray = np.where(label, weighed.liked * sigmoid(-away), weighed.disliked * sigmoid(away))
    return found


def sigmoid(value: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-value)), without overflow."""
    found: np.ndarray = np.exp(-np.logaddexp(0.0, -value))
    return found


def _trainer_class() -> type[KTOTrainer]:
    """TRL's trainer, taking rows as they are."""
    from trl.trainer.kto_trainer import KTOTrainer

    class CountedRows(KTOTrainer):
        """Neither tokenises nor scores: both is done."""

        def _prepare_dataset(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
            return dataset

        def _precompute_ref_logps(self, dataset: Dataset, *_: object, **__: object) -> Dataset:
            return dataset

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            """TRL knows no margin in a step whose rows are all of one label: there the other's reward is the reference's, 0."""
            figures = self._metrics["train"]
            if "loss" in logs and not figures.get("rewards/margins"):
                sides = [(sign, figures.get(f"rewards/{side}")) for sign, side in ((1, "chosen"), (-1, "rejected"))]
                figures["rewards/margins"] = [sum(sign * sum(seen) / len(seen) for sign, seen in sides if seen)]
            super().log(logs, start_time)

    return CountedRows
