"""Choose the settings of the sample's models by the split validation, over seeds; the split test is shown for the committed ones alone.

    PYTHONPATH=data python -m tests.benchmarks.sweep RELEASE [--seeds 3] [--only NAME ...] [--test]

A variant is what is laid over `params.yaml`: of `start` and `train` it makes a policy, of `reward` a reward model; the empty one both.
Starts are shared by all variants that leave them as they are. Mean and standard deviation over seeds of:

- accuracy: pairs told right, as people labelled them; truth: by the planted truth (`tests.builders.sample_truth`), without their errors;
- length, unended, cover, worth, whole, again of the policy's answers, as in `tests.benchmarks.writing`;
- loss of the reward model; CPU seconds of the training.

Above each table stands what a judge without fault would get right of the labels: no accuracy is reliably above that.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core import params
from tests.benchmarks import writing
from tests.builders import sample_truth, training
from tests.conftest import ROOT
from trainer.data import encode, release_reader
from trainer.evaluation import proportions
from trainer.methods import reward_modeling
from trainer.models import reward_models, training_context

COMMITTED = "committed"


def _paced(batch: int, rate: float) -> dict[str, Any]:
    """DPO in batches of so many pairs at such a rate."""
    at = "train.dpo.schedule"
    return {f"{at}.train_batch_size": batch, f"{at}.per_device_train_batch_size": batch, f"{at}.learning_rate": rate}


VARIANTS: dict[str, dict[str, Any]] = {
    COMMITTED: {},
    "batches of 16, half the rate": _paced(16, 0.001),
    "batches of 16": _paced(16, 0.002),
    "two epochs, batches of 16": _paced(16, 0.002) | {"train.dpo.schedule.num_train_epochs": 2},
    "twice the rate": _paced(8, 0.004),
    "beta 0.3": {"train.dpo.beta": 0.3},
    "less of the chosen answers": {"train.dpo.sft_weight": 0.3},
    "more of the chosen answers": {"train.dpo.sft_weight": 1.0},
    "half a start": {"start.schedule.train_batch_size": 8, "start.schedule.per_device_train_batch_size": 8},
    "reward without counts": {"reward.counts.use": False, "reward.schedule.max_steps": 189},
    "reward, counts more careful": {"reward.counts.l2": 100.0},
    "reward, counts less careful": {"reward.counts.l2": 3.0},
    "reward, each token once": {"reward.counts.most": 1},
}
POLICY = ("accuracy", "truth", "length", "unended", "cover", "worth", "whole", "again", "seconds")
REWARD = ("accuracy", "truth", "loss", "seconds")
Figures = dict[str, float]
Overrides = Mapping[str, Any]


def stages(variant: Overrides) -> set[str]:
    """Which of the two models a variant changes."""
    named = {name.split(".")[0] for name in variant} or {"train", "reward"}
    return {"train" if name == "start" else name for name in named}


def settings(name: str, variant: Overrides, seed: int) -> Any:  # every stage has its own
    """A stage's parameters with what the variant says of them, without checkpoints and lines of the log."""
    kind = training.module(name).Params
    document = params.load(ROOT / "params.yaml", name, kind).model_dump(mode="json")
    document["monitoring"] |= {"logging_steps": 10**6, "save_steps": 0}
    if name == "start":
        document["seed"] = seed
    for path, value in variant.items():
        first, *outer, last = path.split(".")
        at = document
        for key in outer if first == name else ():
            at = at[key]
        if first == name:
            at[last] = value
    return kind.model_validate(document)


def made(root: Path, name: str, variant: Overrides, seed: int) -> float:
    """Train one model below `root`; CPU seconds."""
    began = writing.cpu()
    training.run(root, name, settings(name, variant, seed))
    return writing.cpu() - began


def rewards(root: Path, split: str) -> Figures:
    """The figures of the reward model below `root`."""
    context = training_context.of(root / "data/models/start")
    model, tokenizer = reward_models.load(root / "data/models/reward")
    rows = encode.encode(release_reader.pairs(root / "data/release", split), tokenizer, context.max_length).kept
    gaps = reward_modeling.gaps(model, rows, tokenizer.pad_token_id, writing.BATCH)
    return {
        "accuracy": float(proportions.correctness(gaps).mean()),
        "truth": sample_truth.truly(gaps, [row.pair for row in rows]),
        "loss": reward_modeling.loss(gaps),
    }


def measure(given: Path, seed: int, variants: Mapping[str, Overrides], splits: Sequence[str]) -> dict[tuple[str, str, str], Figures]:
    """One seed: the figures by stage, variant and split."""
    found: dict[tuple[str, str, str], Figures] = {}
    shared: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="pairwright-sweep-") as scratch:
        for name, variant in variants.items():
            own = str({key: value for key, value in variant.items() if key.startswith("start.")})
            root = Path(scratch) / f"{len(shared) if own not in shared else list(shared).index(own)}"
            if own not in shared:
                (root / "data").mkdir(parents=True)
                (root / "data/release").symlink_to(given.resolve())
                shared[own] = made(root, "start", variant, seed)
            for stage in sorted(stages(variant)):
                seconds = made(root, stage, variant, seed) + (shared[own] if stage == "train" else 0.0)
                for split in splits if name == COMMITTED else splits[:1]:
                    told = rewards(root, split) if stage == "reward" else writing.judged(root, root / "data/models/policy", split)
                    found[stage, name, split] = told | {"seconds": seconds}
                    sys.stderr.write(f"seed {seed} {stage} {name} {split}: {figures(told)}\n")
    return found


def figures(told: Figures) -> str:
    """All of them in one line."""
    return ", ".join(f"{name} {value:.3f}" for name, value in told.items())


def table(stage: str, split: str, rows: Mapping[tuple[str, str, str], Sequence[Figures]], ceiling: float) -> str:
    """Mean and standard deviation over seeds, a variant a line."""
    names = POLICY if stage == "train" else REWARD
    lines = [f"\n{'policy' if stage == 'train' else 'reward model'} on {split}; a judge without fault: accuracy {ceiling:.3f}, truth 1\n"]
    lines += [f"{'variant':<30}{'n':>3}" + "".join(f"{name:>15}" for name in names) + "\n"]
    for (made_by, name, where), told in rows.items():
        if (made_by, where) == (stage, split):
            values = [np.array([one[key] for one in told]) for key in names]
            lines.append(f"{name:<30}{len(told):>3}" + "".join(f"{value.mean():>9.3f} ±{value.std():.3f}" for value in values) + "\n")
    return "".join(lines) if len(lines) > 2 else ""


def main() -> None:
    """Print the figures of each model as it is measured, then the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sweep", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("release", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=7, help="first seed")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="variants")
    parser.add_argument("--test", action="store_true", help="show the split test, too, for what is committed")
    asked = parser.parse_args()
    splits = ("validation", "test") if asked.test else ("validation",)
    rows: dict[tuple[str, str, str], list[Figures]] = defaultdict(list)
    for seed in range(asked.first, asked.first + asked.seeds):
        for key, told in measure(asked.release, seed, {name: VARIANTS[name] for name in asked.only}, splits).items():
            rows[key].append(told)
    for split in splits:
        ceiling = sample_truth.ceiling(release_reader.pairs(asked.release, split))
        for stage in ("train", "reward"):
            sys.stdout.write(table(stage, split, rows, ceiling))


if __name__ == "__main__":
    main()
