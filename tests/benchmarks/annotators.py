"""Measure what is found out about annotators whose truth is known.

    python -m tests.benchmarks.annotators [SEEDS]

Simulates crowds (5 to 30 % error each, a tenth answering at random) and prints, over the seeds: how often consensus and majority
are right, how well reliability tells who answers at random (area under the curve), and how far stated confidences are off (expected
calibration error, ten bins); then the CPU seconds for a million votes.
"""

from __future__ import annotations

import resource
import sys

import numpy as np
from sklearn.metrics import roc_auc_score

from tasks.aggregate import dawid_skene
from tests.builders import simulated
from tests.builders.consensus_runs import SETTINGS, judged
from tests.builders.simulated import Crowd

CROWDS = {
    "3-7 votes, no ties": Crowd(),
    "3-7 votes, 20 % ties": Crowd(ties=0.2),
    "3 votes, no ties": Crowd(votes=(3, 3)),
    "17 votes a person": Crowd(items=200),
    "416 votes a person": Crowd(items=5000),
}
MILLION = Crowd(people=20_000, items=200_000, votes=(5, 5))


def figures(crowd: Crowd) -> tuple[float, float, float, float]:
    """Share right by consensus and by majority, area under the curve, calibration error."""
    told, _, reliability = judged(crowd)
    ours = simulated.weighed(told, reliability)
    sided = (ours.says != 0) & (told.truth != 0)
    error = simulated.calibration_error(ours.confidence[sided], (ours.says == told.truth)[sided])
    right = [float((says == told.truth).mean()) for says in (ours.says, simulated.majority(told))]
    return right[0], right[1], float(roc_auc_score(told.spammer, -reliability)), error


def main(seeds: int) -> None:
    """Print one line a crowd, and one for speed."""
    sys.stdout.write(f"{'crowd':<24}{'consensus':>10}{'majority':>10}{'AUC mean':>10}{'least':>8}{'ECE mean':>10}{'most':>8}\n")
    for name, crowd in CROWDS.items():
        rows = np.array([figures(Crowd(**{**vars(crowd), "seed": seed})) for seed in range(seeds)])
        mean = rows.mean(axis=0)
        shown = (mean[0], mean[1], mean[2], rows[:, 2].min(), mean[3], rows[:, 3].max())
        sys.stdout.write(
            f"{name:<24}" + "".join(f"{value:>{width}.3f}" for value, width in zip(shown, (10, 10, 10, 8, 10, 8), strict=True)) + "\n"
        )
    acts = simulated.acts(simulated.ballots(MILLION))
    before = _cpu()
    dawid_skene.find(acts, SETTINGS)
    sys.stdout.write(f"{len(acts):,} votes of {MILLION.people:,} people: {_cpu() - before:.1f} CPU s\n")


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
