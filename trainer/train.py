"""train: the model that `start` made, and a release, in; a policy that prefers what people preferred out.

Reads `data/release`, the starting model (the reference) and the reward model; writes the policy (safetensors, configuration,
tokenizer), `metrics.json`, and `trained_on.json`. TensorBoard logs and timings lie in the stage's reports folder: they
hold the clock, so DVC must not see them.

    python -m trainer train
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tasks.core.catalog import Stage
from tasks.core.params import StageParams
from tasks.core.shell import tell
from trainer.core.settings import Adapter, Schedule, Watching

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.core.outcome import Figures
    from trainer.core.run import Run


class Dpo(StageParams):
    """Direct preference optimisation (Rafailov et al. 2023)."""

    loss: Literal["sigmoid", "hinge", "ipo", "robust", "apo_zero"]
    beta: float = Field(gt=0)  # how dear it is to move away from the reference
    label_smoothing: float = Field(ge=0, lt=0.5)  # share of pairs believed to be the wrong way round
    schedule: Schedule


class Params(StageParams):
    """Section `train` of `params.yaml`."""

    method: Literal["dpo"]
    adapter: Adapter
    watching: Watching
    dpo: Dpo


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Read and check everything first, so that no step is spent on a run that cannot end well; then train and save."""
    from trainer.core import basis, models, outcome, runtime
    from trainer.core.run import Run

    base = basis.read(stage.input("start"), stage.input("release"))
    runtime.prepare(base.threads, base.seed, offline=True)
    model, tokenizer = models.load(str(stage.input("start")))
    with Run.begin(stage, base, params.watching, params.adapter, params.model_dump(mode="json")) as run:
        figures = METHODS[params.method](model, tokenizer, stage, params, run)
    models.save(model, tokenizer, folder)
    outcome.write(folder, figures)
    basis.write(folder, base, params.model_dump(mode="json"))


def _dpo(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stage: Stage, params: Params, run: Run) -> Figures:
    """Direct preference optimisation on the released pairs."""
    from trainer.core import encode, outcome, release
    from trainer.methods import dpo

    pairs = release.train_pairs(stage.input("release"), run.basis.shuffle_labels, run.basis.seed)
    rows = encode.demanded("train", pairs, tokenizer, run.basis.window)
    tell(stage.name, encode.describe("train", rows))
    own = params.dpo
    settings = dpo.Settings(own.loss, own.beta, own.label_smoothing, own.schedule)
    return outcome.counts(rows) | dpo.train(model, tokenizer, rows.kept, settings, run)


METHODS = {"dpo": _dpo}
