"""`pairwright plan` beside what a training takes: peak memory of a process less what it had before it began, for three sizes of models.

    python -m tests.benchmarks.planned_memory

Each size is a process of its own that runs the real stage on a made release, on the CPU; the plan is for its longest row. The baseline is
what the process holds when all is imported and a first, tiny training is done. Prints planned and measured bytes and their ratio.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.builders import releases
from tests.builders.training import run, tiny
from tests.conftest import ROOT
from trainer.data import encode, release_reader
from trainer.models import model_io
from trainer.planning import estimate

WINDOW, ROWS = 128, 2
# Name: the stage, and the model's width, inner width, layers and heads.
SIZES: dict[str, tuple[str, tuple[int, int, int, int]]] = {
    "small": ("start", (256, 1024, 4, 4)),
    "medium": ("train", (384, 1536, 8, 6)),
    "large": ("train", (640, 2560, 8, 10)),
}
NEAR = 0.15  # of what is measured


def parameters(measures: tuple[int, int, int, int]) -> tuple[Any, Any, Any]:
    """Parameters of start, reward and train for a model of these measures."""
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    own = {f"model__{name}": value for name, value in zip(names, measures, strict=True)}
    rows = {"train_batch_size": ROWS, "per_device_train_batch_size": ROWS, "max_steps": 3}
    learnt = {f"schedule__{name}": value for name, value in rows.items()}
    still = {"monitoring__save_steps": 0}
    start = tiny("start", max_length=WINDOW, threads=1, model__vocab_size=4096, **own, **learnt, **still)
    return start, tiny("reward", **learnt, **still), tiny("train", **{f"dpo__{name}": value for name, value in learnt.items()}, **still)


def rows(count: int, words: int) -> list[dict[str, Any]]:
    """Pairs whose prompts and answers have about so many tokens each: a number is a token or two."""
    made = [releases.row(_text(at, words), _text(at + 1, words), _text(at + 2, words), "train") for at in range(count)]
    return made + [releases.row(_text(7, 4), _text(8, 4), _text(9, 4), split) for split in ("validation", "test")]


def _text(at: int, words: int) -> str:
    return " ".join(f"w{(at * 31 + place * 7) % 97}" for place in range(words))


def measured(name: str) -> dict[str, float]:
    """Planned and measured bytes of one size; to be run in a process of its own."""
    stage, measures = SIZES[name]
    start, reward, train = parameters(measures)
    with tempfile.TemporaryDirectory() as scratch:
        _through(Path(scratch) / "warm", stage, parameters((32, 64, 1, 2)), [])
        before: list[int] = []
        _through(Path(scratch) / "real", stage, (start, reward, train), before)
        peak = _status("VmHWM")
        config = _config(Path(scratch) / "real")
        start = start.model_copy(update={"max_length": _longest(Path(scratch) / "real")})
    (need,) = (one for one in estimate.needs(config, start, reward, train) if one.stage == stage)
    return {"parameters": need.parameters, "planned": need.peak, "measured": peak - before[0]}


def _through(root: Path, stage: str, given: tuple[Any, Any, Any], before: list[int]) -> None:
    """Run the stage below a root; memory is looked at when what stands before it is done."""
    releases.write(root / "data/release", rows(16, 16))
    start, _, train = given
    if stage == "train":
        (root / "data/models/reward").mkdir(parents=True)
        run(root, "start", start.model_copy(update={"schedule": start.schedule.model_copy(update={"num_train_epochs": 0})}))
    _trim()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before.append(_status("VmRSS"))
    run(root, stage, start if stage == "start" else train)


def _trim() -> None:
    """Hand back what is freed, which a training keeps for its next step."""
    import ctypes
    import gc

    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def _config(root: Path) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(root / "data/models/start")


def _longest(root: Path) -> int:
    """Tokens of the longest row that was trained on."""
    made = model_io.tokenizer(str(root / "data/models/start"), "start")
    return max(row.length for row in encode.encode(release_reader.pairs(root / "data/release", "train"), made, WINDOW).kept)


def _status(name: str) -> int:
    """Bytes of a line in `/proc/self/status`."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def figures(name: str) -> dict[str, float]:
    """What one size takes, from a process of its own."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tasks/library'}", "PAIRWRIGHT_DEVICE": "cpu"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.planned_memory", name]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Print a line a size; 1 where a plan is further away than it may be."""
    far = False
    for name, (stage, _) in SIZES.items():
        found = figures(name)
        ratio = found["planned"] / found["measured"]
        far |= abs(ratio - 1) > NEAR
        sizes = " ".join(f"{key} {found[key] / 2**20:,.0f} MiB" for key in ("planned", "measured"))
        sys.stdout.write(f"{name:8} {stage:6} {found['parameters']:>12,} parameters  {sizes}  ratio {ratio:.2f}\n")
        sys.stdout.flush()
    return int(far)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.stdout.write(json.dumps(measured(sys.argv[1])) + "\n")
    else:
        sys.exit(main())
