"""Training finds a preference that is there in spite of turned labels, and none where the labels are shuffled. Slow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import planted
from tests.builders.training import run, tiny

SEEDS = range(6)
MODEL = {"model__hidden_size": 48, "model__intermediate_size": 96, "model__num_hidden_layers": 2, "model__vocab_size": 512}
SCHEDULE = {"max_steps": 60, "train_batch_size": 8, "per_device_train_batch_size": 8}


@pytest.mark.slow
def test_dpo_finds_a_planted_preference_under_ten_percent_of_turned_labels() -> None:
    (told,) = planted.measure(None, seed=0, labels="given", ways=["dpo"])
    assert told.accuracy >= 0.8
    assert 0.4 <= told.reference <= 0.6


@pytest.mark.slow
def test_shuffled_labels_teach_a_preference_by_chance_only(tmp_path: Path) -> None:
    # One run on noise leans to one side by chance, and leans in all held-out pairs alike: only the mean over seeds is near one half.
    found = [_judged(tmp_path / f"{seed}", seed) for seed in SEEDS]
    low, high = planted.interval(found)
    assert low < 0.5 < high
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


def _judged(root: Path, seed: int) -> float:
    """Accuracy of a tiny policy that learned from shuffled labels."""
    planted.lay(root, None, seed, {"train": 800, "validation": 20, "test": 200})
    schedule = {f"schedule__{name}": value for name, value in SCHEDULE.items()}
    run(root, "start", tiny("start", seed=seed, shuffle_labels=True, schedule__learning_rate=0.004, **MODEL, **schedule))
    run(root, "train", tiny("train", dpo__schedule__learning_rate=0.002, **{f"dpo__{name}": value for name, value in schedule.items()}))
    return planted.judge(root)[0]
