"""PPO on a release, from the project's own start and reward model: whether the reward rises, at which divergence and length.

    python -m tests.benchmarks.ppo RELEASE [--prompts 128] [--keep FOLDER]

Trains start, reward model and policy with `params.yaml` (seconds are CPU seconds of this process), then lets start and policy answer the
same validation prompts. Preference accuracy is that of log-probabilities on the test pairs, as in `evaluate`. A rising reward says that
the policy learnt what the reward model likes, which need not be what people like.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from tests.builders import training
from tests.conftest import ROOT
from trainer.data import encode, release_reader
from trainer.evaluation.proportions import correctness
from trainer.methods import ppo_math, ppo_rollouts
from trainer.models import model_io, reward_models, scoring, typed


def main() -> int:
    """Print one table."""
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="pairwright-ppo-") as scratch:
        root = options.keep or Path(scratch)
        (root / "data").mkdir(parents=True, exist_ok=True)
        if not (root / "data/release").exists():
            (root / "data/release").symlink_to(options.release.resolve())
        seconds = {name: made(root, name) for name in ("start", "reward", "train")}
        lines = [json.loads(line) for line in (root / "data/models/policy/metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        sys.stdout.write(updates(lines) + "\n" + models_table(root, options.prompts))
    sys.stdout.write("\nCPU seconds: " + ", ".join(f"{name} {value:.0f}" for name, value in seconds.items()) + "\n")
    return 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.ppo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("release", type=Path, help="folder of a release")
    parser.add_argument("--prompts", type=int, default=128, help="validation prompts that both models answer")
    parser.add_argument("--keep", type=Path, help="root in which models are made, and not made again")
    return parser.parse_args()


def made(root: Path, name: str) -> float:
    """Run a stage if its model is not there yet; CPU seconds."""
    began = time.process_time()
    if not (training.stage(name, root).output / "metrics.json").exists():
        document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))[name]
        if name == "train":
            document["method"] = "ppo"
        training.run(root, name, training.module(name).Params.model_validate(document))
    return time.process_time() - began


def updates(lines: list[dict[str, Any]]) -> str:
    """Means over the first and the last four updates."""
    names = ("reward", "kl", "length", "ended", "entropy", "clip_fraction", "kl_coefficient")
    rows = [f"{'updates':<12}" + "".join(f"{name:>16}" for name in names)]
    for title, part in (("first four", lines[:4]), ("last four", lines[-4:])):
        rows.append(f"{title:<12}" + "".join(f"{sum(line[name] for line in part) / len(part):>16.3f}" for name in names))
    return "\n".join(rows) + f"\nlargest KL of {len(lines)} updates: {max(line['kl'] for line in lines):.3f}\n"


def models_table(root: Path, prompts: int) -> str:
    """Start and policy on the same validation prompts and the same test pairs."""
    rows = [f"{'model':<12}{'reward':>16}{'kl':>16}{'length':>16}{'ended':>16}{'accuracy':>16}"]
    folders = {name: root / "data/models" / name for name in ("start", "policy")}
    for name, folder in folders.items():
        figures = measured(folder, folders["start"], root, prompts)
        rows.append(f"{name:<12}" + "".join(f"{value:>16.3f}" for value in figures))
    return "\n".join(rows) + "\n"


def measured(folder: Path, reference: Path, root: Path, count: int) -> tuple[float, ...]:
    """Mean reward, KL, length and share of ended answers; preference accuracy on the test pairs."""
    import torch

    own = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    window, how = own["start"]["max_length"], own["train"]["ppo"]
    model, tokenizer = model_io.load(str(folder))
    first, _ = model_io.load(str(reference))
    reward, _ = reward_models.load(root / "data/models/reward")
    given, _ = encode.encode_prompts(release_reader.prompts(root / "data/release", "validation"), tokenizer, window - how["max_new_tokens"])
    torch.manual_seed(0)
    end = tokenizer.eos_token_id
    writing = ppo_rollouts.SamplingConfig([end], tokenizer.pad_token_id, how["max_new_tokens"], how["temperature"], 64)
    sequences = ppo_rollouts.write(typed.evaluating(model), given[:count], writing)
    scores = reward_models.score(reward, sequences.rows([end]), tokenizer.pad_token_id, 64)
    with torch.no_grad():
        says, said = (ppo_rollouts.log_probabilities(typed.evaluating(one), sequences, how["temperature"])[0] for one in (model, first))
    kl = ppo_math.total(says - said, sequences.answered).item() / len(scores)
    pairs = encode.encode(release_reader.pairs(root / "data/release", "test"), tokenizer, window).kept
    accuracy = correctness(scoring.score(model, pairs, tokenizer.pad_token_id, 32).margin).mean()
    return float(scores.mean()), kl, sequences.answered.sum().item() / len(scores), sequences.ended.float().mean().item(), float(accuracy)


if __name__ == "__main__":
    sys.exit(main())
