"""`pairwright init`: a workspace for the installed package."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from flows import installed
from flows.commands.shared import command, say

if TYPE_CHECKING:
    from flows.commands.shared import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "make a workspace for the installed package: its path, its parameters, and git"
    init = command(commands, "init", make_workspace, text, anywhere=True)
    init.add_argument("folder", metavar="DIR", type=Path, help="a new or an empty folder")


def make_workspace(given: argparse.Namespace) -> None:
    """Make a workspace, and say what comes next."""
    raw = installed.init(given.folder)
    say(f"made {given.folder}: dvc.yaml is the path of the data, params.yaml has every number and switch")
    say(f"put chat logs and feedback into {raw}, then: cd {given.folder} && pairwright check && pairwright run")
