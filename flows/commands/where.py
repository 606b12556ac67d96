"""`pairwright where`: the raw records behind a row of the dataset."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flows.commands.shared import command, say
from tasks.core.errors import UserError

if TYPE_CHECKING:
    from flows.commands.shared import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    where = command(commands, "where", say_where, "say from which raw records a row of the dataset comes")
    where.add_argument("id", help="pair_id, example_id or prompt_id, or the beginning of one")


def say_where(given: argparse.Namespace) -> None:
    """The raw records behind one row."""
    if not given.id:
        raise UserError("ID", "nothing", "the id of a row", "copy it from the release")
    from flows import report  # reads tables, so it imports Arrow

    for line in report.lineage(given.id):
        say(line)
