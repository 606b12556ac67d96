"""compress: smaller and faster variants of the policy, measured beside it; the one that fits the budget is taken.

Reads `data/release`, the starting model (the reference), the policy and the figures of `evaluate`; writes the picked model with its card,
`pareto.json` (all variants, the front of accuracy and size, the pick), `metrics.json` and `trained_on.json`.

What holds a clock stays out of the output: milliseconds a token and tokens a second are of this machine, and go to the stage's
reports folder with the plot and the front of accuracy, size and time. With `budget.ms_per_token` the measured times decide the pick,
which then depends on the machine; without it (the default) two machines of one kind write the same bytes.

    python -m trainer compress
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from tasks.core import manifest
from tasks.core.params import StageParams
from tasks.core.pipeline import Stage
from tasks.core.shell import log
from trainer.compression import variant_names
from trainer.settings import Count, OptionalSchedule

if TYPE_CHECKING:
    from trainer.compression.latency import Latency


class Student(StageParams):
    """How a student with fewer layers learns from the policy."""

    margin: float = Field(ge=0)  # price of a nat between the two models' margins, beside a nat of a token's distribution
    schedule: OptionalSchedule


class Generation(StageParams):
    """Answers that are searched for degenerate ones."""

    prompts: int = Count  # held-out prompts that each variant answers
    max_new_tokens: int = Count  # an answer that has no end by then counts as broken
    temperature: float = Field(ge=0)

    renamed: ClassVar = {"tokens": "max_new_tokens"}


class Timing(StageParams):
    """How the time of a token is taken."""

    rounds: int = Count  # of timing; their median counts
    tokens: int = Count  # written in each round
    batch_size: int = Count  # answers at once, where throughput is taken

    renamed: ClassVar = {"batch": "batch_size"}


class Budget(StageParams):
    """What may be lost, beside the original."""

    accuracy_points: float = Field(ge=0)
    error_points: float = Field(ge=0)
    ms_per_token: Annotated[float, Field(gt=0)] | None
    plain: bool  # whether only what transformers and vLLM load may be handed over


class About(StageParams):
    """What the model card says that nothing tells."""

    title: str = Field(min_length=1)  # of the model, on its card
    license: str = Field(min_length=1)  # of the model: an identifier that the Hugging Face hub knows


class Params(StageParams):
    """Section `compress` of `params.yaml`."""

    variants: list[str]  # the smaller and faster forms of the policy that are made and measured
    per_device_eval_batch_size: int = Count  # pairs scored, and answers written, at once
    choose_pairs: int = Count  # of the validation split, to choose the layers that go
    student: Student
    generation: Generation
    timing: Timing
    budget: Budget
    card: About

    renamed: ClassVar = {"batch": "per_device_eval_batch_size"}


def check(params: Params) -> None:
    """A UserError for a variant that no model has."""
    for name in params.variants:
        variant_names.parse(name)


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Check the names first; then make and measure each variant, one model in memory at a time; then pick and hand over."""
    from trainer.compression import compression_report, latency, model_card, variant_builder
    from trainer.compression.evaluator import Evaluator
    from trainer.evaluation import verdict
    from trainer.loop import metrics
    from trainer.models import runtime, training_context

    release, policy = stage.input("release"), stage.input("policy")
    context = training_context.read(policy, release)
    runtime.prepare(context.threads, context.seed, offline=True)
    specs = variant_builder.plan(policy, params.variants)
    own = params.generation
    evaluator = Evaluator.read(
        release,
        stage.input("start"),
        context.max_length,
        params.per_device_eval_batch_size,
        own.prompts,
        own.max_new_tokens,
        own.temperature,
        context.seed,
    )
    builder = variant_builder.VariantBuilder(
        policy, release, context, evaluator, params.choose_pairs, params.student.margin, params.student.schedule
    )
    output_dir = folder / "variants"
    variants = {spec.name: figures for spec, figures in variant_builder.build_variants(builder, specs, output_dir, stage.name)}
    prompt = sorted(evaluator.prompts, key=len)[len(evaluator.prompts) // 2]
    timing = params.timing
    latencies = latency.measure({name: output_dir / name for name in variants}, prompt, timing.tokens, timing.batch_size, timing.rounds)
    result = compression_report.summarize(variants, latencies, params.budget.model_dump())
    _hand_over(output_dir, str(result["pick"]), folder)
    (folder / "pareto.json").write_bytes(manifest.dumps(result))
    metrics.write(folder, compression_report.flat_metrics(result))
    training_context.write(folder, context, params.model_dump(mode="json"))
    words = model_card.CardText(params.card.title, params.card.license)
    made = {"start": stage.input("start"), "train": policy}
    (folder / "README.md").write_text(model_card.render(words, context, release, stage.input("evaluation"), made, result), encoding="utf-8")
    _publish(stage, result, latencies)
    for line in (*compression_report.lines(result, latencies), *compression_report.advice(verdict.read(stage.input("evaluation")))):
        log(stage.name, line)


def _hand_over(output_dir: Path, name: str, folder: Path) -> None:
    """The picked variant's files become the output; the others go."""
    for path in sorted((output_dir / name).iterdir()):
        path.rename(folder / path.name)
    shutil.rmtree(output_dir)


def _publish(stage: Stage, result: dict[str, Any], latencies: dict[str, Latency]) -> None:
    """The figures with their clocks, and the plot, for people."""
    from trainer.compression import compression_report, pareto_plot

    if stage.reports is None:
        return
    stage.reports.mkdir(parents=True, exist_ok=True)
    timed = compression_report.timed(result, {name: asdict(latency) for name, latency in latencies.items()})
    (stage.reports / "pareto.json").write_bytes(manifest.dumps(timed))
    (stage.reports / "pareto.svg").write_text(pareto_plot.plot(timed), encoding="utf-8")
