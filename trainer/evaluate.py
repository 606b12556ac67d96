"""evaluate: what held-out preferences and generations say of the policy, beside its reference, the reward model, baselines and a control.

Reads `data/release` (train for the baseline, validation, test), the starting model, the reward model and the policy; writes
`metrics.json` (flat), `verdict.json`, `report.json` (all figures) and `report.html` (the page for people).

Two definitions of "right" for a policy, each with the reference's own figure:
- `implicit`: DPO's reward, log p_policy - log p_reference, is higher for the chosen answer. It asks what was learned from
  preferences alone. By definition the reference ties on every pair: 0.5.
- `likelihood`: log p of the whole chosen answer is higher. It asks which answer the model would rather write. Sums favour short
  answers in both models alike; `per_token` divides by the number of tokens.
A tie counts one half. The policy prefers better only if both the implicit reward beats a coin (exact sign test) and the policy's
likelihood beats the reference's on the same pairs (exact McNemar test). In both tests a group of pairs speaks once, because pairs
of one conversation or with near-equal prompts are no independent witnesses. They speak of the choice of held-out pairs, not of the
luck of a training run: of that speaks the control on shuffled labels, by its mean over several seeds.

The policy *is* better only if it prefers better and what it writes is in nothing clearly worse than what the reference writes and what
people chose (`trainer.evaluation.quality`): a model may learn to tell good answers from bad ones and forget how to write either.

What else is counted, and exactly how, say the modules of `trainer.evaluation`.

    python -m trainer evaluate
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from tasks.core import manifest
from tasks.core.params import StageParams
from tasks.core.pipeline import Stage
from tasks.core.shell import log
from trainer.evaluation.quality import Bounds
from trainer.settings import Count

if TYPE_CHECKING:
    from trainer.evaluation.generations import HeldOutPrompt
    from trainer.evaluation.heldout import HeldOutReader, HeldOutSplit
    from trainer.evaluation.quality import Answer
    from trainer.models.training_context import TrainingContext


class Generations(StageParams):
    """What both models write to held-out prompts."""

    prompts: int = Field(ge=0)  # 0 writes nothing
    max_new_tokens: int = Count
    temperature: float = Field(ge=0)  # 0 takes the likeliest token each time
    examples: int = Field(ge=0)  # shown on the page
    worse: Bounds  # from where on the policy writes worse

    renamed: ClassVar = {"most_tokens": "max_new_tokens"}


class Control(StageParams):
    """Trainings on shuffled labels."""

    seeds: int = Field(ge=0)  # trainings; 0 leaves the control out


class Params(StageParams):
    """Section `evaluate` of `params.yaml`."""

    per_device_eval_batch_size: int = Count  # pairs scored at once
    significance: float = Field(gt=0, lt=1)  # p-value below which a difference is called one
    resamples: int = Count  # of the bootstrap over groups
    bins: int = Field(ge=2)  # of the reliability table
    generations: Generations
    control: Control

    renamed: ClassVar = {"batch": "per_device_eval_batch_size"}


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Score both splits under every model, count, write, and say the outcome."""
    from trainer.evaluation import control, evaluation_metrics, report_page, verdict
    from trainer.models import runtime, training_context

    context = training_context.read(stage.input("policy"), stage.input("release"))
    runtime.prepare(context.threads, context.seed, offline=True)
    reader, heldout, generations = _score(stage, params, context)
    report: dict[str, Any] = {split: _split(one, params.significance) for split, one in heldout.items()}
    report["calibration"] = _calibration(heldout, params.bins)
    report["generations"] = generations
    report["verdict"] = verdict.decide(report["test"], generations)
    report["control"] = control.run(stage, context, reader, heldout["test"].reference, params.control.seeds)
    (folder / "report.json").write_bytes(manifest.dumps(report))
    (folder / verdict.NAME).write_bytes(manifest.dumps(report["verdict"]))
    (folder / "metrics.json").write_bytes(manifest.dumps(evaluation_metrics.metrics(report)))
    (folder / "report.html").write_text(report_page.page(report), encoding="utf-8")
    for line in evaluation_metrics.lines(report):
        log(stage.name, line.rstrip())


