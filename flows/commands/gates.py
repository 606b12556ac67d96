"""`pairwright gates`: this build against the newest published version."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flows.commands.shared import RunFailedError, command, say
from flows.nights.levels import NAMES

if TYPE_CHECKING:
    from flows.commands.shared import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    made = command(commands, "gates", say_gates, "compare this build with the last version; exit code 1 where a gate stops it")
    made.add_argument("--accept", action="append", default=[], choices=NAMES, metavar="GATE", help="let this gate pass, whatever it finds")


def say_gates(given: argparse.Namespace) -> None:
    """The table of gates; its lines that pass are one a gate."""
    from flows.nights import gates
    from flows.nights.telling import NO_VERSION, remedy
    from flows.report import columns

    verdict = gates.judge(given.accept)
    if verdict.against is None:
        say(NO_VERSION)
        return
    say(f"against {verdict.against}:")
    for line in columns([gates.HEAD, *(finding.row for finding in verdict.rows())], left=("gate", "item", "verdict")):
        say(line)
    if verdict.state == gates.STOP:
        say(remedy(verdict))
        raise RunFailedError
