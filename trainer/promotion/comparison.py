"""The new model and the champion on the same held-out pairs, and what both write to the same held-out prompts.

In: a release, and two models, each with the start that it was trained from, its own tokenizer and its own window. Out: figures of both.
Only pairs of the test split that fit both windows count: the validation split has had a say in which variant is handed over.

A pair is right where the chosen answer gained more on the model's own start than the rejected one, as in `evaluate`. Which of the two is
better says an exact McNemar test in which groups of pairs speak once, and by how much a paired bootstrap over groups. Models are loaded one
at a time. What is counted in tokens (an answer's cut, phrases that come back) is counted in those of each model's own tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.evaluation import evidence_groups, generations, preference_accuracy, proportions
from trainer.evaluation.bootstrap import Bootstrap, interval, ratio
from trainer.evaluation.proportions import rounded
from trainer.models.training_context import TrainingContext
from trainer.promotion import writing
from trainer.promotion.settings import Params

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from trainer.data.encode import EncodedPair
    from trainer.evaluation.quality import Answer

SIDES = ("challenger", "champion")


@dataclass(frozen=True)
class Side:
    """One of the two models."""

    model: Path
    start: Path
    context: TrainingContext


@dataclass(frozen=True)
class Reading:
    """The shared pairs as one side's tokenizer reads them."""

    tokenizer: PreTrainedTokenizerBase
    rows: list[EncodedPair]


def figures(release: Path, sides: tuple[Side, Side], params: Params) -> dict[str, Any]:
    """All figures; `pairs` is 0, and nothing else is there, where no pair fits both."""
    seed = sides[0].context.seed
    readings = _read(release, sides)
    pairs = [row.pair for row in readings[0].rows]
    if not pairs:
        return {"pairs": 0}
    groups = evidence_groups.connected(pairs)
    asked = [_asked(one, readings, groups, sides, params, seed) for one in range(len(sides))]
    right, answers = [], {"chosen": generations.chosen(readings[0].tokenizer, asked[0], params.generations.max_new_tokens)}
    for name, side, reading, prompts in zip(SIDES, sides, readings, asked, strict=True):
        marks, answers[name] = _judged(side, reading, prompts, params, seed)
        right.append(marks)
    found = _preference(right, Bootstrap(groups, params.resamples, seed), params.significance)
    return found | {"writing": writing.figures(answers, params.worse, params.significance)}


def _read(release: Path, sides: Sequence[Side]) -> list[Reading]:
    """The test pairs that fit both windows, in one order, as either reads them."""
    from trainer.data import encode, release_reader
    from trainer.models import model_io

    pairs = release_reader.pairs(release, "test")
    tokenizers = [model_io.tokenizer(str(side.model), str(side.model)) for side in sides]
    kept = [encode.encode(pairs, one, side.context.max_length).kept for one, side in zip(tokenizers, sides, strict=True)]
    shared = set.intersection(*({row.pair.pair_id for row in rows} for rows in kept))
    return [Reading(one, [row for row in rows if row.pair.pair_id in shared]) for one, rows in zip(tokenizers, kept, strict=True)]


def _asked(
    side: int, readings: Sequence[Reading], groups: np.ndarray, sides: Sequence[Side], params: Params, seed: int
) -> list[generations.HeldOutPrompt]:
    """The prompts that both are asked, as one side reads them: those that leave either room for an answer."""
    own = params.generations
    rooms = [one.context.max_length - own.max_new_tokens for one in sides]
    fits = [all(len(one.rows[at].prompt) <= room for one, room in zip(readings, rooms, strict=True)) for at in range(len(readings[0].rows))]
    places = np.flatnonzero(fits)
    rows = [readings[side].rows[at] for at in places]
    return generations.draw_prompts(rows, groups[places], rooms[side], own.prompts, seed)[0]


def _judged(
    side: Side, reading: Reading, prompts: list[generations.HeldOutPrompt], params: Params, seed: int
) -> tuple[np.ndarray, list[Answer]]:
    """Which pairs one model gets right, and what it writes."""
    from trainer.methods import pair_scores
    from trainer.models import model_io

    own, pad, batch = params.generations, reading.tokenizer.pad_token_id, params.per_device_eval_batch_size
    model, _ = model_io.load(str(side.model), str(side.model))
    margins = pair_scores.score(model, reading.rows, pad, batch).margin
    sampling = generations.sampling_config(reading.tokenizer, own.max_new_tokens, own.temperature, batch)
    answers = generations.write(model, reading.tokenizer, prompts, sampling, seed)
    model, _ = model_io.load(str(side.start), str(side.start))
    return proportions.correctness(margins - pair_scores.score(model, reading.rows, pad, batch).margin), answers


def _preference(right: Sequence[np.ndarray], bootstrap: Bootstrap, significance: float) -> dict[str, Any]:
    """How often either is right, and how the new model stands to the champion."""
    challenger, champion = right
    stands = preference_accuracy.against(challenger, champion, bootstrap.groups, significance)
    sums = bootstrap.sums(np.stack([np.ones(len(challenger)), challenger - champion], axis=1))
    low, high = interval(ratio(sums[:, 1], sums[:, 0]))
    return {
        "pairs": len(challenger),
        "groups": bootstrap.count,
        "accuracy": {name: proportions.proportion(marks) for name, marks in zip(SIDES, right, strict=True)},
        "difference": {"mean": rounded((challenger - champion).mean()), "low": rounded(low), "high": rounded(high)},
        "p": float(f"{stands['p']:.4g}"),
        "stands": stands["policy"],
    }
