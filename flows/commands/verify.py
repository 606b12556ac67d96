"""`pairwright verify`: every byte of a version compared with its digest."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from flows import git
from flows.commands.shared import RunFailedError, command, complain, say
from flows.storage import recorded, verification
from tasks.core import authenticity, pipeline
from tasks.core.errors import UserError

if TYPE_CHECKING:
    from flows.commands.shared import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    verify = command(commands, "verify", verify_version, "compare every byte of the release, the models and DVC's cache with its digest")
    verify.add_argument("--rev", metavar="TAG", help="the version of this tag or commit, in the cache alone")


def verify_version(given: argparse.Namespace) -> None:
    """One line a fault, and one about what was looked at; the run fails where there is a fault."""
    version = recorded.version(*(_text(given.rev, name) for name in (recorded.PATH, recorded.LOCK))) if given.rev else recorded.read()
    if not version.outputs:
        raise UserError(given.rev or recorded.LOCK, "no outputs", "a version that was built", "run `pairwright run`, or name a tag")
    release = next((stage.output for stage in pipeline.stages().values() if stage.name == authenticity.STAGE), Path())
    checked = verification.check(version.outputs, release, workspace=not given.rev)
    for path in checked.absent:
        say(f"not here: {path}: neither in the workspace nor in the cache, so not checked")
    for fault in checked.faults:
        complain(str(fault))
    say(f"verified: {checked.files} files, {checked.bytes / 1e6:.1f} MB: {len(checked.faults) or 'no'} faults")
    if checked.faults:
        raise RunFailedError


def _text(revision: str, name: str) -> str:
    text = git.show(revision, Path(name))
    if text is None:
        raise UserError(f"--rev {revision}", f"no {name} there", "a tag or commit of this workspace", "`git tag` lists the versions")
    return text
