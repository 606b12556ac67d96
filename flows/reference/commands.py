"""The page of commands: what `pairwright --help` says, the commands of one stage, and `make`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from flows.cli import build_parser
from flows.exit_codes import MEANING
from flows.reference.markdown import page, sentence, table, text
from tasks.core import pipeline

LEAD = (
    "All commands run in a workspace, or in any folder of one: they find its root upwards. `pairwright COMMAND --help` says the same as "
    "this page."
)
STAGES = (
    "`dvc repro STAGE` runs a stage and what it needs, as far as something changed. The command that it runs can be called alone: it reads "
    "its inputs from disk and replaces its output when it is whole."
)
EXIT_LEAD = (
    "Those of every command; `pairwright` alone shows the help and ends with `2`, as `git` and `dvc` end with their code for wrong usage."
)
TARGET = re.compile(r"^([a-z]+):.*## (.*)$", re.MULTILINE)


def render(root: Path) -> str:
    """The page as Markdown."""
    listed = [(f"`{stage.command}`", text(stage.description)) for stage in pipeline.stages(root).values()]
    targets = [(f"`make {name}`", text(said)) for name, said in TARGET.findall((root / "Makefile").read_text(encoding="utf-8"))]
    return page(
        "Commands",
        LEAD,
        *(_command(name, parser) for name, parser in commands().items()),
        f"## One stage\n\n{STAGES}\n\n" + table(("command", "what it does"), listed),
        f"## Exit codes\n\n{EXIT_LEAD}\n\n" + table(("code", "meaning"), [(f"`{code}`", text(said)) for code, said in MEANING.items()]),
        "## make\n\n" + table(("command", "what it does"), targets),
    )


def commands() -> dict[str, argparse.ArgumentParser]:
    """The commands of `pairwright` by name."""
    actions = build_parser()._actions  # argparse lists its commands nowhere else
    (chosen,) = (action for action in actions if isinstance(action, argparse._SubParsersAction))
    return dict(chosen.choices)


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    given = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    usage = " ".join(["pairwright", name, *(_usage(action) for action in given)])
    rows = [(f"`{_shown(action)}`", text(_help(action))) for action in given]
    parts = [f"## pairwright {name}", sentence(text(parser.description or "")), f"```sh\n{usage}\n```"]
    return "\n\n".join([*parts, table(("argument", "meaning"), rows)] if rows else parts)


def _shown(action: argparse.Action) -> str:
    """An argument as it is typed."""
    value = action.metavar or action.dest
    if not action.option_strings:
        return str(value)
    return action.option_strings[-1] + ("" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}")


def _usage(action: argparse.Action) -> str:
    needed = action.required and action.nargs != "*"
    return _shown(action) if needed else f"[{_shown(action)}{' ...' if action.nargs == '*' else ''}]"


def _help(action: argparse.Action) -> str:
    """Its help, with the default put in."""
    return (action.help or "") % {"default": action.default, "prog": "pairwright"}
