"""Hold a step of the stage train against a bare loop that computes the same: CPU seconds a step, and peak memory.

    python -m tests.benchmarks.dpo_step [--release FOLDER] [--steps N] [--rounds N]

Both learn from the same rows in the same order, from the same weights, with the loss, the schedule and the threads of `params.yaml`; both
answers of a pair share a row in both. The bare loop is what a person would write who needs nothing else: no trainer of a library, no
log, no check of the figures, no checkpoint. The stage has all of that, TensorBoard and its checkpoints included. Each run is a process
of its own and they take turns, so that a machine that is busy for a while is busy for both; the reference is scored, and the first
steps are taken, before the clock starts. Without a release it makes a planted one, whose rows are short.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tasks.core import pipeline
from tests.builders import releases
from tests.conftest import ROOT
from trainer import start, train
from trainer.data import batches, encode, release_reader
from trainer.loop.monitor import Monitor
from trainer.loop.run import Run
from trainer.methods import dpo, pair_scores, shared_prompt
from trainer.models import model_io, runtime
from trainer.models.training_context import TrainingContext

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.data.encode import EncodedPair

WARM = 5  # steps before the clock runs
COUNTS = {"train": 1200, "validation": 8, "test": 8}
WAYS = ("stage", "bare")


@dataclass(frozen=True)
class Given:
    """What both learn with."""

    release: Path
    start: start.Params
    train: train.Params
    steps: int

    @staticmethod
    def read(release: Path, steps: int) -> Given:
        """The parameters of this checkout, with so many steps."""
        document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        document["train"]["dpo"]["schedule"] |= {"num_train_epochs": 100, "max_steps": steps}
        return Given(release, start.Params.model_validate(document["start"]), train.Params.model_validate(document["train"]), steps)

    def model(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, list[EncodedPair]]:
        """A model of the start's size, its tokenizer, and the pairs as it reads them."""
        runtime.prepare(self.start.threads, self.start.seed, offline=True)
        pairs = release_reader.pairs(self.release, "train")
        sizes = {name: value for name, value in self.start.model.model_dump().items() if name in model_io.Size.__dataclass_fields__}
        model, tokenizer = model_io.make(pairs, model_io.Size(**sizes, max_length=self.start.max_length))
        return model, tokenizer, encode.encode(pairs, tokenizer, self.start.max_length).kept

    def settings(self) -> dpo.Settings:
        """Of the loss."""
        own = self.train.dpo
        return dpo.Settings(own.loss_type, own.beta, 0.0, own.sft_weight, own.schedule)


@dataclass
class Clock:
    """CPU seconds of this process at the end of every step."""

    times: list[float] = field(default_factory=list)

    def tick(self) -> None:
        """A step has ended."""
        self.times.append(time.process_time())

    def figures(self) -> dict[str, float]:
        """CPU seconds a step, after the first ones, and the peak of memory in MB."""
        taken = (self.times[-1] - self.times[WARM - 1]) / (len(self.times) - WARM)
        return {"seconds": taken, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def by_the_stage(given: Given, scratch: Path) -> Clock:
    """What the stage does, its log, its figures and its checkpoints included."""
    model, tokenizer, rows = given.model()
    stage = replace(pipeline.stage("train", ROOT), reports=scratch / "reports", checkpoints=scratch / "checkpoints")
    context = TrainingContext("none", "scratch", given.start.seed, given.start.threads, given.start.max_length, given.start.dtype, False)
    clock = Clock()

    class Timed(Monitor):
        def step(self, part: str, step: int, steps: int, figures: dict[str, float]) -> None:
            super().step(part, step, steps, figures)
            clock.tick()

    params = given.train.model_dump(mode="json")
    with Run.begin(stage, context, given.train.monitoring, given.train.adapter, params) as run:
        timed = replace(run, monitor=Timed(stage.name, stage.reports, given.train.monitoring))
        dpo.train(model, tokenizer, rows, given.settings(), timed)
    return clock


def by_a_bare_loop(given: Given) -> Clock:
    """The same in plain PyTorch."""
    import torch
    from transformers import get_cosine_schedule_with_warmup

    model, tokenizer, rows = given.model()
    settings, schedule, pad = given.settings(), given.train.dpo.schedule, tokenizer.pad_token_id
    order = batches.plan(
        [row.length for row in rows], [row.pair.weight for row in rows], schedule.train_batch_size, given.steps, given.start.seed
    )
    seen = sorted({place for places in order for place in places})
    reference = dict(zip(seen, zip(*_sides(pair_scores.score(model, [rows[at] for at in seen], pad, 16)), strict=True), strict=True))
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.learning_rate, weight_decay=0.0)
    rate = get_cosine_schedule_with_warmup(optimizer, int(given.steps * schedule.warmup_ratio), given.steps)
    clock, losses = Clock(), []
    model.train()
    for places in order:
        triples = [(rows[at].prompt, rows[at].chosen, rows[at].rejected) for at in places]
        now = shared_prompt.log_probabilities(model, shared_prompt.tensors(triples, pad))
        before = [torch.tensor([reference[at][side] for at in places], dtype=torch.float32) for side in (0, 1)]
        lengths = [torch.tensor([float(len(triple[side])) for triple in triples]) for side in (1, 2)]
        loss = dpo.loss_of(settings, now, (before[0], before[1]), (lengths[0], lengths[1])).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        clock.tick()
    return clock


def _sides(scores: Any) -> tuple[list[float], list[float]]:
    return scores.chosen.tolist(), scores.rejected.tolist()


def child(way: str, release: Path, steps: int) -> dict[str, float]:
    """The figures of one way, in this process."""
    given = Given.read(release, steps)
    with tempfile.TemporaryDirectory() as scratch:
        clock = by_the_stage(given, Path(scratch)) if way == "stage" else by_a_bare_loop(given)
    return clock.figures()


def measure(way: str, release: Path, steps: int) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.dpo_step", "--way", way, "--release", str(release), "--steps", str(steps)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Print both, and the ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", type=Path)
    parser.add_argument("--steps", type=int, default=45)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        sys.stdout.write("\n" + json.dumps(child(asked.way, asked.release, asked.steps)) + "\n")
        return
    with tempfile.TemporaryDirectory() as scratch:
        release = asked.release.resolve() if asked.release else releases.write(Path(scratch) / "data/release", releases.planted(COUNTS))
        found = [{way: measure(way, release, asked.steps) for way in WAYS} for _ in range(asked.rounds)]
    for name, unit in (("seconds", "CPU s a step"), ("mb", "MB at the peak")):
        stage, bare = (statistics.median(one[way][name] for one in found) for way in WAYS)
        sys.stdout.write(f"{unit:16}  stage {stage:8.3f}  bare {bare:8.3f}  ratio {stage / bare:.2f}\n")


if __name__ == "__main__":
    main()
