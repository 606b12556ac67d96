"""`pairwright versions`, `diff` and `rollback`: the dataset's versions, what differs between two, and the way back to one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands.shared import command, say, say_json, say_lines

if TYPE_CHECKING:
    from flows.commands.shared import Commands

SHOWN = 20  # changed pairs that are listed where nobody says how many


def add(commands: Commands) -> None:
    """Declare the commands."""
    versions = command(commands, "versions", say_versions, "list the versions of the dataset, with their pairs and models")
    versions.add_argument("--json", action="store_true", help="as a JSON document")
    diff = command(commands, "diff", say_difference, "say which pairs differ between two versions, and why")
    for name in ("before", "after"):
        diff.add_argument(name, metavar=name.upper(), help="a version's tag or number, a commit, or `workspace`")
    form = diff.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as a JSON document, with every changed pair")
    form.add_argument("--html", metavar="FILE", type=Path, help="write a page that shows it")
    diff.add_argument("--rows", type=_count, default=SHOWN, metavar="N", help="changed pairs to list (default %(default)s)")
    diff.add_argument("--texts", action="store_true", help="show the redacted texts of the listed pairs too")
    diff.add_argument("--step", type=_step, metavar="X", help="smallest change of a confidence or weight that counts (default 0.01)")
    rollback = command(commands, "rollback", go_back, "go back to a version's dataset, parameters and splits, as a new commit")
    rollback.add_argument("version", metavar="VERSION", help="the version's tag or number")


def say_versions(given: argparse.Namespace) -> None:
    """The table of versions."""
    from flows.versions import listing

    for line in [listing.as_json()] if given.json else listing.table():
        say_lines(line)


def say_difference(given: argparse.Namespace) -> None:
    """What differs between two versions, in the form that is asked for."""
    from flows.changes import difference, evidence, lines, page
    from flows.changes.matching import STEP
    from flows.versions.stored import opened

    with opened(given.before, given.after) as versions:
        before, after = (evidence.gather(version) for version in versions)
    made = difference.compare(before, after, STEP if given.step is None else given.step)
    texts = difference.texts(made, before, after, given.rows) if given.texts else {}
    if given.json:
        say_json(difference.as_json(made, texts))
    elif given.html:
        given.html.write_text(page.render(made, given.rows, texts), encoding="utf-8")
        say(f"wrote {given.html}: {', '.join(f'{made.count(kind):,} {kind}' for kind in difference.KINDS)}")
    else:
        for line in lines.told(made, given.rows, texts):
            say(line)


def go_back(given: argparse.Namespace) -> None:
    """Go back to a version."""
    from flows.versions import rollback

    for line in rollback.back_to(given.version):
        say(line)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def _step(text: str) -> float:
    if not 0 <= (value := float(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to below 1")
    return value
