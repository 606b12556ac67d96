"""Measure whether training finds a preference that is there, and none that is not.

    python -m tests.benchmarks.planted [--seeds 5] [--ways dpo kto dpo:robust] [--release FOLDER] [--only given shuffled]

Makes a release of 1,200 pairs with a preference planted through five independent features and 10 % of the labels turned (or takes the
one that is given), trains on it as the project does, and prints one line a run: held-out accuracy (implicit reward, exact count), and
the share of held-out pairs whose chosen answer is the likelier one, for reference and policy. A perfect judge reaches 0.90 on the
planted pairs. CPU seconds are those of the method alone, then with its start.

The control learns from shuffled labels. One run of it leans to one side by chance, and in all held-out pairs alike, because they share
their features: a run draws one direction, and the pairs are no independent witnesses of it. So the control is judged by its mean over
seeds, with the interval that the seeds' own spread gives (Student's t).
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.core import params
from tasks.core.params import StageParams
from tests.builders import releases, training
from tests.conftest import ROOT

COUNTS = {"train": 1200, "validation": 100, "test": 400}
LABELS = ("given", "shuffled")


@dataclass(frozen=True)
class Run:
    """One training, and how its policy judges the test pairs."""

    seed: int
    labels: str
    way: str
    accuracy: float
    reference: float
    policy: float
    seconds: float
    seconds_with_start: float

    def line(self) -> str:
        """A row of the table."""
        figures = f"{self.accuracy:>9.3f}{self.reference:>11.3f}{self.policy:>8.3f}{self.seconds:>8.0f}{self.seconds_with_start:>8.0f}"
        return f"{self.seed:>4}  {self.labels:<9}{self.way:<12}{figures}\n"


HEAD = f"{'seed':>4}  {'labels':<9}{'way':<12}{'accuracy':>9}{'reference':>11}{'policy':>8}{'CPU s':>8}{'+ start':>8}\n"


def measure(release: Path | None, seed: int, labels: str, ways: list[str]) -> Iterator[Run]:
    """One start, and from it every way of training."""
    with tempfile.TemporaryDirectory(prefix="pairwright-planted-") as folder:
        root = Path(folder)
        lay(root, release, seed)
        began = _cpu()
        start = params.load(ROOT / "params.yaml", "start", training.module("start").Params)
        training.run(root, "start", start.model_copy(update={"seed": seed, "shuffle_labels": labels == "shuffled"}))
        started = _cpu() - began
        for way in ways:
            began = _cpu()
            training.run(root, "train", _settings(way))
            seconds = _cpu() - began
            yield Run(seed, labels, way, *judge(root), seconds, seconds + started)


def lay(root: Path, release: Path | None, seed: int, counts: dict[str, int] | None = None) -> None:
    """The release below `root`: the given one, or one with a planted preference, in pairs and in single answers."""
    folder = root / "data/release"
    if release:
        folder.parent.mkdir(parents=True)
        folder.symlink_to(release.resolve())
        return
    rows = releases.planted(counts or COUNTS, seed)
    releases.add_unpaired(releases.write(folder, rows), releases.examples(rows))


def _settings(way: str) -> StageParams:
    """The project's own parameters for `method` or `method:loss`; no checkpoints, which are not measured."""
    method, _, loss = way.partition(":")
    own = params.load(ROOT / "params.yaml", "train", training.module("train").Params)
    chosen = {"method": method, "monitoring": own.monitoring.model_copy(update={"save_steps": 0})}
    if loss:
        chosen[method] = getattr(own, method).model_copy(update={"loss_type": loss})
    made: StageParams = own.model_copy(update=chosen)
    return made


def judge(root: Path) -> tuple[float, float, float]:
    """Accuracy of the implicit reward, and of the likelihood of reference and of policy, on the test pairs."""
    from trainer.data import encode, release_reader
    from trainer.evaluation import proportions
    from trainer.models import model_io, scoring, training_context

    start, given = root / "data/models/start", root / "data/release"
    (reference, tokenizer), (policy, _) = (model_io.load(str(folder)) for folder in (start, root / "data/models/policy"))
    pairs = encode.encode(release_reader.pairs(given, "test"), tokenizer, training_context.read(start, given).max_length).kept
    before, after = (scoring.score(model, pairs, tokenizer.pad_token_id, 32).margin for model in (reference, policy))
    implicit, first, last = (float(proportions.correctness(margin).mean()) for margin in (after - before, before, after))
    return implicit, first, last


def interval(values: list[float]) -> tuple[float, float]:
    """95 % interval of the mean of a few values (Student's t)."""
    from scipy import stats

    if len(values) < 2:
        return -math.inf, math.inf
    half = float(stats.t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(np.mean(values)) - half, float(np.mean(values)) + half


def summary(runs: list[Run]) -> str:
    """Of each way and kind of labels: mean, range and interval over the seeds."""
    lines = []
    for labels, way in dict.fromkeys((run.labels, run.way) for run in runs):
        found = [run.accuracy for run in runs if (run.labels, run.way) == (labels, way)]
        low, high = interval(found)
        spread = f"from {min(found):.3f} to {max(found):.3f}, 95 % interval of the mean {low:.3f} to {high:.3f}"
        lines.append(f"{way}, labels {labels}, {len(found)} seeds: mean {np.mean(found):.3f}, {spread}\n")
    return "".join(lines)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print one line a run as it ends, then the summary."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.planted", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--ways", nargs="+", default=["dpo"], help="method, or method:loss")
    parser.add_argument("--release", type=Path, help="a release to train on, in place of planted pairs")
    parser.add_argument("--only", nargs="+", choices=LABELS, default=LABELS)
    asked = parser.parse_args()
    runs: list[Run] = []
    sys.stderr.write(HEAD)
    for seed in range(asked.first, asked.first + asked.seeds):
        for labels in asked.only:
            for run in measure(asked.release, seed, labels, asked.ways):
                runs.append(run)
                sys.stderr.write(run.line())
    sys.stdout.write("\n" + HEAD + "".join(run.line() for run in runs) + "\n" + summary(runs))


if __name__ == "__main__":
    main()
