"""`pairwright trace`: a row of the dataset, back to the raw records and on to versions and models."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flows.commands.shared import command, say, say_json
from tasks.core.errors import UserError

if TYPE_CHECKING:
    from flows.commands.shared import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    trace = command(commands, "trace", say_trace, "say where a row of the dataset comes from, and which versions and models have it")
    trace.add_argument("id", help="pair_id, example_id or prompt_id, or the beginning of one")
    trace.add_argument("--json", action="store_true", help="as a JSON document")
    old = commands.add_parser("where")  # its name before; not in the help
    old.add_argument("id", nargs="?")
    old.set_defaults(work=_refuse, anywhere=True)


def say_trace(given: argparse.Namespace) -> None:
    """What is known of one row."""
    from flows.trace import backward, forward, lines

    if not given.id:
        raise UserError("ID", "nothing", "the id of a row", "copy it from the release")
    back = backward.back(given.id)
    on = forward.on(back["column"], back["id"])
    if given.json:
        say_json({**back, "versions": on})
        return
    for line in lines.told(back, on):
        say(line)


def _refuse(given: argparse.Namespace) -> None:
    raise UserError(
        "pairwright where", "an old name", "`pairwright trace`, as it is called now", f"run `pairwright trace {given.id or 'ID'}`"
    )
