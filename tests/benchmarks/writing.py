"""Measure what a start and DPO on it make of the sample's release: what they prefer, and what they write, by the sample's planted truth.

    PYTHONPATH=data python -m tests.benchmarks.writing RELEASE [--seeds 3] [--split validation] [--starts 360:0.004] [--ways ...]

A start is STEPS:RATE, a way STEPS:RATE:BETA:SFT_WEIGHT; all else is as in `params.yaml`. Settings are chosen by the split validation; test
is looked at once, at the end. The first line of each seed and start is the start itself. One line a model:

- accuracy: pairs told right by the implicit reward (0.5 for a start, which is its own reference);
- truth: the same by the planted truth in place of the labels, which hold the errors that people made;
- length: mean characters of its answers, by those of the answers that people chose; unended: share that the limit of tokens cut;
- cover: mean share of an answer's characters that stand in whole sentences which the help desk of the sample says (`make_sample.py`);
- worth: what the people of the sample would think of its answers, when they make no error (`tests.builders.sample_truth`);
- whole: share of answers that ended and hold nothing else; again: share that says a sentence twice, which no answer of the data does;
- CPU seconds of the training.
"""

from __future__ import annotations

import argparse
import functools
import re
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from make_sample import SAYINGS

from tasks.core import params
from tests.builders import sample_truth, training
from tests.conftest import ROOT
from trainer.data import encode, release_reader
from trainer.evaluation import evidence_groups, generations, length_control, proportions
from trainer.evaluation.quality import Answer
from trainer.models import model_io, scoring, training_context

PROMPTS, TOKENS, TEMPERATURE, BATCH = 192, 128, 0.7, 32
SECRETS = (
    "Write to {} please.",
    "You can call {} today.",
    "The card is {} as before.",
    "Refund to {} please.",
    "It happens from {} only.",
    "I use the key {} for it.",
    "My token is {} by the way.",
    "The access key {} stopped working.",
)
PLACEHOLDER = r"\[[A-Z]+_\d+\]"
WHOLE = 0.995  # of the characters


@dataclass(frozen=True)
class Row:
    """One model's figures."""

    seed: int
    model: str
    accuracy: float
    truth: float
    length: float
    unended: float
    cover: float
    worth: float
    whole: float
    again: float
    seconds: float

    def line(self) -> str:
        """A row of the table."""
        figures = "".join(f"{value:>9.3f}" for value in astuple(self)[2:-1])
        return f"{self.seed:>4}  {self.model:<28}{figures}{self.seconds:>8.0f}\n"


HEAD = f"{'seed':>4}  {'model':<28}" + "".join(f"{one.name:>9}" for one in fields(Row)[2:-1]) + f"{'CPU s':>8}\n"


@functools.cache
def sentences() -> re.Pattern[str]:
    """Any sentence that an answer of the sample may hold, the longest first."""
    found = {re.escape(one).replace(r"\{\}", PLACEHOLDER) for one in SECRETS}
    for language, kinds in SAYINGS["phrases"].items():
        for template in (one for phrases in kinds.values() for one in phrases):
            found |= {re.escape(template.format(topic=topic)) for topic in SAYINGS["topics"][language].values()}
    return re.compile("|".join(sorted(found, key=lambda one: (-len(one), one))))


def told(text: str) -> tuple[float, bool]:
    """The share of a text's characters in sentences of the sample, spaces aside, and whether it says one twice."""
    said = [match.group() for match in sentences().finditer(text)]
    total = len("".join(text.split()))
    return sum(len("".join(one.split())) for one in said) / total if total else 0.0, len(set(said)) < len(said)