def _score(stage: Stage, params: Params, context: TrainingContext) -> tuple[HeldOutReader, dict[str, HeldOutSplit], dict[str, Any]]:
    """The held-out splits under every model, and the generations; one model in memory at a time."""
    from trainer.data import release_reader
    from trainer.evaluation import evidence_groups, generations
    from trainer.evaluation.heldout import HeldOutReader
    from trainer.models import model_io, reward_models

    given, own = stage.input("release"), params.generations
    model, tokenizer = model_io.load(str(stage.input("policy")))
    reader = HeldOutReader.of(given, tokenizer, context.max_length, params.per_device_eval_batch_size)
    rows = reader.encodings["test"].kept
    asked, too_long = generations.draw_prompts(
        rows, evidence_groups.connected([row.pair for row in rows]), context.max_length - own.max_new_tokens, own.prompts, context.seed
    )
    sampling = generations.sampling_config(tokenizer, own.max_new_tokens, own.temperature, params.per_device_eval_batch_size)
    policy, answers = reader.likelihoods(model), {"policy": generations.write(model, tokenizer, asked, sampling, context.seed)}
    model, _ = model_io.load(str(stage.input("start")))
    reference, answers["reference"] = reader.likelihoods(model), generations.write(model, tokenizer, asked, sampling, context.seed)
    answers["chosen"] = generations.chosen(tokenizer, asked, own.max_new_tokens)
    surprises = {
        name: generations.surprise(model, asked, said, reader.pad, params.per_device_eval_batch_size) for name, said in answers.items()
    }
    model, _ = reward_models.load(stage.input("reward"))
    reward = reader.rewards(model)
    liked = np.stack(
        [
            generations.score_answers(model, asked, answers[name], reader.pad, params.per_device_eval_batch_size)
            for name in ("policy", "reference")
        ]
    )
    heldout = reader.combine_scores((policy, reference, reward), release_reader.pairs(given, "train"), context, params.resamples)
    generated = {"prompts": len(asked), "groups_too_long": too_long, "most_tokens": own.max_new_tokens, "temperature": own.temperature}
    if not asked:
        return reader, heldout, generated | {"why_not": "evaluate.generations.prompts is 0" if not own.prompts else "no prompt leaves room"}
    generated |= generations.win_rates(answers["policy"], answers["reference"], liked, params.resamples, context.seed)
    generated |= generations.writing_metrics(answers, surprises, own.worse, params.significance)
    return reader, heldout, generated | {"examples": _examples(asked, answers, liked, own.examples)}


def _examples(asked: list[HeldOutPrompt], answers: dict[str, list[Answer]], liked: np.ndarray, count: int) -> list[dict[str, Any]]:
    """The first prompts as they were drawn, with what both models wrote, and its rewards."""
    from trainer.evaluation.proportions import rounded

    names = ("policy", "reference")
    sides = [
        {name: {"text": said.text, "ended": said.ended, "reward": rounded(liked[row, at])}}
        for at in range(min(count, len(asked)))
        for row, name in enumerate(names)
        for said in [answers[name][at]]
    ]
    return [{"prompt": one.messages, **mine, **theirs} for one, mine, theirs in zip(asked, sides[0::2], sides[1::2], strict=False)]


def _split(heldout: HeldOutSplit, significance: float) -> dict[str, Any]:
    """All figures of one split."""
    from trainer.evaluation import baselines, length_control, preference_accuracy

    margins, judged, bootstrap = heldout.margins, heldout.correctness, heldout.bootstrap
    figures = preference_accuracy.figures(judged, heldout.pairs, bootstrap)
    figures |= preference_accuracy.tests(judged, baselines.NAMES, bootstrap.groups, significance)
    figures |= {"left_out": heldout.encoding.reasons, "groups": bootstrap.count}
    names = ("implicit", "likelihood", "reference_likelihood", "reward", *baselines.NAMES)
    figures["lengths"] = {name: length_control.controlled(judged[name], heldout.length_difference, bootstrap) for name in names}
    for name in (*names[:4], "tfidf"):  # the margin of `longer` is the length itself
        figures["lengths"][name]["preference"] = length_control.preference(margins[name], heldout.length_difference, bootstrap.groups)
    return figures


def _calibration(heldout: dict[str, HeldOutSplit], bins: int) -> dict[str, Any]:
    """How far the reward model is as sure as it is right."""
    from trainer.evaluation import calibration

    return calibration.figures(heldout["validation"].margins["reward"], heldout["test"].margins["reward"], bins)
