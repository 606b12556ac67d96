"""`pairwright export`: a release in the form of another trainer."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands.shared import command, say
from tasks.core import pipeline
from tasks.core.shell import capture_warnings

if TYPE_CHECKING:
    from flows.commands.shared import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    export = command(commands, "export", export_release, "write a release for another trainer, with what runs it")
    export.add_argument(
        "trainer", metavar="TRAINER", help="llamafactory, openrlhf or verl; or croissant, a description for catalogues and loaders"
    )
    export.add_argument("--to", metavar="DIR", type=Path, required=True, help="folder to write: a new one, or an earlier export")
    export.add_argument("--base", metavar="NAME", help="model to train, in place of start.model.source")


def export_release(given: argparse.Namespace) -> None:
    """Write the release in the form of another trainer."""
    release = pipeline.stage("release").output
    for line in capture_warnings("export", lambda: list(_written(given, release))):
        say(line)


def _written(given: argparse.Namespace, release: Path) -> Iterator[str]:
    """Write it; what it holds, line by line."""
    from flows.versions import croissant  # imports Arrow, as exports do

    if given.trainer == croissant.TRAINER:
        return croissant.export(release, given.to)
    from trainer.exports import export

    return export.write(given.trainer, release, given.to, given.base)
