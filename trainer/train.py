"""train: the model that `start` made, and a release, in; a policy that prefers what people preferred out.

Reads `data/release`, the starting model (the reference) and the reward model; writes the policy (safetensors, configuration,
tokenizer), `metrics.json`, and `trained_on.json`. TensorBoard logs and timings lie in the stage's reports folder: they
hold the clock, so DVC must not see them.

    python -m trainer train
"""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from tasks.core.errors import UserError
from tasks.core.params import StageParams
from tasks.core.pipeline import Stage
from tasks.core.shell import log
from trainer.methods.sections import Dpo, Kto, Ppo
from trainer.models import parallel
from trainer.settings import Adapter, Monitoring

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.data.encode import FilteredExamples, FilteredPairs
    from trainer.loop.metrics import Metrics
    from trainer.loop.run import Run


class Params(StageParams):
    """Section `train` of `params.yaml`."""

    method: Literal["dpo", "kto", "ppo"]
    adapter: Adapter
    monitoring: Monitoring
    dpo: Dpo
    ppo: Ppo
    kto: Kto

    renamed: ClassVar = {"watching": "monitoring"}


def check(params: Params) -> None:
    """A UserError for what the types of parameters cannot say."""
    if params.method == "ppo":
        _check_ppo(params)
        return
    schedule = params.kto.schedule if params.method == "kto" else params.dpo.schedule
    parallel.accumulation(schedule.train_batch_size, schedule.per_device_train_batch_size)


def _check_ppo(params: Params) -> None:
    own, pieces = params.ppo, params.ppo.num_mini_batches * parallel.world()
    if _evaluates(params):
        raise UserError(
            f"train.monitoring.eval_steps: {params.monitoring.eval_steps}",
            "the method ppo, which has no held-out loss",
            "0",
            "set train.monitoring.eval_steps and early_stopping_patience to 0; train.ppo.kl_bound ends training early",
        )
    if own.schedule.train_batch_size % pieces:
        raise UserError(
            f"train.ppo.schedule.train_batch_size: {own.schedule.train_batch_size}",
            f"no even share for {own.num_mini_batches} minibatches in each of {parallel.world()} processes",
            f"a multiple of {pieces}",
            "change train.ppo.schedule.train_batch_size or train.ppo.num_mini_batches, or start fewer processes",
        )


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Read and check everything first, so that no step is spent on a run that cannot end well; then train and save."""
    check(params)
    from trainer.loop import metrics
    from trainer.loop.run import Run
    from trainer.models import adapters, runtime, saving, training_context

    context = training_context.read(stage.input("start"), stage.input("release"))
    runtime.prepare(context.threads, context.seed, offline=True)
    with Run.begin(stage, context, params.monitoring, params.adapter, params.model_dump(mode="json")) as run:
        model, tokenizer, figures = learn(stage, params, run)
    adapters.save(model, folder)
    saving.save(adapters.merged(model), tokenizer, folder)
    run.monitor.write(folder)
    metrics.write(folder, figures)
    training_context.write(folder, context, params.model_dump(mode="json"))


def learn(stage: Stage, params: Params, run: Run) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Metrics]:
    """The policy that the method makes of the start, any adapter still on it; `evaluate` trains its control by this."""
    from trainer.models import adapters, model_io

    model, tokenizer = model_io.load(str(stage.input("start")), dtype=adapters.weight_dtype(params.adapter, run.context.dtype))
    model = adapters.wrap(model, params.adapter, "CAUSAL_LM")
    return model, tokenizer, METHODS[params.method](model, tokenizer, stage, params, run)


def _dpo(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stage: Stage, params: Params, run: Run) -> Metrics:
    """Direct preference optimisation on the released pairs."""
    from trainer.data import encode, release_reader
    from trainer.loop import metrics
    from trainer.methods import dpo

    given, own = stage.input("release"), params.dpo
    estimate = release_reader.label_smoothing(given)
    smooth = dpo.resolve_label_smoothing(own.loss_type, own.label_smoothing, estimate)
    pairs = release_reader.train_pairs(given, run.context.shuffle_labels, run.context.seed)
    rows = encode.require_pairs("train", pairs, tokenizer, run.context.max_length)
    _tell(stage, "train", rows)
    if own.label_smoothing == dpo.AUTO:
        line = (
            f"{smooth:g}"
            if own.loss_type in dpo.SMOOTHED
            else f"not used by the loss {own.loss_type}; {' and '.join(dpo.SMOOTHED)} reads it"
        )
        log(stage.name, f"label smoothing: {line} (the release's estimate of its label noise: {estimate})")
    heldout = encode.encode(release_reader.pairs(given, "validation"), tokenizer, run.context.max_length).kept if _evaluates(params) else []
    _require_heldout(params, heldout)
    settings = dpo.Settings(own.loss_type, own.beta, smooth, own.sft_weight, own.schedule)
    return metrics.counts(rows) | dpo.train(model, tokenizer, rows.kept, settings, run, heldout)


def _kto(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stage: Stage, params: Params, run: Run) -> Metrics:
    """Kahneman-Tversky optimisation on the released single answers."""
    from trainer.data import encode, release_reader
    from trainer.loop import metrics
    from trainer.methods import kto

    given, own, max_length = stage.input("release"), params.kto, run.context.max_length
    examples = release_reader.train_examples(given, run.context.shuffle_labels, run.context.seed)
    rows = encode.require_examples("train", examples, tokenizer, max_length)
    _tell(stage, "train", rows)
    heldout = encode.encode_examples(release_reader.examples(given, "validation"), tokenizer, max_length).kept if _evaluates(params) else []
    _require_heldout(params, heldout)
    settings = kto.Settings(own.loss_type, own.beta, own.class_weights, own.schedule)
    return metrics.counts(rows) | kto.train(model, tokenizer, rows.kept, settings, run, heldout)


def _evaluates(params: Params) -> bool:
    """Whether held-out loss is computed."""
    return params.monitoring.eval_steps > 0


def _require_heldout(params: Params, heldout: Sized) -> None:
    """A UserError where held-out loss is asked for and no held-out row fits."""
    if _evaluates(params) and not heldout:
        raise UserError(
            f"train.monitoring.eval_steps: {params.monitoring.eval_steps}",
            f"no held-out row for {params.method} (rows of the split validation that fit the window)",
            "at least one",
            "set train.monitoring.eval_steps and early_stopping_patience to 0, or bring more feedback",
        )


def _tell(stage: Stage, split: str, rows: FilteredPairs | FilteredExamples) -> None:
    """Say how many rows fit and why the others do not."""
    from trainer.data import encode

    log(stage.name, encode.describe(split, rows))


def _ppo(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stage: Stage, params: Params, run: Run) -> Metrics:
    """Proximal policy optimisation on the released prompts. They carry no weight: the reward model was trained with those of the pairs."""
    from trainer.data import release_reader
    from trainer.methods import ppo, prompts
    from trainer.models import reward_models, training_context

    given, own = stage.input("release"), params.ppo
    training_context.read(stage.input("reward"), given)
    reward, theirs = reward_models.load(stage.input("reward"))
    prompts.require_same_tokens(tokenizer, theirs, str(stage.input("reward")))
    asked, counts = prompts.fitting(
        release_reader.prompts(given, "train"), tokenizer, run.context.max_length, own.max_new_tokens, params.method, stage.name
    )
    return counts | ppo.train(model, tokenizer, asked, reward, own, run)


METHODS = {"dpo": _dpo, "ppo": _ppo, "kto": _kto}
LABELLED = ("dpo", "kto")  # those that read labels of people, so that a control on shuffled ones says something
