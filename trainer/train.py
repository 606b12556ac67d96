"""train: a verified release in, a model that prefers what people preferred out.

Reads `data/release`; writes `policy/` (the trained model) and `reference/` (the same model after its supervised start,
before it saw a preference), `metrics.json`, and `trained_on.json`, which says of which release and with which parameters.
TensorBoard logs and timings lie in the stage's reports folder: they hold the clock, so DVC must not see them.

    python -m trainer train
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tasks.core import manifest
from tasks.core.catalog import Stage
from tasks.core.errors import UserError
from tasks.core.params import StageParams
from tasks.core.shell import tell

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.core.encode import Encoded, Encoding
    from trainer.core.release import Pair
    from trainer.core.watch import Watch

Rate = Field(gt=0, lt=1)
Count = Field(ge=1)


class Model(StageParams):
    """Where the model comes from; all but `source` are the measures of one made from scratch."""

    source: str  # `scratch`, a model's folder, or owner/name on a hub
    vocabulary: int = Field(ge=300)  # most tokens of the tokenizer; 256 are single bytes
    width: int = Count
    inner: int = Count  # width inside the feed-forward layers
    layers: int = Count
    heads: int = Count


class Supervised(StageParams):
    """The supervised start on the chosen answers."""

    epochs: float = Field(ge=0)  # 0 leaves it out
    max_steps: int = Count
    batch: int = Count
    learning_rate: float = Rate
    warmup: float = Field(ge=0, lt=1)  # share of the steps in which the rate rises


class Preference(StageParams):
    """Direct preference optimisation."""

    loss: Literal["sigmoid", "hinge", "ipo", "robust", "apo_zero"]
    beta: float = Field(gt=0)  # how dear it is to move away from the reference
    label_smoothing: float = Field(ge=0, lt=0.5)  # share of pairs believed to be the wrong way round
    epochs: float = Field(gt=0)
    max_steps: int = Count
    batch: int = Count
    learning_rate: float = Rate
    warmup: float = Field(ge=0, lt=1)


class Params(StageParams):
    """Section `train` of `params.yaml`."""

    seed: int = Field(ge=0)
    threads: int = Count  # part of the result: sums over more threads differ in their last bits
    window: int = Field(ge=8)  # tokens of prompt and answer together; longer pairs are left out and counted
    log_every: int = Count  # steps between two lines of the log
    shuffle_labels: bool  # swap chosen and rejected in half of the training pairs: a control that must learn nothing
    model: Model
    supervised: Supervised
    preference: Preference


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Read and check everything first, so that no step is spent on a run that cannot end well; then train and save."""
    from trainer.core import models, release, runtime
    from trainer.core.watch import Watch

    given = stage.input("release")
    digest = release.verified(given)
    pairs = release.train_pairs(given)
    if params.shuffle_labels:
        pairs = release.shuffled(pairs, params.seed)
    runtime.prepare(params.threads, params.seed, offline=not models.is_hub_name(params.model.source))
    model, tokenizer = _model(params, pairs)
    encoding = _encode(params, pairs, tokenizer)
    watch = Watch(stage.name, stage.reports, params.log_every)
    figures = _figures(model, tokenizer, encoding)
    try:
        figures |= _start(params, model, tokenizer, encoding.kept, watch)
        models.save(model, tokenizer, folder / "reference")
        figures |= _prefer(params, model, tokenizer, encoding.kept, watch)
        models.save(model, tokenizer, folder / "policy")
    finally:
        watch.close()
    _write(folder / "metrics.json", figures)
    _write(folder / "trained_on.json", {"release": digest, "window": params.window, "params": params.model_dump(mode="json")})


def _model(params: Params, pairs: list[Pair]) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer, fit to be trained."""
    from trainer.core import models, tokenizer

    wanted = params.model
    if wanted.source == models.SCRATCH:
        if wanted.width % (2 * wanted.heads):
            raise UserError(
                f"train.model.width: {wanted.width}",
                f"no even share for each of {wanted.heads} heads",
                f"a multiple of {2 * wanted.heads}",
                "change train.model.width or train.model.heads",
            )
        size = models.Size(wanted.vocabulary, wanted.width, wanted.inner, wanted.layers, wanted.heads, params.window)
        model, made = models.make(pairs, size)
    else:
        model, made = models.load(wanted.source)
    tokenizer.check(made, wanted.source)
    models.fit(model, made, params.window)
    return model, made


def _encode(params: Params, pairs: list[Pair], tokenizer: PreTrainedTokenizerBase) -> Encoding:
    """The pairs that fit into the window; says how many do not."""
    from trainer.core import encode

    encoding = encode.encode(pairs, tokenizer, params.window)
    encode.demand_some("train", encoding, params.window)
    tell("train", encode.describe("train", encoding))
    return encoding


def _figures(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, encoding: Encoding) -> dict[str, float]:
    parameters = sum(weight.numel() for weight in model.parameters())
    tell("train", f"model: {parameters:,} parameters, {len(tokenizer):,} tokens")
    reasons = {f"left_out_{reason}": count for reason, count in encoding.reasons.items()}
    return {"parameters": parameters, "tokens": len(tokenizer), "pairs": len(encoding.kept), "left_out": encoding.left_out, **reasons}


def _start(
    params: Params, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: list[Encoded], watch: Watch
) -> dict[str, float]:
    """The supervised start; its figures."""
    from trainer.core import batches
    from trainer.methods import supervised

    wanted = params.supervised
    if wanted.epochs == 0:
        return {"supervised_steps": 0}
    steps = batches.steps(len(pairs), wanted.batch, wanted.epochs, wanted.max_steps)
    losses = supervised.train(
        model,
        pairs,
        tokenizer.pad_token_id,
        batch=wanted.batch,
        steps=steps,
        learning_rate=wanted.learning_rate,
        warmup=wanted.warmup,
        seed=params.seed,
        report=lambda step, loss: watch.step("supervised", step, steps, {"loss": loss}),
    )
    return {"supervised_steps": steps, "supervised_loss_first": losses[0], "supervised_loss": _tail(losses)}


def _prefer(
    params: Params, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pairs: list[Encoded], watch: Watch
) -> dict[str, float]:
    """Direct preference optimisation from where the model stands; its figures."""
    from trainer.core import batches
    from trainer.methods import dpo

    wanted = params.preference
    steps = batches.steps(len(pairs), wanted.batch, wanted.epochs, wanted.max_steps)
    own = wanted.model_dump(exclude={"epochs", "max_steps"})
    settings = dpo.Settings(**own, steps=steps, window=params.window, seed=params.seed)
    logged = dpo.train(model, tokenizer, pairs, settings, lambda step, seen: watch.step("preference", step, steps, seen))
    return {"preference_steps": steps} | {f"preference_{name}": _tail([seen[name] for seen in logged]) for name in logged[0]}


def _tail(values: list[float]) -> float:
    """Mean of the last tenth: a single step's batch says little."""
    last = values[-max(1, len(values) // 10) :]
    return sum(last) / len(last)


def _write(path: Path, document: dict[str, Any]) -> None:
    rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in document.items()}
    path.write_bytes(manifest.dumps(rounded))
