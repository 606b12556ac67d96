"""What the commands of `pairwright` share: how they are declared, and how they speak."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from flows import exit_codes
from tasks.core import visible

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

COLOURS = {"red": 31, "green": 32, "yellow": 33}


class RunFailedError(Exception):
    """The run was told about in full; only its exit code is left to say."""

    def __init__(self, code: int = exit_codes.FAILED) -> None:
        super().__init__(code)
        self.code = code


def command(
    commands: Commands, name: str, work: Callable[[argparse.Namespace], None], text: str, *, anywhere: bool = False
) -> argparse.ArgumentParser:
    """A new command that does `work`; `text` says what it does. Unless it works `anywhere`, it runs in the root of its workspace."""
    made = commands.add_parser(name, help=text, description=f"{text[:1].upper()}{text[1:]}.")
    made.set_defaults(work=work, anywhere=anywhere)
    return made


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option by which a command answers programs."""
    parser.add_argument("--json", action="store_true", help="answer as one JSON document on stdout")


def say(line: str) -> None:
    """One line on stdout, at once; nothing in it acts on the terminal."""
    _write(visible.line(line))


def say_lines(text: str) -> None:
    """The same for text whose line breaks are meant."""
    _write(visible.lines(text))


def say_json(document: object) -> None:
    """One JSON document on stdout: sorted keys, the same bytes for the same answer."""
    say_lines(json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False))


def say_marked(mark: str, colour: str, line: str) -> None:
    """One line on stdout after a mark of ours, which is in colour on a terminal that has any."""
    _write(f"{painted(mark, colour)}{visible.line(line)}")


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def aside(line: str) -> None:
    """One line on stderr."""
    sys.stderr.write(visible.line(line) + "\n")


def complain(message: str) -> None:
    """One line on stderr about a run that failed."""
    aside(f"failed: {message}")


def painted(text: str, colour: str) -> str:
    """The text in colour where a person reads it on a terminal that has any; see https://no-color.org."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else f"\033[{COLOURS[colour]}m{text}\033[0m"
