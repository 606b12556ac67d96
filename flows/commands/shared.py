"""What the commands of `pairwright` share: how they are declared, and how they speak."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


class RunFailedError(Exception):
    """The run was told about in full; only its exit code is left to say."""


def command(commands: Commands, name: str, work: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
    """A new command that does `work`; `text` says what it does."""
    made = commands.add_parser(name, help=text, description=f"{text[:1].upper()}{text[1:]}.")
    made.set_defaults(work=work)
    return made


def say(line: str) -> None:
    """One line on stdout, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def complain(message: str) -> None:
    """One line on stderr about a run that failed."""
    sys.stderr.write(f"failed: {message}\n")
