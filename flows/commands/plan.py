"""`pairwright plan`: how large the model is and what its training takes in memory, before anything is loaded."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands.shared import add_json, command, say, say_json
from tasks.core import whole_file

if TYPE_CHECKING:
    from flows.commands.shared import Commands
    from trainer.planning.estimate import Need

HEAD = ("stage", "how", "trained", "weights", "gradients", "optimizer", "activations", "peak")
GIB = 2**30


def add(commands: Commands) -> None:
    """Declare the command."""
    made = command(commands, "plan", say_plan, "say how large the model is and what its training takes in memory, without loading it")
    made.add_argument("--config", metavar="FILE", help="a config.json to plan for, in place of the model in start.model.source")
    made.add_argument("--model", metavar="PRESET", help="plan as if this preset lay over params.yaml, which stays as it is")
    add_json(made)


def say_plan(given: argparse.Namespace) -> None:
    """A line about the model, then the table of stages; with `--json` one document, in bytes."""
    from tasks.core import params
    from trainer import reward, start, train
    from trainer.planning import estimate

    with _laid(given.model) as path:
        own, judge, method = (
            params.load(path, name, kind.Params) for name, kind in (("start", start), ("reward", reward), ("train", train))
        )
    config = estimate.config_of(own, given.config)
    found = estimate.needs(config, own, judge, method)
    if given.json:
        say_json({"model_type": config.model_type, "dtype": own.dtype, "needs": [asdict(need) for need in found]})
        return
    say_table(found, f"{given.config or own.model.source} ({config.model_type}), computed in {own.dtype}")


@contextmanager
def _laid(preset: str | None) -> Iterator[Path]:
    """The parameters, or a copy of them with a preset laid over."""
    from tasks.core.shell import PARAMS

    if not preset:
        yield PARAMS
        return
    from trainer import presets

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, PARAMS.name)
        whole_file.write(copy, PARAMS.read_bytes() if PARAMS.is_file() else b"")
        presets.lay(preset, copy)
        yield copy


def say_table(found: list[Need], what: str) -> None:
    """The table in GiB, and what it leaves out."""
    from flows.report import columns

    say(f"{what}: {found[0].parameters:,} parameters")
    rows = [_row(need) for need in found]
    for line in columns([HEAD, *rows], left=("stage", "how")):
        say(line)
    say("memory in GiB on each device, for rows that fill the window; Python, torch and CUDA take about 1 GiB more")
    largest = max(found, key=lambda need: need.peak)
    say(f"the largest is {largest.stage} ({largest.how}): lower schedule.per_device_train_batch_size or start.max_length, set")
    say("adapter.gradient_checkpointing to true, or train an adapter (adapter.r, adapter.load_in_4bit), where that is too much")


def _row(need: Need) -> tuple[str, ...]:
    sizes = (need.weights, need.gradients, need.optimizer, need.activations, need.peak)
    return (need.stage, need.how, f"{need.trained:,}", *(f"{size / GIB:.2f}" for size in sizes))
