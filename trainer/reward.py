"""reward: the model that `start` made, and a release, in; a model that gives an answer one number, higher for what people prefer, out.

Reads `data/release` and the starting model; writes the reward model (safetensors, configuration, tokenizer), its token counts,
`metrics.json`, and `trained_on.json`. PPO learns from its rewards; `evaluate` counts how many held-out pairs it gets right.

`validation_length` says how far a reward reads length: the rank correlation of reward and tokens over the validation answers, each
less the mean of its pair, since rewards are comparable for one prompt only. `validation_longer` is the share of pairs whose longer
answer was chosen: what a model that reads nothing but length would get right.

    python -m trainer reward
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from tasks.core.params import StageParams
from tasks.core.pipeline import Stage
from tasks.core.shell import log
from trainer.models import parallel
from trainer.settings import Adapter, Count, Monitoring, Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from trainer.data.encode import EncodedPair
    from trainer.loop.metrics import Metrics


class Counts(StageParams):
    """A weight for each token of the vocabulary, beside the model's body."""

    use: bool
    most: int = Count  # of one token in one answer that count
    l2: float = Field(gt=0)  # price of the weights


class Params(StageParams):
    """Section `reward` of `params.yaml`."""

    margin: Literal["none", "margin", "confidence"]  # what says how far apart the rewards of a pair shall be
    margin_size: float = Field(gt=0)  # what the margin is multiplied with
    mixup_alpha: float = Field(ge=0)  # of the Beta distribution by which two pairs are mixed; 0 mixes none
    center_rewards_coefficient: float = Field(ge=0)  # how strongly rewards are drawn to a mean of zero; 0 leaves it open where zero lies
    counts: Counts
    adapter: Adapter
    monitoring: Monitoring
    schedule: Schedule

    renamed: ClassVar = {"mixup": "mixup_alpha", "centre": "center_rewards_coefficient", "watching": "monitoring"}


def check(params: Params) -> None:
    """A UserError for what the types of parameters cannot say."""
    parallel.accumulation(params.schedule.train_batch_size, params.schedule.per_device_train_batch_size)


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Read and check everything first, so that no step is spent on a run that cannot end well; then train and save."""
    from trainer.data import encode, release_reader
    from trainer.loop import metrics
    from trainer.loop.run import Run
    from trainer.methods import counting, reward_modeling
    from trainer.models import adapters, reward_models, runtime, saving, token_counts, training_context

    given = stage.input("release")
    context = training_context.read(stage.input("start"), given)
    pairs = release_reader.train_pairs(given, context.shuffle_labels, context.seed)
    runtime.prepare(context.threads, context.seed, offline=True)
    model, tokenizer = reward_models.begin(stage.input("start"), context.seed, adapters.weight_dtype(params.adapter, context.dtype))
    model = adapters.wrap(model, params.adapter, "SEQ_CLS")
    rows = encode.require_pairs("train", pairs, tokenizer, context.max_length)
    held_out = encode.encode(release_reader.pairs(given, "validation"), tokenizer, context.max_length)
    for split, encoding in (("train", rows), ("validation", held_out)):
        log(stage.name, encode.describe(split, encoding))
    settings = reward_modeling.Settings(
        params.margin,
        params.margin_size,
        params.mixup_alpha,
        params.center_rewards_coefficient,
        params.schedule,
        counting.Settings(params.counts.most, params.counts.l2) if params.counts.use else None,
    )
    with Run.begin(stage, context, params.monitoring, params.adapter, params.model_dump(mode="json")) as run:
        figures = metrics.counts(rows) | reward_modeling.train(model, tokenizer, rows.kept, held_out.kept, settings, run)
    adapters.save(model, folder)
    whole, counts = adapters.merged(model), token_counts.of(model)
    token_counts.put(whole, counts)
    figures |= _held_out(whole, held_out.kept, tokenizer.pad_token_id, params.schedule.per_device_train_batch_size)
    saving.save(whole, tokenizer, folder)
    if counts:
        counts.save(folder)
    run.monitor.write(folder)
    metrics.write(folder, figures)
    training_context.write(folder, context, params.model_dump(mode="json"))


def _held_out(model: PreTrainedModel, pairs: Sequence[EncodedPair], pad: int, batch: int) -> Metrics:
    """Exact figures of the validation split, counted pair by pair; only the count where it is empty."""
    from trainer.evaluation import proportions
    from trainer.methods import reward_modeling

    if not pairs:
        return {"validation_pairs": 0}
    sides = reward_modeling.sides(model, pairs, pad, batch)
    lengths = np.array([[len(row.chosen) for row in pairs], [len(row.rejected) for row in pairs]], dtype=np.float64)
    return {
        "validation_pairs": len(pairs),
        "validation_loss": reward_modeling.loss(sides[0] - sides[1]),
        "validation_accuracy": float(proportions.correctness(sides[0] - sides[1]).mean()),
        "validation_mean": float(sides.mean()),
        "validation_spread": float(sides.std()),
        "validation_length": reads_length(lengths, sides),
        "validation_longer": float(proportions.correctness(lengths[0] - lengths[1]).mean()),
    }


def reads_length(lengths: np.ndarray, sides: np.ndarray) -> float:
    """Rank correlation of tokens and rewards, each (chosen, rejected) x pairs, within pairs; 0 where either is always the same."""
    from scipy.stats import spearmanr

    within = [(side - side.mean(axis=0)).ravel() for side in (lengths, sides)]
    return float(spearmanr(*within).statistic) if all(side.any() for side in within) else 0.0
