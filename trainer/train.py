"""train: the model that `start` made, and a release, in; a policy that prefers what people preferred out.

Reads `data/release`, the starting model (the reference) and the reward model; writes the policy (safetensors, configuration,
tokenizer), `metrics.json`, and `trained_on.json`. TensorBoard logs and timings lie in the stage's reports folder: they
hold the clock, so DVC must not see them.

    python -m trainer train
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from pydantic import field_validator

from tasks.core.errors import UserError
from tasks.core.params import StageParams
from tasks.core.pipeline import Stage
from trainer.methods import names
from trainer.methods.sections import BestOfN, Cpo, Dpo, Grouped, Grpo, Kto, Online, Orpo, Ppo, Rloo, Sft, SimPo, TrDpo
from trainer.models import parallel
from trainer.settings import Adapter, Monitoring, Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.loop.metrics import Metrics
    from trainer.loop.run import Run


class Params(StageParams):
    """Section `train` of `params.yaml`."""

    method: Literal["sft", "dpo", "tr_dpo", "orpo", "cpo", "simpo", "kto", "ppo", "grpo", "rloo", "online", "best_of_n"]
    adapter: Adapter
    monitoring: Monitoring
    sft: Sft
    dpo: Dpo
    tr_dpo: TrDpo
    orpo: Orpo
    cpo: Cpo
    simpo: SimPo
    kto: Kto
    ppo: Ppo
    grpo: Grpo
    rloo: Rloo
    online: Online
    best_of_n: BestOfN

    renamed: ClassVar = {"watching": "monitoring"}

    @field_validator("method", mode="before")
    @classmethod
    def _of_another(cls, value: object) -> object:
        if value in names.SETTINGS_OF_ANOTHER:
            raise ValueError(f"its name here, which is {names.SETTINGS_OF_ANOTHER[str(value)]}")
        return value

    @property
    def own(self) -> Any:  # noqa: ANN401  (a section of any method)
        """The section of the method."""
        return getattr(self, self.method)

    @property
    def schedule(self) -> Schedule:
        """How long and how fast the method learns."""
        return cast("Schedule", self.own.schedule)

    @property
    def supervised(self) -> bool:
        """Whether the method lowers the supervised loss of the chosen answers, alone or beside its own."""
        return self.method in ("sft", "orpo") or (self.method in names.PAIRS and self.own.sft_weight > 0)


def check(params: Params) -> None:
    """A UserError for what the types of parameters cannot say."""
    if params.method in names.REWARDED:
        _check_rollouts(params)
        return
    parallel.accumulation(params.schedule.train_batch_size, params.schedule.per_device_train_batch_size)
    if params.method == "tr_dpo" and params.adapter.r:
        raise UserError(
            f"train.adapter.r: {params.adapter.r}",
            "the method tr_dpo, whose reference is a model of its own that follows the policy",
            "0, or another method",
            "set train.adapter.r to 0, or train.method to dpo",
        )


def _check_rollouts(params: Params) -> None:
    """A UserError for a method that learns from its own answers where it would look at held-out loss, or cannot share its batches."""
    own, method = params.own, params.method
    if params.monitoring.eval_steps > 0:
        raise UserError(
            f"train.monitoring.eval_steps: {params.monitoring.eval_steps}",
            f"the method {method}, which has no held-out loss",
            "0",
            f"set train.monitoring.eval_steps and early_stopping_patience to 0; train.{method}.kl_bound ends training early",
        )
    answers = own.num_generations if isinstance(own, Grouped) else 1
    pieces = own.num_mini_batches * parallel.world() * answers
    if own.schedule.train_batch_size % pieces:
        of_each = f" of {answers} answers to each prompt" if answers > 1 else ""
        raise UserError(
            f"train.{method}.schedule.train_batch_size: {own.schedule.train_batch_size}",
            f"no even share for {own.num_mini_batches} minibatches{of_each} in each of {parallel.world()} processes",
            f"a multiple of {pieces}",
            f"change train.{method}.schedule.train_batch_size or train.{method}.num_mini_batches, or start fewer processes",
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
    from trainer.methods import from_release
    from trainer.models import adapters, model_io

    model, tokenizer = model_io.load(str(stage.input("start")), dtype=adapters.weight_dtype(params.adapter, run.context.dtype))
    model = adapters.wrap(model, params.adapter, "CAUSAL_LM")
    return model, tokenizer, from_release.METHODS[params.method](model, tokenizer, stage, params, run)
