"""`pairwright plan`: how large the model is and what its training takes in memory, before anything is loaded."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from flows.commands.shared import add_json, command, say, say_json

if TYPE_CHECKING:
    from flows.commands.shared import Commands
    from trainer.planning.estimate import Need

HEAD = ("stage", "how", "trained", "weights", "gradients", "optimizer", "activations", "peak")
GIB = 2**30


def add(commands: Commands) -> None:
    """Declare the command."""
    made = command(commands, "plan", say_plan, "say how large the model is and what its training takes in memory, without loading it")
    made.add_argument("--config", metavar="FILE", help="a config.json to plan for, in place of the model in start.model.source")
    add_json(made)


def say_plan(given: argparse.Namespace) -> None:
    """A line about the model, then the table of stages; with `--json` one document, in bytes."""
    from tasks.core import params
    from tasks.core.shell import PARAMS
    from trainer import reward, start, train
    from trainer.planning import estimate

    own, judge = params.load(PARAMS, "start", start.Params), params.load(PARAMS, "reward", reward.Params)
    config = estimate.config_of(own, given.config)
    found = estimate.needs(config, own, judge, params.load(PARAMS, "train", train.Params))
    if given.json:
        say_json({"model_type": config.model_type, "dtype": own.dtype, "needs": [asdict(need) for need in found]})
        return
    say_table(found, f"{given.config or own.model.source} ({config.model_type}), computed in {own.dtype}")


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
