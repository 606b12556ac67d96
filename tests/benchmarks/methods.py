"""All methods on one release, from one start and one reward model, each by `params.yaml`: what they prefer and what they write.

    PYTHONPATH=data python -m tests.benchmarks.methods MODELS [--methods dpo online ...] [--split test] [--seeds 1] [--json FILE]

MODELS is a workspace's `data`, with `release`, `models/start` and `models/reward`. A method is a name of `train.method`, with settings of
its section laid over if need be: `dpo:loss_type=ipo,beta=0.3`. The budget is about a minute of CPU time each: one epoch of the pairs, or
20 rounds of 64 answers. One line a model, the start first; intervals (95 %) are from the bootstrap over groups of pairs:

- accuracy: held-out pairs told right by the implicit reward, for methods that learn from pairs (others have no claim on it);
- reward: of its answers, by the reward model it may have learned from; wins: share of prompts where that is above the start's, as it
  would be between answers of equal length (`trainer.evaluation.length_control`); above .5 says that it pleases the reward model more;
- length, unended, cover, whole, again: as `tests.benchmarks.writing` has them, by the sample's planted truth, no judge in between;
- CPU seconds of the training.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tasks.core import params
from tests.benchmarks import writing
from tests.builders import training
from tests.conftest import ROOT
from trainer.data import encode, release_reader
from trainer.data.encode import EncodedPair
from trainer.evaluation import bootstrap, evidence_groups, generations, length_control, proportions
from trainer.evaluation.bootstrap import Bootstrap
from trainer.evaluation.generations import HeldOutPrompt
from trainer.evaluation.quality import Answer
from trainer.methods import names
from trainer.models import model_io, reward_models, scoring, training_context

PROMPTS, RESAMPLES = 160, 2000
Figures = dict[str, Any]


@dataclass(frozen=True)
class Judge:
    """The held-out pairs and prompts, and what the start makes of them."""

    data: Path
    pairs: list[EncodedPair]
    groups: np.ndarray
    asked: list[HeldOutPrompt]
    before: np.ndarray  # the start's margins
    first: list[Answer]  # the start's answers
    rewards: np.ndarray
    seed: int

    @staticmethod
    def of(data: Path, split: str) -> Judge:
        """What is asked of every model alike."""
        context = training_context.read(data / "models/start", data / "release")
        start, tokenizer = model_io.load(str(data / "models/start"))
        pairs = encode.encode(release_reader.pairs(data / "release", split), tokenizer, context.max_length).kept
        groups = evidence_groups.connected([row.pair for row in pairs])
        asked, _ = generations.draw_prompts(pairs, groups, context.max_length - writing.TOKENS, PROMPTS, context.seed)
        before = scoring.score(start, pairs, tokenizer.pad_token_id, writing.BATCH).margin
        first = answers(start, tokenizer, asked, context.seed)
        return Judge(data, pairs, groups, asked, before, first, rewards_of(data, asked, first), context.seed)

    def figures(self, folder: Path, labelled: bool) -> Figures:
        """What one model prefers, where it has learned that, and what it writes."""
        model, tokenizer = model_io.load(str(folder))
        written = answers(model, tokenizer, self.asked, self.seed)
        rewards = rewards_of(self.data, self.asked, written)
        chosen = float(np.mean([length_control.characters(row.pair.chosen) for row in self.pairs]))
        found: Figures = {"reward": float(rewards.mean())} | self._wins(written, rewards) | writing.written(written, chosen)
        if labelled:
            margins = scoring.score(model, self.pairs, tokenizer.pad_token_id, writing.BATCH).margin
            found |= self._accuracy(proportions.correctness(margins - self.before))
        return found

    def _accuracy(self, right: np.ndarray) -> Figures:
        sums = Bootstrap(self.groups, RESAMPLES, self.seed).sums(np.stack([right, np.ones(len(right))], axis=1))
        low, high = bootstrap.interval(bootstrap.ratio(sums[:, 0], sums[:, 1]))
        return {"accuracy": float(right.mean()), "accuracy_low": low, "accuracy_high": high}

    def _wins(self, written: Sequence[Answer], rewards: np.ndarray) -> Figures:
        found = generations.win_rates(written, self.first, np.stack([rewards, self.rewards]), RESAMPLES, self.seed)
        equal = found["controlled"]["equal_length"]
        return {"wins": equal["accuracy"], "wins_low": equal["low"], "wins_high": equal["high"]}


def answers(model: Any, tokenizer: Any, asked: Sequence[HeldOutPrompt], seed: int) -> list[Answer]:
    """An answer to each prompt, by the same random numbers for every model."""
    how = generations.sampling_config(tokenizer, writing.TOKENS, writing.TEMPERATURE, writing.BATCH)
    return generations.write(model, tokenizer, asked, how, seed)


@functools.cache
def reward_model(data: Path) -> tuple[Any, int]:
    """The reward model, and its padding token."""
    model, tokenizer = reward_models.load(data / "models/reward")
    return model, tokenizer.pad_token_id


def rewards_of(data: Path, asked: Sequence[HeldOutPrompt], written: Sequence[Answer]) -> np.ndarray:
    """The reward of every answer."""
    model, pad = reward_model(data)
    return generations.score_answers(model, asked, written, pad, writing.BATCH)


def trained(data: Path, root: Path, method: str, seed: int) -> float:
    """Train by one method below `root`; CPU seconds."""
    (root / "data/models").mkdir(parents=True)
    for name in ("release", "models/reward"):
        (root / "data" / name).symlink_to((data / name).resolve())
    _seeded(data / "models/start", root / "data/models/start", seed)
    name, _, laid = method.partition(":")
    kind = training.module("train").Params
    told: dict[str, Any] = params.load(ROOT / "params.yaml", "train", kind).model_dump(mode="json")
    told["method"] = name
    told["monitoring"] |= {"logging_steps": 10**6, "save_steps": 0}
    _lay(told[name], dict(one.split("=", 1) for one in laid.split(",") if one))
    began = writing.cpu()
    training.run(root, "train", kind.model_validate(told))
    return writing.cpu() - began


def _lay(section: dict[str, Any], values: Mapping[str, str]) -> None:
    """Settings of a method's section, or of its schedule, laid over its own."""
    for key, value in values.items():
        at = section if key in section else section["schedule"]
        assert key in at, f"no setting {key}"
        at[key] = yaml.safe_load(value)


