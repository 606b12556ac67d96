"""reward: the model that `start` made, and a release, in; a model that gives an answer one number, higher for what people prefer, out.

Reads `data/release` and the starting model; writes the reward model (safetensors, configuration, tokenizer), `metrics.json`, and
`trained_on.json`. PPO learns from its rewards; `evaluate` counts how many held-out pairs it gets right.

    python -m trainer reward
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from tasks.core.catalog import Stage
from tasks.core.params import StageParams
from tasks.core.shell import tell
from trainer.core.settings import Adapter, Schedule, Watching


class Params(StageParams):
    """Section `reward` of `params.yaml`."""

    centre: float = Field(ge=0)  # how strongly rewards are drawn to a mean of zero; 0 leaves it open where zero lies
    adapter: Adapter
    watching: Watching
    schedule: Schedule


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Read and check everything first, so that no step is spent on a run that cannot end well; then train and save."""
    from trainer.core import basis, encode, models, outcome, release, rewards, runtime
    from trainer.core.run import Run
    from trainer.methods import reward

    given = stage.input("release")
    base = basis.read(stage.input("start"), given)
    pairs = release.train_pairs(given, base.shuffle_labels, base.seed)
    runtime.prepare(base.threads, base.seed, offline=True)
    model, tokenizer = rewards.begin(stage.input("start"), base.seed)
    rows = encode.demanded("train", pairs, tokenizer, base.window)
    tell(stage.name, encode.describe("train", rows))
    with Run.begin(stage, base, params.watching, params.adapter, params.model_dump(mode="json")) as run:
        figures = outcome.counts(rows) | reward.train(model, tokenizer, rows.kept, reward.Settings(params.centre, params.schedule), run)
    models.save(model, tokenizer, folder)
    outcome.write(folder, figures)
    basis.write(folder, base, params.model_dump(mode="json"))
