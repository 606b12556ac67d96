"""Whether a command would be understood: its subcommand, options and arguments, as the program's own parser has them. Runs nothing."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache

from dvc.cli.parser import get_main_parser

from flows.cli import build_parser
from tests.conftest import ROOT

ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
PLACEHOLDER = re.compile(r"[A-Z]+")  # stands for a word of the reader's
ENDS = ("&&", ";", "|", ">")


def faults(text: str) -> Iterator[str]:
    """What the programs named in a line would not understand; nothing for programs that have no parser here."""
    for words in _calls(text):
        program = words[0].removeprefix(".venv/bin/")
        if program in READERS:
            yield from (f"`{text}`: {fault}" for fault in READERS[program](words[1:]))


def _calls(text: str) -> Iterator[list[str]]:
    """The programs that a line calls, each with its words."""
    call: list[str] = []
    for word in [*shlex.split(text, comments=True), ";"]:
        if word in ENDS:
            yield from [call] if call else []
            call = []
        elif call or not ASSIGNMENT.fullmatch(word):
            call.append(word)


def _argparse(parser: argparse.ArgumentParser, words: list[str]) -> Iterator[str]:
    """A subcommand, at any depth, or an option that the parser does not have."""
    known = subcommands(parser)
    word = next((word for word in words if not word.startswith("-")), "")
    if known and word and not PLACEHOLDER.fullmatch(word):
        if word not in known:
            yield f"no subcommand {word}; there are {', '.join(known)}"
        else:
            yield from _argparse(known[word], words[words.index(word) + 1 :])
    elif not known or not word:
        given = {word.strip("[]").partition("=")[0] for word in words if word.strip("[").startswith("--")}
        yield from (f"no option {option}" for option in sorted(given - taken(parser)))


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {
        name: one for action in parser._actions if isinstance(action, argparse._SubParsersAction) for name, one in action.choices.items()
    }


def taken(parser: argparse.ArgumentParser) -> set[str]:
    """The options of a command."""
    return {option for action in parser._actions for option in action.option_strings}


def _pairwright(words: list[str]) -> Iterator[str]:
    return _argparse(build_parser(), words)


def _dvc(words: list[str]) -> Iterator[str]:
    return _argparse(_dvc_parser(), words)


@cache
def _dvc_parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = get_main_parser()
    return parser


def _make(words: list[str]) -> Iterator[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, _, value = word.partition("=")
        if value or word.endswith("="):
            yield from [] if f"$({name})" in makefile else [f"no variable {name}"]
        elif not PLACEHOLDER.fullmatch(word) and not re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE):
            yield f"no target {word}"


def _git(words: list[str]) -> Iterator[str]:
    if words and words[0] not in _git_commands():
        yield f"no subcommand {words[0]}"


@cache
def _git_commands() -> tuple[str, ...]:
    done = subprocess.run(["git", "--list-cmds=main"], capture_output=True, text=True, check=True)
    return tuple(done.stdout.split())


def _python(words: list[str]) -> Iterator[str]:
    """Faults of a module or script of ours that is not there."""
    if words[:1] == ["-m"]:
        path = ROOT / words[1].replace(".", "/")
        if words[1].split(".")[0] in ("tasks", "trainer", "flows", "tests", "docs") and not _is_run(path):
            yield f"no module {words[1]}"
    elif words and words[0].endswith(".py") and not (ROOT / words[0]).is_file():
        yield f"no file {words[0]}"


def _is_run(path: object) -> bool:
    place = ROOT / str(path)
    return place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()


READERS = {"pairwright": _pairwright, "dvc": _dvc, "make": _make, "git": _git, "python": _python}