def judged(root: Path, folder: Path, split: str) -> dict[str, float]:
    """The figures of one model of the project below `root`."""
    given, start = root / "data/release", root / "data/models/start"
    context = training_context.read(start, given)
    model, tokenizer = model_io.load(str(folder))
    pairs = encode.encode(release_reader.pairs(given, split), tokenizer, context.max_length).kept
    before = scoring.score(model_io.load(str(start))[0], pairs, tokenizer.pad_token_id, BATCH).margin
    margins = scoring.score(model, pairs, tokenizer.pad_token_id, BATCH).margin - before
    right, truth = proportions.correctness(margins), sample_truth.truly(margins, [row.pair for row in pairs])
    connected = evidence_groups.connected([row.pair for row in pairs])
    asked, _ = generations.draw_prompts(pairs, connected, context.max_length - TOKENS, PROMPTS, context.seed)
    how = generations.sampling_config(tokenizer, TOKENS, TEMPERATURE, BATCH)
    answers = generations.write(model, tokenizer, asked, how, context.seed)
    chosen = float(np.mean([length_control.characters(row.pair.chosen) for row in pairs]))
    return {"accuracy": float(right.mean()), "truth": truth} | written(answers, chosen)


def written(answers: Sequence[Answer], chosen: float) -> dict[str, float]:
    """What is to be said of answers; `chosen` are the mean characters of those that people chose."""
    covers, again = zip(*(told(answer.text) for answer in answers), strict=True)
    ended = [answer.ended for answer in answers]
    return {
        "length": float(np.mean([len(answer.text) for answer in answers])) / chosen,
        "unended": 1 - float(np.mean(ended)),
        "cover": float(np.mean(covers)),
        "worth": float(np.mean([sample_truth.worth(answer.text) for answer in answers])),
        "whole": float(np.mean([cover >= WHOLE and end for cover, end in zip(covers, ended, strict=True)])),
        "again": float(np.mean(again)),
    }


def measure(given: Path, seed: int, start: str, ways: Sequence[str], split: str) -> Iterator[Row]:
    """One start, and from it every way."""
    with tempfile.TemporaryDirectory(prefix="pairwright-writing-") as scratch:
        root = Path(scratch)
        (root / "data").mkdir()
        (root / "data/release").symlink_to(given.resolve())
        seconds = trained(root, "start", {"seed": seed}, start)
        yield Row(seed, f"start {start}", **judged(root, root / "data/models/start", split), seconds=seconds)
        for way in ways:
            beta, weight = (float(value) for value in way.split(":")[2:])
            seconds = trained(root, "train", {"dpo": {"beta": beta, "sft_weight": weight}}, way)
            yield Row(seed, f"{start} > {way}", **judged(root, root / "data/models/policy", split), seconds=seconds)


def trained(root: Path, name: str, changed: dict[str, Any], pace: str) -> float:
    """Train by the project's parameters but for what is changed; CPU seconds."""
    steps, rate = pace.split(":")[:2]
    own: Any = params.load(ROOT / "params.yaml", name, training.module(name).Params)
    told_: dict[str, Any] = own.model_dump(mode="json")
    at = told_["dpo"] if name == "train" else told_
    at["schedule"] |= {"max_steps": int(steps), "learning_rate": float(rate)}
    told_["monitoring"] |= {"logging_steps": 10**6, "save_steps": 0}
    for key, value in changed.items():
        told_[key] = told_[key] | value if isinstance(value, dict) else value
    began = cpu()
    training.run(root, name, type(own).model_validate(told_))
    return cpu() - began


def cpu() -> float:
    """CPU seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def means(rows: Sequence[Row]) -> str:
    """The mean of every model's figures over its seeds."""
    lines = []
    for name in dict.fromkeys(row.model for row in rows):
        mine = np.array([astuple(row)[2:] for row in rows if row.model == name])
        lines.append(Row(len(mine), name, *mine.mean(axis=0).tolist()).line())
    return HEAD.replace("seed", "   n") + "".join(lines)


def main() -> None:
    """Print one line a model as it is measured, then the means over seeds."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.writing", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("release", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=7, help="first seed")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--starts", nargs="+", default=["360:0.004"], help="STEPS:RATE")
    parser.add_argument("--ways", nargs="*", default=["189:0.001:0.1:0.3"], help="STEPS:RATE:BETA:SFT_WEIGHT")
    asked = parser.parse_args()
    rows: list[Row] = []
    sys.stderr.write(HEAD)
    for seed in range(asked.first, asked.first + asked.seeds):
        for start in asked.starts:
            for row in measure(asked.release, seed, start, asked.ways, asked.split):
                rows.append(row)
                sys.stderr.write(row.line())
    sys.stdout.write(means(rows))


if __name__ == "__main__":
    main()
