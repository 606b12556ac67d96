"""`pairwright pull` and `pairwright push`: a version's bytes from the stores, and to them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from flows import dvc, git
from flows.commands.shared import command, say
from flows.running import lock
from flows.storage import private_store, raw_logs, recorded, shared
from tasks.core.errors import UserError

if TYPE_CHECKING:
    from dvc.repo import Repo

    from flows.commands.shared import Commands
    from flows.storage.recorded import Version


def add(commands: Commands) -> None:
    """Declare the commands."""
    pull = command(commands, "pull", pull_version, "put the outputs and the raw logs of a version in place, from the stores that hold them")
    pull.add_argument("--rev", metavar="TAG", help="first check out this tag or commit with git")
    pull.add_argument("--no-models", dest="models", action="store_false", help="leave the models out")
    pull.add_argument("--no-raw", dest="raw", action="store_false", help="leave the raw logs out")
    pull.add_argument("--force", action="store_true", help="move raw logs aside that are not in the version, and replace changed outputs")
    command(commands, "push", push_version, "send outputs to the shared remote, and raw logs to the private store")


def pull_version(given: argparse.Namespace) -> None:
    """Outputs first, then logs; a line for what was left out, and why."""
    with lock.hold("pairwright pull"):
        if given.rev:
            _check_out(given.rev)
        _pull(given)


def _pull(given: argparse.Namespace) -> None:
    with dvc.repository() as repository:
        version = recorded.read()
        outputs = [entry for entry in version.outputs if not entry.private and (given.models or not entry.model)]
        if not given.models:
            say("left out: models: --no-models")
        for line in chain(shared.pull(repository, outputs, force=given.force), _pull_raw(repository, version, given)):
            say(line)


def _check_out(revision: str) -> None:
    try:
        git.run("checkout", "--quiet", revision)
    except git.GitError as error:
        raise UserError(
            f"--rev {revision}", str(error), "a tag or commit that git can check out", "see `git status` and `git tag`"
        ) from error


def _pull_raw(repository: Repo, version: Version, given: argparse.Namespace) -> Iterator[str]:
    """A line for each place of logs."""
    left = "--no-raw" if not given.raw else f"{private_store.KEY} names no store" if not private_store.named() else ""
    try:
        store = None if left else private_store.opened(repository)
    except private_store.NoSuchRemoteError as error:
        store, left = None, str(error)
    for entry in version.raw:
        line = raw_logs.pull(repository, store, entry, force=given.force) if store else None
        yield line or f"left out: {entry.path}: {left or f'the private store {private_store.named()!r} does not hold this version'}"


def push_version(given: argparse.Namespace) -> None:
    """Outputs to the shared remote, logs to the private store: a line each."""
    with lock.hold("pairwright push"), dvc.repository() as repository:
        store, remote = private_store.opened(repository), shared.remote(repository)
        if not store and not remote:
            raise UserError("push", "no remote", "a shared remote, or a private store", f"{shared.ADD}, or name {private_store.KEY}")
        version = recorded.read()
        outputs = [entry for entry in version.outputs if not entry.private]
        say(
            f"outputs: {shared.push(repository, outputs)} new files in {remote!r}"
            if remote
            else f"left out: outputs: no remote is set, {shared.ADD}"
        )
        for entry in version.raw:
            say(_push_raw(repository, store, entry))


def _push_raw(repository: Repo, store: private_store.Store | None, entry: recorded.Entry) -> str:
    if store is None:
        return f"left out: {entry.path}: {private_store.KEY} names no store"
    sent = raw_logs.push(repository, store, entry)
    return f"{entry.path}: {'now' if sent else 'already'} in the private store {store.name!r}"
