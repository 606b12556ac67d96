"""train: the model that `start` made, and a release, in; a policy that prefers what people preferred out.

Reads `data/release`, the starting model (the reference) and the reward model; writes the policy (safetensors, configuration,
tokenizer), `metrics.json`, and `trained_on.json`. TensorBoard logs and timings lie in the stage's reports folder: they
hold the clock, so DVC must not see them.

    python -m trainer train
"""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tasks.core.errors import UserError
from tasks.core.params import StageParams
from tasks.core.pipeline import Stage
from tasks.core.shell import tell
from trainer.core.settings import Adapter, Count, Lessons, Watching

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.core.encode import Kept
    from trainer.core.outcome import Figures
    from trainer.core.run import Run


class Dpo(StageParams):
    """Direct preference optimisation (Rafailov et al. 2023)."""

    loss: Literal["sigmoid", "hinge", "ipo", "robust", "apo_zero"]
    beta: float = Field(gt=0)  # how dear it is to move away from the reference
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] | Literal["auto"]  # share of pairs believed to be the wrong way round
    sft_weight: float = Field(ge=0)  # of the supervised loss of the chosen answers beside the preference loss; 0 leaves it out
    schedule: Lessons


class Kto(StageParams):
    """Kahneman-Tversky optimisation (Ethayarajh et al. 2024), on single answers that were liked or not."""

    loss: Literal["kto", "apo_zero_unpaired"]
    beta: float = Field(gt=0)  # how dear it is to move away from the reference
    class_weights: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2)] | Literal["auto"]  # liked, disliked
    schedule: Lessons


class Ppo(StageParams):
    """Proximal policy optimisation (Schulman et al. 2017) against the reward model, with a price on leaving the reference."""

    answer: int = Count  # tokens of an answer, at most
    temperature: float = Field(gt=0)  # of the rollouts
    rounds: int = Count  # times that the rollouts of one update are learnt from
    minibatches: int = Count  # optimizer steps a round
    gamma: float = Field(gt=0, le=1)  # how much a reward is worth one token earlier
    decay: float = Field(ge=0, le=1)  # lambda of the advantages: 0 trusts the value model, 1 the rewards
    clip: float = Field(gt=0, lt=1)  # change of a probability's ratio beyond which nothing more is gained
    value_clip: float = Field(gt=0)  # change of a value beyond which nothing more is gained
    value_weight: float = Field(gt=0)  # of the value loss beside the policy loss
    gradient_norm: float = Field(gt=0)  # largest norm of either model's gradient
    missing_end: float = Field(ge=0)  # what an answer without end is fined
    whiten_rewards: bool  # bring the rewards of an update to variance 1
    after_end: bool  # the score lies one column after the answer, as TRL has it, not on its last token
    kl_coefficient: float = Field(ge=0)  # price of one nat away from the reference, at the beginning
    kl_target: float = Field(ge=0)  # nats of a whole answer that the price adapts to; 0 keeps the price
    kl_horizon: int = Count  # rollouts in which the price changes by a fifth at most
    kl_stop: float = Field(ge=0)  # nats of a token between the policy and its rollouts at which an update ends; 0 never
    kl_bound: float = Field(ge=0)  # nats of a whole answer at which training ends, one update back; 0 never
    schedule: Lessons  # a step is one update: `batch` rollouts, `rounds` times `minibatches` optimizer steps


