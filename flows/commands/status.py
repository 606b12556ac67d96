"""`pairwright status`: what is stale, and why."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flows import dvc
from flows.commands.shared import add_json, command, say, say_json
from flows.running import lock
from tasks.core import pipeline

if TYPE_CHECKING:
    from flows.commands.shared import Commands

UP_TO_DATE, STALE, WAITS, NEVER, LEFT_OUT, RUNNING = "up to date", "stale", "waiting", dvc.NEVER, "left out", "running"
TO_RUN = "`pairwright run` runs what is not up to date"
TO_PULL = "`pairwright pull` fetches what a remote has"


def add(commands: Commands) -> None:
    """Declare the command."""
    status = command(commands, "status", say_status, "say which stages are stale, and why")
    status.add_argument("stages", nargs="*", metavar="STAGE", help="only these stages (default: all)")
    add_json(status)


def say_status(given: argparse.Namespace) -> None:
    """One line a stage, and one for all of them."""
    told = states(given.stages)
    if given.json:
        say_json({name: {"state": state, "reasons": reasons} for name, (state, reasons) in told.items()})
        return
    if holder := lock.holder():
        say(f"at work here: {holder}")
    for name, (state, reasons) in told.items():
        say(f"{name}: {_line(state, reasons)}")
    if not given.stages:
        say(summary(told))


def states(names: list[str]) -> dict[str, tuple[str, list[str]]]:
    """Each of these stages, or of all, with its state and the reasons."""
    running = dvc.at_work()  # first: what ends meanwhile is up to date
    changed, away, never = dvc.stale(names, looking=True), dvc.left_out(looking=True), dvc.never_run()
    late = dvc.waiting({**(dvc.stale(looking=True) if names else changed), **running})
    found: dict[str, tuple[str, list[str]]] = {}
    for name in names or pipeline.stages():
        if name in running:
            found[name] = RUNNING, [running[name]]
        elif name in away:
            found[name] = LEFT_OUT, [line.removesuffix(" deleted") for line in away[name]]
        elif name in never:
            found[name] = NEVER, list[str]()
        elif name in changed:
            found[name] = STALE, changed[name]
        else:
            found[name] = (WAITS, [late[name]]) if name in late else (UP_TO_DATE, [])
    return found


def _line(state: str, reasons: list[str]) -> str:
    words = {LEFT_OUT: "left out: private and not on this machine: ", STALE: "stale: ", RUNNING: "running: ", WAITS: "waits for "}
    return words.get(state, state) + ", ".join(reasons)


def summary(told: Mapping[str, tuple[str, list[str]]]) -> str:
    """How many stages are in which state, and what to do about it."""
    counts = Counter(state for state, _ in told.values())
    remedies = [TO_RUN] if counts.keys() & {STALE, WAITS, NEVER} else []
    remedies += [TO_PULL] if counts[NEVER] and dvc.has_remote() else []
    return "; ".join([", ".join(f"{count} {state}" for state, count in counts.items()), *remedies])
