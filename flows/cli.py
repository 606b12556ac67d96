"""The command `pairwright`: `pairwright --help` lists what it can do, a module of `flows.commands` each.

Prefect is imported only when something must run, so a run that has nothing to do takes a second.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import os
import re
import signal
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from flows import exit_codes, workspace
from flows.commands import chat, check, export, forget, gates, init, plan, publish, pull, run, serve, status, trace, verify, versions
from flows.commands.shared import RunFailedError, say, say_lines
from tasks.core.errors import UserError
from tasks.core.shell import guarded

COMMANDS = (
    init,
    check,
    plan,
    run,
    publish,
    pull,
    verify,
    serve,
    status,
    versions,
    trace,
    gates,
    forget,
    chat,
    export,
)  # in the order of the help
NAME = "pairwright"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the command; the exit code."""
    parser = build_parser()
    wanted = list(sys.argv[1:] if arguments is None else arguments)
    if not wanted:
        say_lines(parser.format_help().rstrip())
        return exit_codes.USAGE
    given = parser.parse_args(wanted)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return guarded(lambda: _do(given))
    except RunFailedError as failure:
        return failure.code
    except BrokenPipeError:  # whoever read our output, `head` for instance, has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.NOBODY_READS
    except KeyboardInterrupt:
        say("stopped; earlier outputs are as they were")
        return exit_codes.INTERRUPTED


def _do(given: argparse.Namespace) -> None:
    try:
        if not given.anywhere:
            workspace.enter(given)
        given.work(given)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        remedy = "ask their owner, or work in a copy of your own"
        raise UserError(str(error.filename or Path.cwd()), "no permission", "files that you may read and write", remedy) from error


class _Parser(argparse.ArgumentParser):
    """A parser that names the command or option that a wrong one is nearest to."""

    def error(self, message: str) -> NoReturn:
        wrong = re.search(r"invalid choice: '(.*?)' \(|unrecognized arguments: (\S+)", message)
        near = difflib.get_close_matches(wrong[1] or wrong[2], self._known(), 1) if wrong else []
        super().error(message + (f"; did you mean `{near[0]}`?" if near else ""))

    def _known(self) -> list[str]:
        choices = [str(choice) for action in self._actions for choice in action.choices or ()]
        return [*choices, *(option for action in self._actions for option in action.option_strings)]


def build_parser() -> argparse.ArgumentParser:
    """The command line: what `--help` says, and what the page of commands is made from."""
    parser = _Parser(
        prog=NAME,
        description="Raw chat logs and feedback in, a preference dataset and a trained model out. "
        "Run it in a workspace, or in any folder of one.",
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {metadata.version(NAME)}", help="say the version and end")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    for one in COMMANDS:
        one.add(commands)
    return parser


def _terminated(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
