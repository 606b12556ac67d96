"""Git, as the flows ask it and write to it: commands as a child, their errors as one line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tasks.core.errors import UserError

QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}  # nobody is there at night to type a password


class GitError(Exception):
    """A git command that failed, with what git said."""


def run(*arguments: str, env: Mapping[str, str] | None = None, text: str | None = None) -> str:
    """What the command says on stdout; GitError when it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments], env={**os.environ, **QUIET, **(env or {})}, input=text, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise UserError("git", "no such command", "git, which keeps the versions", "install it") from error
    if done.returncode:
        raise GitError(" ".join((done.stderr or done.stdout).split()) or f"git {arguments[0]} ended with exit code {done.returncode}")
    return done.stdout


def attempt(*arguments: str) -> str | None:
    """The same without the last line's end; none when the command fails."""
    try:
        return run(*arguments).rstrip("\n")
    except GitError:
        return None


def head() -> str | None:
    """The current commit; none before the first."""
    return attempt("rev-parse", "--verify", "-q", "HEAD^{commit}")


def show(commit: str, path: Path) -> str | None:
    """The text of a file in a commit; none where it is not there."""
    return attempt("show", f"{commit}:./{path.as_posix()}")


def tags(pattern: str) -> list[str]:
    """Names of tags, in no order."""
    return run("tag", "--list", pattern).split()
