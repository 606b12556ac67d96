"""reward: the model that `start` made, and a release, in; a model that gives an answer one number, higher for what people prefer, out.

Reads `data/release` and the starting model; writes the reward model (safetensors, configuration, tokenizer), `metrics.json`, and
`trained_on.json`. PPO learns from its rewards; `evaluate` counts how many held-out pairs it gets right.

`validation_length` says how far a reward reads length: the rank correlation of reward and tokens over the validation answers, each
less the mean of its pair, since rewards are comparable for one prompt only. `validation_longer` is the share of pairs whose longer
answer was chosen: what a model that reads nothing but length would get right.

    python -m trainer reward
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from tasks.core.params import StageParams
from tasks.core.pipeline import Stage
from tasks.core.shell import tell
from trainer.core.settings import Adapter, Lessons, Watching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from trainer.core.encode import Encoded
    from trainer.core.outcome import Figures


class Params(StageParams):
    """Section `reward` of `params.yaml`."""

    margin: Literal["none", "margin", "confidence"]  # what says how far apart the rewards of a pair shall be
    margin_size: float = Field(gt=0)  # what the margin is multiplied with
    mixup: float = Field(ge=0)  # alpha of the Beta distribution by which two pairs are mixed; 0 mixes none
    centre: float = Field(ge=0)  # how strongly rewards are drawn to a mean of zero; 0 leaves it open where zero lies
    adapter: Adapter
    watching: Watching
    schedule: Lessons


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Read and check everything first, so that no step is spent on a run that cannot end well; then train and save."""
    from trainer.core import adapters, basis, encode, models, outcome, release, rewards, runtime
    from trainer.core.run import Run
    from trainer.methods import reward

    given = stage.input("release")
    base = basis.read(stage.input("start"), given)
    pairs = release.train_pairs(given, base.shuffle_labels, base.seed)
    runtime.prepare(base.threads, base.seed, offline=True)
    model, tokenizer = rewards.begin(stage.input("start"), base.seed, adapters.held(params.adapter, base.precision))
    model = adapters.wrap(model, params.adapter, "SEQ_CLS")
    rows = encode.demanded("train", pairs, tokenizer, base.window)
    held_out = encode.encode(release.pairs(given, "validation"), tokenizer, base.window)
    for split, encoding in (("train", rows), ("validation", held_out)):
        tell(stage.name, encode.describe(split, encoding))
    settings = reward.Settings(params.margin, params.margin_size, params.mixup, params.centre, params.schedule)
    with Run.begin(stage, base, params.watching, params.adapter, params.model_dump(mode="json")) as run:
        figures = outcome.counts(rows) | reward.train(model, tokenizer, rows.kept, held_out.kept, settings, run)
    adapters.save(model, folder)
    whole = adapters.merged(model)
    figures |= _held_out(whole, held_out.kept, tokenizer.pad_token_id, params.schedule.micro_batch)
    models.save(whole, tokenizer, folder)
    run.watch.write(folder)
    outcome.write(folder, figures)
    basis.write(folder, base, params.model_dump(mode="json"))


def _held_out(model: PreTrainedModel, pairs: Sequence[Encoded], pad: int, batch: int) -> Figures:
    """Exact figures of the validation split, counted pair by pair; only the count where it is empty."""
    from trainer.core import statistics
    from trainer.methods import reward

    if not pairs:
        return {"validation_pairs": 0}
    sides = reward.sides(model, pairs, pad, batch)
    lengths = np.array([[len(row.chosen) for row in pairs], [len(row.rejected) for row in pairs]], dtype=np.float64)
    return {
        "validation_pairs": len(pairs),
        "validation_loss": reward.loss(sides[0] - sides[1]),
        "validation_accuracy": float(statistics.marks(sides[0] - sides[1]).mean()),
        "validation_mean": float(sides.mean()),
        "validation_spread": float(sides.std()),
        "validation_length": reads_length(lengths, sides),
        "validation_longer": float(statistics.marks(lengths[0] - lengths[1]).mean()),
    }


def reads_length(lengths: np.ndarray, sides: np.ndarray) -> float:
    """Rank correlation of tokens and rewards, each (chosen, rejected) x pairs, within pairs; 0 where either is always the same."""
    from scipy.stats import spearmanr

    within = [(side - side.mean(axis=0)).ravel() for side in (lengths, sides)]
    return float(spearmanr(*within).statistic) if all(side.any() for side in within) else 0.0
