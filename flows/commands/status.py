"""`pairwright status`: what is stale, and why."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flows import dvc
from flows.commands.shared import command, say
from flows.running import lock
from tasks.core import pipeline

if TYPE_CHECKING:
    from flows.commands.shared import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    status = command(commands, "status", say_status, "say which stages are stale, and why")
    status.add_argument("stages", nargs="*", metavar="STAGE", help="only these stages (default: all)")


def say_status(given: argparse.Namespace) -> None:
    """One line a stage: up to date, stale with its reasons, running, waiting for one before it, or left out with what is not here."""
    running = dvc.at_work()  # first: what ends meanwhile is up to date
    changed, away = dvc.stale(given.stages, looking=True), dvc.left_out(looking=True)
    late = dvc.waiting({**(dvc.stale(looking=True) if given.stages else changed), **running})
    if holder := lock.holder():
        say(f"at work here: {holder}")
    for name in given.stages or pipeline.stages():
        if name in running:
            say(f"{name}: running: {running[name]}")
        elif name in away:
            say(f"{name}: left out: private and not on this machine: {', '.join(line.removesuffix(' deleted') for line in away[name])}")
        elif name in changed:
            say(f"{name}: stale: {', '.join(changed[name])}")
        else:
            say(f"{name}: " + (f"waits for {late[name]}" if name in late else "up to date"))
