"""`pairwright forget`: what is known of a person, a tombstone that keeps them out of every later build, and the purge of what is left."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands.shared import aside, command, say, say_json
from flows.running import lock
from tasks.core.errors import UserError

if TYPE_CHECKING:
    from flows.commands.shared import Commands
    from flows.erasure.known import Known
    from flows.erasure.subject import Subject

STDIN = "-"
NEXT = "the next build leaves out every row of theirs: run `pairwright run`, and commit {} with dvc.lock"


def add(commands: Commands) -> None:
    """Declare the command."""
    forget = command(
        commands, "forget", run, "say what is known of a person, keep them out of later builds, and purge what is left of them"
    )
    who = forget.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", metavar="HASH", help="the person, by the hash that tables carry (user_id, annotator)")
    who.add_argument(
        "--raw-id", metavar="ID", help="the person, by the id in the raw logs; - reads it from stdin, so that no shell keeps it"
    )
    who.add_argument("--conversation", metavar="ID", help="one conversation, by its id in the log or in the tables")
    who.add_argument("--older-than", metavar="DAYS", type=int, help="conversations whose last message is older than so many days")
    forget.add_argument(
        "--purge", action="store_true", help="also delete what is left of them in raw logs, earlier versions, models and logs"
    )
    forget.add_argument("--backup", metavar="DIR", type=Path, help="keep the raw files that a purge writes anew or removes")
    forget.add_argument("--yes", action="store_true", help="do not ask")
    forget.add_argument("--json", action="store_true", help="say what is known as JSON")


def run(given: argparse.Namespace) -> None:
    """Show, ask, write the tombstone, purge."""
    from flows.erasure import known

    _check(given)
    whom = _subject(given)
    found = known.look(whom)
    _show(found, as_json=given.json)
    if not (given.yes or _agreed(given.purge)):
        return
    with lock.hold("pairwright forget"):
        _forget(given, whom, aside if given.json else say)


def _forget(given: argparse.Namespace, whom: Subject, told: Callable[[str], object]) -> None:
    from flows.erasure import purge, subject

    path = subject.bury(whom)
    told(f"tombstone: {path}: {NEXT.format(path)}")
    for line in purge.purge(whom, given.backup) if given.purge else ():
        told(f"purge: {line}")


def _check(given: argparse.Namespace) -> None:
    if given.backup and not given.purge:
        raise UserError("--backup", "no --purge", "a purge, which alone writes raw files", "add --purge, or leave --backup out")
    if given.older_than is not None and given.older_than < 1:
        raise UserError("--older-than", str(given.older_than), "a number of days from 1", "correct it")


def _subject(given: argparse.Namespace) -> Subject:
    from flows.erasure import retention, subject

    today = dt.datetime.now(dt.UTC).date()
    if given.older_than is not None:
        return subject.of_age(retention.cut_off(given.older_than, today))
    if given.conversation is not None:
        return subject.of_conversation(_text("--conversation", given.conversation), today)
    if given.raw_id is not None:
        return subject.of_raw_id(_text("--raw-id", given.raw_id), today)
    return subject.of_user(_text("--user", given.user), today)


def _text(option: str, value: str) -> str:
    """What was given, or stands on stdin."""
    found = sys.stdin.readline().strip() if value == STDIN else value.strip()
    if not found:
        raise UserError(option, "nothing", "an id", f"give it, or write it on stdin after `{option} -`")
    return found


def _show(found: Known, *, as_json: bool) -> None:
    if as_json:
        say_json(found.document())
        return
    for line in found.lines():
        say(line)
    if not found:
        say("nothing is known of them here")


def _agreed(purge: bool) -> bool:
    """Whether the person at the terminal says yes; without a terminal nothing is done."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        say("nothing was done: add --yes to write the tombstone" + (" and to purge" if purge else ""))
        return False
    what = "Write the tombstone, and delete what can be deleted for good?" if purge else "Write the tombstone?"
    return input(f"{what} [y/N] ").strip().lower() in ("y", "yes")
