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
people chose (`trainer.judging.quality`): a model may learn to tell good answers from bad ones and forget how to write either.

What else is counted, and exactly how, say the modules of `trainer.judging`.

    python -m trainer evaluate
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tasks.core import manifest
from tasks.core.params import StageParams
from tasks.core.pipeline import Stage
from tasks.core.shell import tell
from trainer.core.settings import Count
from trainer.judging.quality import Bounds

if TYPE_CHECKING:
    from trainer.core.basis import Basis
    from trainer.judging.generations import Asked
    from trainer.judging.held import Held, Reader
    from trainer.judging.quality import Answer


class Generations(StageParams):
    """What both models write to held-out prompts."""

    prompts: int = Field(ge=0)  # 0 writes nothing
    most_tokens: int = Count
    temperature: float = Field(ge=0)  # 0 takes the likeliest token each time
    examples: int = Field(ge=0)  # shown on the page
    worse: Bounds  # from where on the policy writes worse


class Control(StageParams):
    """Trainings on shuffled labels."""

    seeds: int = Field(ge=0)  # trainings; 0 leaves the control out


class Params(StageParams):
    """Section `evaluate` of `params.yaml`."""

    batch: int = Count  # pairs scored at once
    significance: float = Field(gt=0, lt=1)  # p-value below which a difference is called one
    resamples: int = Count  # of the bootstrap over groups
    bins: int = Field(ge=2)  # of the reliability table
    generations: Generations
    control: Control


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Score both splits under every model, count, write, and say the outcome."""
    from trainer.core import basis, runtime
    from trainer.core.card import VERDICT
    from trainer.judging import control, flat, page, verdict

    base = basis.read(stage.input("policy"), stage.input("release"))
    runtime.prepare(base.threads, base.seed, offline=True)
    reader, held, generations = _score(stage, params, base)
    report = {split: _split(one, params.significance) for split, one in held.items()}
    report["calibration"] = _calibration(held, params.bins)
    report["generations"] = generations
    report["verdict"] = verdict.of(report["test"], generations)
    report["control"] = control.run(stage, base, reader, held["test"].reference, params.control.seeds)
    (folder / "report.json").write_bytes(manifest.dumps(report))
    (folder / VERDICT).write_bytes(manifest.dumps(report["verdict"]))
    (folder / "metrics.json").write_bytes(manifest.dumps(flat.metrics(report)))
    (folder / "report.html").write_text(page.page(report), encoding="utf-8")
    for line in flat.lines(report):
        tell(stage.name, line.rstrip())


def _score(stage: Stage, params: Params, base: Basis) -> tuple[Reader, dict[str, Held], dict[str, Any]]:
    """The held-out splits under every model, and the generations; one model in memory at a time."""
    from trainer.core import models, release, rewards
    from trainer.judging import generations, groups
    from trainer.judging.held import Reader

    given, own = stage.input("release"), params.generations
    model, tokenizer = models.load(str(stage.input("policy")))
    reader = Reader.of(given, tokenizer, base.window, params.batch)
    rows = reader.encodings["test"].kept
    asked, too_long = generations.draw(
        rows, groups.connected([row.pair for row in rows]), base.window - own.most_tokens, own.prompts, base.seed
    )
    how = generations.writing(tokenizer, own.most_tokens, own.temperature, params.batch)
    policy, answers = reader.likelihoods(model), {"policy": generations.write(model, tokenizer, asked, how, base.seed)}
    model, _ = models.load(str(stage.input("start")))
    reference, answers["reference"] = reader.likelihoods(model), generations.write(model, tokenizer, asked, how, base.seed)
    answers["chosen"] = generations.chosen(tokenizer, asked, own.most_tokens)
    surprises = {name: generations.surprise(model, asked, said, reader.pad, params.batch) for name, said in answers.items()}
    model, _ = rewards.load(stage.input("reward"))
    reward = reader.rewards(model)
    liked = np.stack([generations.scored(model, asked, answers[name], reader.pad, params.batch) for name in ("policy", "reference")])
    held = reader.together((policy, reference, reward), release.pairs(given, "train"), base, params.resamples)
    told = {"prompts": len(asked), "groups_too_long": too_long, "most_tokens": own.most_tokens, "temperature": own.temperature}
    if not asked:
        return reader, held, told | {"why_not": "evaluate.generations.prompts is 0" if not own.prompts else "no prompt leaves room"}
    told |= generations.compared(answers["policy"], answers["reference"], liked, params.resamples, base.seed)
    told |= generations.written(answers, surprises, own.worse, params.significance)
    return reader, held, told | {"examples": _examples(asked, answers, liked, own.examples)}


def _examples(asked: list[Asked], answers: dict[str, list[Answer]], liked: np.ndarray, count: int) -> list[dict[str, Any]]:
    """The first prompts as they were drawn, with what both models wrote, and its rewards."""
    from trainer.core.statistics import rounded

    names = ("policy", "reference")
    sides = [
        {name: {"text": said.text, "ended": said.ended, "reward": rounded(liked[row, at])}}
        for at in range(min(count, len(asked)))
        for row, name in enumerate(names)
        for said in [answers[name][at]]
    ]
    return [{"prompt": one.messages, **mine, **theirs} for one, mine, theirs in zip(asked, sides[0::2], sides[1::2], strict=False)]


def _split(held: Held, significance: float) -> dict[str, Any]:
    """All figures of one split."""
    from trainer.judging import accuracy, baselines, lengths

    margins, judged, bootstrap = held.margins, held.judged, held.bootstrap
    figures = accuracy.figures(judged, held.pairs, bootstrap)
    figures |= accuracy.tests(judged, baselines.NAMES, bootstrap.groups, significance)
    figures |= {"left_out": held.encoding.reasons, "groups": bootstrap.count}
    told = ("implicit", "likelihood", "reference_likelihood", "reward", *baselines.NAMES)
    figures["lengths"] = {name: lengths.controlled(judged[name], held.difference, bootstrap) for name in told}
    for name in (*told[:4], "tfidf"):  # the margin of `longer` is the length itself
        figures["lengths"][name]["preference"] = lengths.preference(margins[name], held.difference, bootstrap.groups)
    return figures


def _calibration(held: dict[str, Held], bins: int) -> dict[str, Any]:
    """How far the reward model is as sure as it is right."""
    from trainer.judging import calibration

    return calibration.figures(held["validation"].margins["reward"], held["test"].margins["reward"], bins)
