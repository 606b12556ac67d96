"""`pairwright status`: what is stale, and why."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flows import dvc
from flows.commands.shared import command, say
from tasks.core import pipeline

if TYPE_CHECKING:
    from flows.commands.shared import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    status = command(commands, "status", say_status, "say which stages are stale, and why")
    status.add_argument("stages", nargs="*", metavar="STAGE", help="only these stages (default: all)")


def say_status(given: argparse.Namespace) -> None:
    """One line a stage: up to date, stale with its reasons, waiting for one before it, or left out with what is not here."""
    changed, away = dvc.stale(given.stages), dvc.left_out()
    late = dvc.waiting(dvc.stale() if given.stages else changed)
    for name in given.stages or pipeline.stages():
        if name in away:
            say(f"{name}: left out: private and not on this machine: {', '.join(line.removesuffix(' deleted') for line in away[name])}")
        elif name in changed:
            say(f"{name}: stale: {', '.join(changed[name])}")
        else:
            say(f"{name}: " + (f"waits for {late[name]}" if name in late else "up to date"))
