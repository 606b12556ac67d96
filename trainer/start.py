"""start: a verified release in, the model that every method starts from out: scratch or given, after a supervised start.

Reads `data/release`; writes the model (safetensors, configuration, tokenizer), `metrics.json`, and `trained_on.json`, which later
stages read: the release, the seed, the threads and the window are decided here once. The model that comes out is the
reference of every preference method.

    python -m trainer start
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from tasks.core.errors import UserError
from tasks.core.params import StageParams
from tasks.core.pipeline import Stage
from tasks.core.shell import tell
from trainer.core.settings import Adapter, Count, Model, Precision, Schedule, Watching

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.core.release import Pair


class Params(StageParams):
    """Section `start` of `params.yaml`."""

    seed: int = Field(ge=0, lt=2**32)  # numpy takes no larger one
    threads: int = Count  # part of the result: sums over more threads differ in their last bits
    window: int = Field(ge=8)  # tokens of prompt and answer together; longer pairs are left out and counted
    precision: Precision
    shuffle_labels: bool  # swap chosen and rejected in half of the training pairs: a control that must learn nothing
    model: Model
    adapter: Adapter
    schedule: Schedule
    watching: Watching


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Read and check everything first, so that no step is spent on a run that cannot end well; then train and save."""
    from trainer.core import adapters, basis, encode, models, outcome, release, runtime
    from trainer.core.run import Run
    from trainer.methods import supervised

    given = stage.input("release")
    digest = release.verified(given)
    pairs = release.train_pairs(given, params.shuffle_labels, params.seed)
    runtime.prepare(params.threads, params.seed, offline=not models.is_hub_name(params.model.source))
    model, tokenizer = _model(params, pairs)
    rows = encode.demanded("train", pairs, tokenizer, params.window)
    tell(stage.name, encode.describe("train", rows))
    held_out = encode.encode(release.pairs(given, "validation"), tokenizer, params.window).kept if params.watching.check_every else []
    base = basis.Basis(digest, params.model.source, params.seed, params.threads, params.window, params.precision, params.shuffle_labels)
    with Run.begin(stage, base, params.watching, params.adapter, params.model_dump(mode="json")) as run:
        figures = outcome.sizes(model, tokenizer) | outcome.counts(rows)
        learner = adapters.wrap(model, params.adapter, "CAUSAL_LM")
        figures |= supervised.train(learner, tokenizer, rows.kept, params.schedule, run, held_out)
    adapters.save(learner, folder)
    models.save(adapters.merged(learner), tokenizer, folder)
    run.watch.write(folder)
    outcome.write(folder, figures)
    basis.write(folder, base, params.model_dump(mode="json"))


def _model(params: Params, pairs: list[Pair]) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer, fit to be trained."""
    from trainer.core import adapters, models, outcome, runtime, tokenizer

    wanted = params.model
    if wanted.source == models.SCRATCH:
        if wanted.width % (2 * wanted.heads):
            raise UserError(
                f"start.model.width: {wanted.width}",
                f"no even share for each of {wanted.heads} heads",
                f"a multiple of {2 * wanted.heads}",
                "change start.model.width or start.model.heads",
            )
        size = models.Size(wanted.vocabulary, wanted.width, wanted.inner, wanted.layers, wanted.heads, params.window)
        model, made = models.make(pairs, size)
    else:
        model, made = models.load(wanted.source, precision=adapters.held(params.adapter, params.precision))
    tokenizer.check(made, wanted.source)
    models.fit(model, made, params.window)
    tell("start", outcome.describe(model, made))
    return model.to(runtime.device()), made
