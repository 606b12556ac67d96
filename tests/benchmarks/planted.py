"""Measure whether training finds a preference that is there, and none that is not.

    python -m tests.benchmarks.planted [SEEDS]

Makes a release of 1,200 pairs with a preference planted through five independent features and 10 % of the labels turned, trains on
it as the project does, and prints held-out accuracy of policy and reference, then the same with shuffled labels, for each seed.
A perfect judge reaches 0.90 on these held-out pairs. One run on shuffled labels leans to one side by chance, and in all held-out pairs
alike, so that control is to be judged by its mean over seeds, which is printed last.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from pathlib import Path

from tasks.core import params
from tests import releases, training
from tests.conftest import ROOT

COUNTS = {"train": 1200, "validation": 100, "test": 400}


def measure(root: Path, seed: int, shuffle: bool) -> dict[str, float]:
    """Metrics of evaluate, and the CPU seconds that the stages took."""
    before = _cpu()
    releases.write(root / "data/release", releases.planted(COUNTS, seed))
    own = {name: params.load(ROOT / "params.yaml", name, training.module(name).Params) for name in ("start", "reward", "train", "evaluate")}
    own["start"] = own["start"].model_copy(update={"seed": seed, "shuffle_labels": shuffle})
    own["reward"] = own["reward"].model_copy(update={"schedule": own["reward"].schedule.model_copy(update={"max_steps": 1})})  # not shown
    judging = own["evaluate"].model_dump()  # the controls are the benchmark's own, and nothing needs to be written
    judging["control"]["seeds"] = judging["generations"]["prompts"] = 0
    own["evaluate"] = type(own["evaluate"]).model_validate(judging)
    judged = [training.run(root, name, settings) for name, settings in own.items()][-1]
    return {**json.loads((judged / "metrics.json").read_text()), "cpu_seconds": round(_cpu() - before, 1)}


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main(seeds: int) -> None:
    """Print one line a run."""
    shown = ("test_accuracy", "test_likelihood_policy", "test_likelihood_reference", "test_p_implicit", "test_p_likelihood", "test_better")
    control = []
    for seed in range(seeds):
        for shuffle in (False, True):
            with tempfile.TemporaryDirectory() as root:
                figures = measure(Path(root), seed, shuffle)
            line = ", ".join(f"{name} {figures[name]}" for name in (*shown, "cpu_seconds"))
            sys.stdout.write(f"seed {seed}, labels {'shuffled' if shuffle else 'as given'}: {line}\n")
            control += [figures["test_accuracy"]] if shuffle else []
    sys.stdout.write(f"shuffled labels over {seeds} seeds: mean {sum(control) / seeds:.3f}, from {min(control)} to {max(control)}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
