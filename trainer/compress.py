"""compress: smaller and faster variants of the policy, measured beside it; the one that fits the budget is handed over.

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
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tasks.core import manifest
from tasks.core.params import StageParams
from tasks.core.pipeline import Stage
from tasks.core.shell import tell
from trainer.core.settings import Count, Schedule

if TYPE_CHECKING:
    from trainer.compression.clock import Pace


class Student(StageParams):
    """How a student with fewer layers learns from the policy."""

    margin: float = Field(ge=0)  # price of a nat between the two models' margins, beside a nat of a token's distribution
    schedule: Schedule


class Generation(StageParams):
    """Answers that are looked through for faults."""

    prompts: int = Count
    tokens: int = Count  # an answer that has no end by then counts as broken
    temperature: float = Field(ge=0)


class Timing(StageParams):
    """How the time of a token is taken."""

    rounds: int = Count
    tokens: int = Count  # written in each round
    batch: int = Count  # answers at once, where throughput is taken


class Budget(StageParams):
    """What may be lost, beside the original."""

    accuracy_points: float = Field(ge=0)
    error_points: float = Field(ge=0)
    ms_per_token: Annotated[float, Field(gt=0)] | None
    plain: bool  # whether only what transformers and vLLM load may be handed over


class About(StageParams):
    """What the model card says that nothing tells."""

    title: str = Field(min_length=1)
    license: str = Field(min_length=1)


class Params(StageParams):
    """Section `compress` of `params.yaml`."""

    variants: list[str]
    batch: int = Count  # pairs scored, and answers written, at once
    choose_pairs: int = Count  # of the validation split, to choose the layers that go
    student: Student
    generation: Generation
    timing: Timing
    budget: Budget
    card: About


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Check the names first; then make and measure each variant, one model in memory at a time; then pick and hand over."""
    from trainer.compression import clock, report, workshop
    from trainer.compression.bench import Bench
    from trainer.core import basis, card, outcome, runtime

    release, policy = stage.input("release"), stage.input("policy")
    base = basis.read(policy, release)
    runtime.prepare(base.threads, base.seed, offline=True)
    recipes = workshop.planned(policy, params.variants)
    own = params.generation
    bench = Bench.read(release, stage.input("start"), base.window, params.batch, own.prompts, own.tokens, own.temperature, base.seed)
    shop = workshop.Workshop(policy, release, base, bench, params.choose_pairs, params.student.margin, params.student.schedule)
    shelf = folder / "variants"
    variants = {recipe.name: figures for recipe, figures in workshop.make(shop, recipes, shelf, stage.name)}
    prompt = sorted(bench.prompts, key=len)[len(bench.prompts) // 2]
    timing = params.timing
    paces = clock.measure({name: shelf / name for name in variants}, prompt, timing.tokens, timing.batch, timing.rounds)
    result = report.result(variants, paces, params.budget.model_dump())
    _hand_over(shelf, str(result["pick"]), folder)
    (folder / "pareto.json").write_bytes(manifest.dumps(result))
    outcome.write(folder, report.flat(result))
    basis.write(folder, base, params.model_dump(mode="json"))
    words = card.Words(params.card.title, params.card.license)
    made = {"start": stage.input("start"), "train": policy}
    (folder / "README.md").write_text(card.card(words, base, release, stage.input("evaluation"), made, result), encoding="utf-8")
    _publish(stage, result, paces)
    for line in (*report.lines(result, paces), *report.advice(card.verdict(stage.input("evaluation")))):
        tell(stage.name, line)


def _hand_over(shelf: Path, name: str, folder: Path) -> None:
    """The picked variant's files become the output; the others go."""
    for path in sorted((shelf / name).iterdir()):
        path.rename(folder / path.name)
    shutil.rmtree(shelf)


def _publish(stage: Stage, result: dict[str, Any], paces: dict[str, Pace]) -> None:
    """The figures with their clocks, and the plot, for people."""
    from trainer.compression import plot, report

    if stage.reports is None:
        return
    stage.reports.mkdir(parents=True, exist_ok=True)
    timed = report.timed(result, {name: asdict(pace) for name, pace in paces.items()})
    (stage.reports / "pareto.json").write_bytes(manifest.dumps(timed))
    (stage.reports / "pareto.svg").write_text(plot.plot(timed), encoding="utf-8")
