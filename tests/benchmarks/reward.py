"""Measure the reward model, and whether a margin or MixUp makes it better.

    python -m tests.benchmarks.reward [--seeds N] [--release FOLDER] [--steps N]

Without a release it makes planted ones of 1,200 pairs, of which 10 % are turned: people err more often where the answers differ less
(15 in 100 where two features differ, none where all do), say by how much the better one is better, and the confidence is the truth about
their errors. That is the kindest world for a margin. A perfect judge reaches 0.90 there.
The start is made once; seeds change the new head, the order of rows and what MixUp draws. For every way and seed: accuracy and loss on
the test pairs, the loss at the best scale (a margin makes rewards bigger, which may be all that it does), the rewards' correlation
with length, and CPU seconds. Last come the means, and in how many seeds a way had a lower loss at the best scale than none.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import resource
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core import params
from tests.benchmarks.planted import COUNTS
from tests.builders import releases, training
from tests.conftest import ROOT
from trainer.data import encode, release_reader
from trainer.evaluation import proportions
from trainer.methods import reward_modeling
from trainer.models import reward_models, training_context

WAYS: dict[str, dict[str, Any]] = {
    "none": {},
    "margin": {"margin": "margin"},
    "confidence": {"margin": "confidence"},
    "mixup 0.2": {"mixup_alpha": 0.2},
    "mixup 1.0": {"mixup_alpha": 1.0},
}
ERRORS = {2: 0.15, 3: 0.07, 4: 0.03, 5: 0.0}  # share of pairs turned, by the number of features in which the answers differ


def planted(seed: int) -> list[dict[str, Any]]:
    """Pairs of all splits, with a margin, a confidence, and errors that depend on both."""
    chance = random.Random(seed)
    return [_graded(row, chance) for row in releases.planted(COUNTS, seed, noise=0.0)]


def _graded(row: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    faults = [bad.rsplit("}", 1)[-1] for _, bad in releases.FEATURES.values()]
    good, bad = (sum(fault not in row[side][0]["content"] for fault in faults) for side in ("chosen", "rejected"))
    error = ERRORS[good - bad]
    sides = ("rejected", "chosen") if chance.random() < error else ("chosen", "rejected")
    graded = {"margin": (good - bad) / len(releases.FEATURES), "confidence": 1 - error}
    return row | {"chosen": row[sides[0]], "rejected": row[sides[1]]} | graded


def measure(root: Path, seed: int, way: dict[str, Any], steps: int | None) -> dict[str, float]:
    """Train one reward model and judge the test pairs."""
    began = _cpu()
    context = training_context.read(root / "data/models/start", root / "data/release")
    training_context.write(root / "data/models/start", replace(context, seed=seed), {})
    own = params.load(ROOT / "params.yaml", "reward", training.module("reward").Params)
    schedule = own.schedule.model_copy(update={"max_steps": steps or own.schedule.max_steps})
    settings = own.model_copy(update={"margin": "none", "mixup_alpha": 0.0, "schedule": schedule} | way)
    with contextlib.redirect_stdout(io.StringIO()):
        folder = training.run(root, "reward", settings)
    seconds = _cpu() - began
    model, tokenizer = reward_models.load(folder)
    pairs = encode.encode(release_reader.pairs(root / "data/release", "test"), tokenizer, context.max_length).kept
    gaps = reward_modeling.gaps(model, pairs, tokenizer.pad_token_id, 32)
    length = json.loads((folder / "metrics.json").read_text())["validation_length"]
    figures = {"accuracy": float(proportions.correctness(gaps).mean()), "loss": reward_modeling.loss(gaps), "best": best(gaps)}
    return figures | {"length": length, "cpu": seconds}


def best(gaps: np.ndarray) -> float:
    """The loss after the rewards are multiplied with what suits these pairs best: two models that differ in scale alone have the same."""
    return min(reward_modeling.loss(gaps * scale) for scale in np.geomspace(0.05, 20, 241))


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _line(name: str, figures: dict[str, float]) -> None:
    told = ", ".join(f"{key} {value:.4f}" for key, value in figures.items())
    sys.stdout.write(f"{name:<24}{told}\n")
    sys.stdout.flush()


def main() -> None:
    """Print one line a run, then the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=None, help="instead of those of params.yaml")
    parser.add_argument("--release", type=Path, default=None)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    given = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in given.ways}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        _begin(root, given.release)
        for seed in range(given.seeds):
            for name in given.ways:
                found[name].append(measure(root, seed, WAYS[name], given.steps))
                _line(f"{name}, seed {seed}", found[name][-1])
    for name, runs in found.items():
        _line(f"{name}, mean", {key: float(np.mean([run[key] for run in runs])) for key in runs[0]} | _better(runs, found.get("none", [])))


def _begin(root: Path, given: Path | None) -> None:
    """A release and the model that `start` makes of it."""
    if given:
        (root / "data").mkdir()
        (root / "data/release").symlink_to(given.resolve())
    else:
        releases.write(root / "data/release", planted(0))
    with contextlib.redirect_stdout(io.StringIO()):
        training.run(root, "start", params.load(ROOT / "params.yaml", "start", training.module("start").Params))


def _better(runs: list[dict[str, float]], plain: list[dict[str, float]]) -> dict[str, float]:
    """In how many seeds the loss at the best scale is lower than without."""
    pairs = list(zip(runs, plain, strict=False))
    return {"better_in": float(sum(ours["best"] < theirs["best"] for ours, theirs in pairs))}


if __name__ == "__main__":
    main()
