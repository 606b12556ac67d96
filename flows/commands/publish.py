"""`pairwright publish`: what lies here, as a version."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flows.commands.shared import command, say
from flows.running import lock
from flows.versions import publish

if TYPE_CHECKING:
    from flows.commands.shared import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    made = command(commands, "publish", publish_here, "commit, tag and push the release as it lies here, and bring what remotes are owed")
    made.add_argument("--model", action="store_true", help="then the model too, as it lies here")


def publish_here(given: argparse.Namespace) -> None:
    """Publish the dataset, and the model if asked."""
    with lock.hold("pairwright publish"):
        say_published(model=given.model)


def say_published(*, model: bool) -> None:
    """Publish, and say what became of it."""
    for work in (publish.dataset, *([publish.model] if model else [])):
        result = work(say)
        say(f"{result.state}: {result.message}")
