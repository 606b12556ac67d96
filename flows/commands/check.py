"""`pairwright check`: what can be known to go wrong before anything runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flows.commands.shared import RunFailedError, add_json, aside, command, say, say_json, say_marked
from flows.preflight.finding import Finding, counted, errors, warnings

if TYPE_CHECKING:
    from flows.commands.shared import Commands

MARKS = {"ok": ("ok", "green"), "warning": ("??", "yellow"), "error": ("!!", "red")}
WIDTH = 12  # of the topics


def add(commands: Commands) -> None:
    """Declare the command."""
    add_json(command(commands, "check", say_findings, "look for what would go wrong, in seconds and before anything runs"))


def say_findings(given: argparse.Namespace) -> None:
    """A line for each finding, then one for all of them; fails where a run would."""
    from flows.preflight import checks

    found = checks.all_findings()
    wrong, odd = errors(found), warnings(found)
    if given.json:
        say_json({"errors": len(wrong), "warnings": len(odd), "findings": [finding.document() for finding in found]})
    else:
        for finding in found:
            say_finding(finding)
        say(f"{counted(len(wrong), 'error')}, {counted(len(odd), 'warning')}: " + ("mend the errors first" if wrong else "ready to run"))
    if wrong:
        raise RunFailedError


def say_finding(finding: Finding) -> None:
    """A finding as a person reads it, in colour on a terminal."""
    say_marked(*MARKS[finding.level], f"  {finding.topic:<{WIDTH}} {finding.text}")


def stop_at_errors(found: Iterable[Finding]) -> None:
    """Say what was found to be odd, on stderr, and stop before anything starts where something is wrong."""
    found = list(found)
    for finding in warnings(found):
        aside(f"warning: {finding.topic}: {finding.text}")
    wrong = errors(found)
    for finding in wrong:
        aside(f"error: {finding.text}")
    if wrong:
        raise RunFailedError