class Params(StageParams):
    """Section `train` of `params.yaml`."""

    method: Literal["dpo", "kto", "ppo"]
    adapter: Adapter
    watching: Watching
    dpo: Dpo
    ppo: Ppo
    kto: Kto


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Read and check everything first, so that no step is spent on a run that cannot end well; then train and save."""
    from trainer.core import adapters, basis, models, outcome, runtime
    from trainer.core.run import Run

    base = basis.read(stage.input("start"), stage.input("release"))
    runtime.prepare(base.threads, base.seed, offline=True)
    with Run.begin(stage, base, params.watching, params.adapter, params.model_dump(mode="json")) as run:
        model, tokenizer, figures = learn(stage, params, run)
    adapters.save(model, folder)
    models.save(adapters.merged(model), tokenizer, folder)
    run.watch.write(folder)
    outcome.write(folder, figures)
    basis.write(folder, base, params.model_dump(mode="json"))


def learn(stage: Stage, params: Params, run: Run) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Figures]:
    """The policy that the method makes of the start, any adapter still on it; `evaluate` trains its control by this."""
    from trainer.core import adapters, models

    model, tokenizer = models.load(str(stage.input("start")), precision=adapters.held(params.adapter, run.basis.precision))
    model = adapters.wrap(model, params.adapter, "CAUSAL_LM")
    return model, tokenizer, METHODS[params.method](model, tokenizer, stage, params, run)


def _dpo(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stage: Stage, params: Params, run: Run) -> Figures:
    """Direct preference optimisation on the released pairs."""
    from trainer.core import encode, outcome, release
    from trainer.methods import dpo

    given, own = stage.input("release"), params.dpo
    estimate = release.label_smoothing(given)
    smooth = dpo.smoothing(own.loss, own.label_smoothing, estimate)
    pairs = release.train_pairs(given, run.basis.shuffle_labels, run.basis.seed)
    rows = encode.demanded("train", pairs, tokenizer, run.basis.window)
    _tell(stage, "train", rows)
    if own.label_smoothing == dpo.AUTO:
        told = f"{smooth:g}" if own.loss in dpo.SMOOTHED else f"not used by the loss {own.loss}; {' and '.join(dpo.SMOOTHED)} reads it"
        tell(stage.name, f"label smoothing: {told} (the release's estimate of its label noise: {estimate})")
    held = encode.encode(release.pairs(given, "validation"), tokenizer, run.basis.window).kept if _looks(params) else []
    _demand_looks(params, held)
    settings = dpo.Settings(own.loss, own.beta, smooth, own.sft_weight, own.schedule)
    return outcome.counts(rows) | dpo.train(model, tokenizer, rows.kept, settings, run, held)


def _kto(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stage: Stage, params: Params, run: Run) -> Figures:
    """Kahneman-Tversky optimisation on the released single answers."""
    from trainer.core import encode, outcome, release
    from trainer.methods import kto

    given, own, window = stage.input("release"), params.kto, run.basis.window
    examples = release.train_examples(given, run.basis.shuffle_labels, run.basis.seed)
    rows = encode.demanded_examples("train", examples, tokenizer, window)
    _tell(stage, "train", rows)
    held = encode.encode_examples(release.examples(given, "validation"), tokenizer, window).kept if _looks(params) else []
    _demand_looks(params, held)
    settings = kto.Settings(own.loss, own.beta, own.class_weights, own.schedule)
    return outcome.counts(rows) | kto.train(model, tokenizer, rows.kept, settings, run, held)


def _looks(params: Params) -> bool:
    """Whether held-out loss is looked at."""
    return params.watching.check_every > 0


def _demand_looks(params: Params, held: Sized) -> None:
    """A UserError where held-out loss shall be looked at, and there is nothing to look at."""
    if _looks(params) and not held:
        raise UserError(
            f"train.watching.check_every: {params.watching.check_every}",
            f"no held-out row for {params.method} (rows of the split validation that fit the window)",
            "at least one",
            "set train.watching.check_every and patience to 0, or bring more feedback",
        )


def _tell(stage: Stage, split: str, rows: Kept[Any]) -> None:
    """Say how many rows fit and why the others do not."""
    from trainer.core import encode

    tell(stage.name, encode.describe(split, rows))


def _ppo(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stage: Stage, params: Params, run: Run) -> Figures:
    """Proximal policy optimisation on the released prompts. They carry no weight: the reward model has heard those of the pairs."""
    from trainer.core import basis, release, rewards
    from trainer.methods import ppo

    given, own = stage.input("release"), params.ppo
    if _looks(params):
        raise UserError(
            f"train.watching.check_every: {params.watching.check_every}",
            "the method ppo, which has no held-out loss",
            "0",
            "set train.watching.check_every and patience to 0; train.ppo.kl_bound ends training early",
        )
    basis.read(stage.input("reward"), given)
    reward, theirs = rewards.load(stage.input("reward"))
    ppo.demand_same_tokens(tokenizer, theirs, str(stage.input("reward")))
    prompts, counts = ppo.fitting(release.prompts(given, "train"), tokenizer, run.basis.window, own.answer, stage.name)
    settings = ppo.Settings(**{name: getattr(own, name) for name in ppo.Settings.__dataclass_fields__})
    return counts | ppo.train(model, tokenizer, prompts, reward, settings, run)


METHODS = {"dpo": _dpo, "ppo": _ppo, "kto": _kto}
LABELLED = ("dpo", "kto")  # those that read labels of people, so that a control on shuffled ones says something
