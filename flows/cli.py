"""The command `pairwright`: `pairwright --help` lists what it can do, a module of `flows.commands` each.

Prefect is imported only when something must run, so a run that has nothing to do takes a second.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from flows.commands import chat, export, forget, gates, init, publish, pull, run, serve, status, trace, versions
from flows.commands.shared import RunFailedError, say
from tasks.core.shell import guarded

COMMANDS = (init, run, publish, pull, serve, status, versions, trace, gates, forget, chat, export)  # in the order of the help


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command; the exit code."""
    given = build_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return guarded(lambda: given.work(given))
    except RunFailedError:
        return 1
    except BrokenPipeError:  # whoever read our output, `head` for instance, has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        say("stopped; earlier outputs are as they were")
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The command line: what `--help` says, and what the page of commands is made from."""
    parser = argparse.ArgumentParser(
        prog="pairwright",
        description="Raw chat logs and feedback in, a preference dataset and a trained model out. Run it in the project's folder.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for one in COMMANDS:
        one.add(commands)
    return parser


def _terminated(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
