"""What each method is given: the rows of the release that it reads, encoded and counted, and its own parameters.

In: the stage `train` with its inputs, a model. Out: the figures of the training; the model is trained in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import TYPE_CHECKING, Any

from tasks.core.errors import UserError
from tasks.core.pipeline import Stage
from tasks.core.shell import log
from trainer.data import encode, release_reader
from trainer.data.encode import EncodedPair
from trainer.loop import metrics
from trainer.loop.metrics import Metrics
from trainer.loop.run import Run
from trainer.methods import best_of_n, cpo, dpo, grpo, kto, online, orpo, ppo, prompts, rloo, simpo, supervised, tr_dpo
from trainer.models import reward_models, training_context

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.data.encode import FilteredExamples, FilteredPairs
    from trainer.train import Params

    Method = Callable[[PreTrainedModel, PreTrainedTokenizerBase, Stage, Params, Run], Metrics]


def _pairs(tokenizer: PreTrainedTokenizerBase, stage: Stage, params: Params, run: Run) -> tuple[FilteredPairs, Sequence[EncodedPair]]:
    """The pairs to learn from, and those of validation where held-out loss is looked at."""
    given, longest = stage.input("release"), run.context.max_length
    pairs = release_reader.train_pairs(given, run.context.shuffle_labels, run.context.seed)
    rows = encode.require_pairs("train", pairs, tokenizer, longest)
    log(stage.name, encode.describe("train", rows))
    heldout = encode.encode(release_reader.pairs(given, "validation"), tokenizer, longest).kept if _evaluates(params) else []
    _require_heldout(params, heldout)
    return rows, heldout


def _on_pairs(train: Callable[..., Metrics]) -> Method:
    """A method that learns from pairs and needs no more than its section."""

    def method(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stage: Stage, params: Params, run: Run) -> Metrics:
        rows, heldout = _pairs(tokenizer, stage, params, run)
        return metrics.counts(rows) | train(model, tokenizer, rows.kept, params.own, run, heldout)

    return method


def _sft(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[EncodedPair],
    own: Any,  # noqa: ANN401  (its section)
    run: Run,
    heldout: Sequence[EncodedPair],
) -> Metrics:
    """Supervised fine-tuning on the chosen answers of the released pairs."""
    return supervised.train(model, tokenizer, pairs, own.schedule, run, heldout)


def _dpo(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stage: Stage, params: Params, run: Run) -> Metrics:
    """Direct preference optimisation on the released pairs."""
    own, estimate = params.dpo, release_reader.label_smoothing(stage.input("release"))
    smooth = dpo.resolve_label_smoothing(own.loss_type, own.label_smoothing, estimate)
    rows, heldout = _pairs(tokenizer, stage, params, run)
    if own.label_smoothing == dpo.AUTO:
        ignored = f"not used by the loss {own.loss_type}; {' and '.join(dpo.SMOOTHED)} reads it"
        line = f"{smooth:g}" if own.loss_type in dpo.SMOOTHED else ignored
        log(stage.name, f"label smoothing: {line} (the release's estimate of its label noise: {estimate})")
    settings = dpo.Settings(own.loss_type, own.beta, smooth, own.sft_weight, own.schedule)
    return metrics.counts(rows) | dpo.train(model, tokenizer, rows.kept, settings, run, heldout)


def _kto(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stage: Stage, params: Params, run: Run) -> Metrics:
    """Kahneman-Tversky optimisation on the released single answers."""
    given, own, longest = stage.input("release"), params.kto, run.context.max_length
    examples = release_reader.train_examples(given, run.context.shuffle_labels, run.context.seed)
    rows: FilteredExamples = encode.require_examples("train", examples, tokenizer, longest)
    log(stage.name, encode.describe("train", rows))
    heldout = encode.encode_examples(release_reader.examples(given, "validation"), tokenizer, longest).kept if _evaluates(params) else []
    _require_heldout(params, heldout)
    settings = kto.Settings(own.loss_type, own.beta, own.class_weights, own.schedule)
    return metrics.counts(rows) | kto.train(model, tokenizer, rows.kept, settings, run, heldout)


def _on_prompts(train: Callable[..., Metrics]) -> Method:
    """A method that answers the released prompts and learns from the reward model; prompts carry no weight."""

    def method(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stage: Stage, params: Params, run: Run) -> Metrics:
        given, own = stage.input("release"), params.own
        training_context.read(stage.input("reward"), given)
        reward, theirs = reward_models.load(stage.input("reward"))
        prompts.require_same_tokens(tokenizer, theirs, str(stage.input("reward")))
        offered = release_reader.prompts(given, "train")
        asked, counts = prompts.fitting(offered, tokenizer, run.context.max_length, own.max_new_tokens, params.method, stage.name)
        return counts | train(model, tokenizer, asked, reward, own, run)

    return method


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


METHODS: dict[str, Method] = {
    "sft": _on_pairs(_sft),
    "dpo": _dpo,
    "tr_dpo": _on_pairs(tr_dpo.train),
    "orpo": _on_pairs(orpo.train),
    "cpo": _on_pairs(cpo.train),
    "simpo": _on_pairs(simpo.train),
    "kto": _kto,
    "ppo": _on_prompts(ppo.train),
    "grpo": _on_prompts(grpo.train),
    "rloo": _on_prompts(rloo.train),
    "online": _on_prompts(online.train),
    "best_of_n": _on_prompts(best_of_n.train),
}
