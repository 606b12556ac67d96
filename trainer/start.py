"""start: a verified release in, the model that every method starts from out: scratch or given, after a supervised start.

Reads `data/release`; writes the model (safetensors, configuration, tokenizer), `metrics.json`, and `trained_on.json`, which later
stages read: the release, the seed, the threads and the window are decided here once. The model that comes out is the
reference of every preference method.

    python -m trainer start
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tasks.core.errors import UserError
from tasks.core.params import StageParams
from tasks.core.pipeline import Stage
from tasks.core.shell import log
from trainer.models import parallel, sources
from trainer.settings import Adapter, ChatTemplate, Count, Dtype, Model, Monitoring, OptionalSchedule

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.data.release_reader import Pair


class Params(StageParams):
    """Section `start` of `params.yaml`."""

    seed: int = Field(ge=0, lt=2**32)  # numpy takes no larger one
    threads: int = Count  # part of the result: sums over more threads differ in their last bits
    max_length: int = Field(ge=8)  # tokens of prompt and answer together; longer pairs are left out and counted
    dtype: Dtype
    shuffle_labels: bool  # swap chosen and rejected in half of the training pairs: a control that must learn nothing
    model: Model
    chat_template: ChatTemplate
    adapter: Adapter
    schedule: OptionalSchedule
    monitoring: Monitoring

    renamed: ClassVar = {"window": "max_length", "precision": "dtype", "watching": "monitoring"}


def check(params: Params) -> None:
    """A UserError for what the types of parameters cannot say."""
    wanted = params.model
    if wanted.source == sources.SCRATCH and wanted.hidden_size % (2 * wanted.num_attention_heads):
        raise UserError(
            f"start.model.hidden_size: {wanted.hidden_size}",
            f"no even share for each of {wanted.num_attention_heads} heads",
            f"a multiple of {2 * wanted.num_attention_heads}",
            "change start.model.hidden_size or start.model.num_attention_heads",
        )
    if params.schedule.num_train_epochs:
        parallel.accumulation(params.schedule.train_batch_size, params.schedule.per_device_train_batch_size)


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Read and check everything first, so that no step is spent on a run that cannot end well; then train and save."""
    from trainer.data import encode, release_reader
    from trainer.loop import metrics
    from trainer.loop.run import Run
    from trainer.methods import supervised
    from trainer.models import adapters, model_io, runtime, saving, training_context

    given = stage.input("release")
    digest = release_reader.verified(given)
    pairs = release_reader.train_pairs(given, params.shuffle_labels, params.seed)
    runtime.prepare(params.threads, params.seed, offline=not model_io.is_hub_name(params.model.source))
    model, tokenizer = _model(params, pairs)
    rows = encode.require_pairs("train", pairs, tokenizer, params.max_length)
    log(stage.name, encode.describe("train", rows))
    held_out = (
        encode.encode(release_reader.pairs(given, "validation"), tokenizer, params.max_length).kept if params.monitoring.eval_steps else []
    )
    context = training_context.TrainingContext(
        digest,
        _told(stage, params.model.source, model),
        params.seed,
        params.threads,
        params.max_length,
        params.dtype,
        params.shuffle_labels,
    )
    with Run.begin(stage, context, params.monitoring, params.adapter, params.model_dump(mode="json")) as run:
        figures = metrics.sizes(model, tokenizer) | metrics.counts(rows)
        learner = adapters.wrap(model, params.adapter, "CAUSAL_LM")
        figures |= supervised.train(learner, tokenizer, rows.kept, params.schedule, run, held_out)
    adapters.save(learner, folder)
    saving.save(adapters.merged(learner), tokenizer, folder)
    run.monitor.write(folder)
    metrics.write(folder, figures)
    training_context.write(folder, context, params.model_dump(mode="json"))


def _told(stage: Stage, source: str, model: PreTrainedModel) -> str:
    """The source as the model is said to come from: a hub's with its commit, of which an unpinned one is told."""
    exact = sources.pinned(source, getattr(model.config, "_commit_hash", None))
    if exact != source and "@" not in source:
        log(stage.name, f"start.model.source: {source} is {exact} today: name it so, and every run takes the same weights")
    return exact


def _model(params: Params, pairs: list[Pair]) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer, fit to be trained."""
    from trainer.loop import metrics
    from trainer.models import adapters, model_io, runtime, template_repairs, tokenizer, typed

    wanted = params.model
    if wanted.source == model_io.SCRATCH:
        check(params)
        size = model_io.Size(
            wanted.vocab_size,
            wanted.hidden_size,
            wanted.intermediate_size,
            wanted.num_hidden_layers,
            wanted.num_attention_heads,
            params.max_length,
        )
        model, made = model_io.make(pairs, size)
    else:
        model, made = model_io.load(wanted.source, dtype=adapters.weight_dtype(params.adapter, params.dtype))
    for line in template_repairs.fit(made, params.chat_template, wanted.source):
        log("start", f"chat template: {line}")
    tokenizer.check(made, wanted.source)
    model_io.fit(model, made, params.max_length)
    log("start", metrics.describe(model, made))
    return typed.placed(model, runtime.device()), made