def _seeded(start: Path, copy: Path, seed: int) -> None:
    """The same start, with the training seeded otherwise: seed 0 is its own."""
    copy.mkdir()
    for file in start.iterdir():
        (copy / file.name).symlink_to(file.resolve())
    if seed:
        record = copy / training_context.NAME
        told = json.loads(record.read_bytes())
        record.unlink()
        record.write_text(json.dumps(told | {"seed": told["seed"] + seed}), encoding="utf-8")


COLUMNS = ("length", "unended", "cover", "whole", "again")
HEAD = f"{'method':<26}{'accuracy':>20}{'reward':>8}{'wins':>20}" + "".join(f"{name:>9}" for name in COLUMNS) + f"{'CPU s':>7}\n"


def line(name: str, figures: Figures) -> str:
    """A row of the table."""
    spans = {key: _span(figures, key) for key in ("accuracy", "wins")}
    rest = "".join(f"{figures[key]:>9.3f}" for key in COLUMNS)
    return f"{name:<26}{spans['accuracy']:>20}{figures['reward']:>8.2f}{spans['wins']:>20}{rest}{figures.get('seconds', 0):>7.0f}\n"


def _span(figures: Figures, key: str) -> str:
    return f"{figures[key]:.3f} [{figures[f'{key}_low']:.2f}, {figures[f'{key}_high']:.2f}]" if key in figures else "–"


def main() -> None:
    """Print one line a model as it is measured, among what trainings say, and the whole table at the end."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.methods", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--methods", nargs="+", default=list(names.ALL), help="NAME or NAME:SETTING=VALUE,…")
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="a file that gets all figures, a line each")
    asked = parser.parse_args()
    judge = Judge.of(asked.data, asked.split)
    lines = [HEAD, line("start", judge.figures(asked.data / "models/start", labelled=False))]
    for seed in range(asked.seeds):
        for method in asked.methods:
            with tempfile.TemporaryDirectory(prefix="pairwright-methods-") as scratch:
                seconds = trained(asked.data, Path(scratch), method, seed)
                labelled = method.partition(":")[0] in names.LABELLED
                figures = judge.figures(Path(scratch) / "data/models/policy", labelled) | {"seconds": seconds}
            lines.append(line(method, figures))
            sys.stderr.write(HEAD + lines[-1])
            if asked.json:
                with asked.json.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps({"method": method, "seed": seed, **figures}) + "\n")
    sys.stdout.write("".join(lines))


if __name__ == "__main__":
    main()
