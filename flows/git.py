"""Git, as the flows ask it and write to it: commands as a child, their errors as one line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tasks.core.errors import UserError

QUIET = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}  # nobody is there at night to type a password


class GitError(Exception):
    """A git command that failed, with what git said."""


def run(*arguments: str, env: Mapping[str, str] | None = None, text: str = "", seconds: float | None = None) -> str:
    """What the command says on stdout; GitError when it fails, or takes longer than `seconds`."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            env={**os.environ, **QUIET, **(env or {})},
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
        )
    except FileNotFoundError as error:
        raise UserError("git", "no such command", "git, which keeps the versions", "install it") from error
    except subprocess.TimeoutExpired as error:
        raise GitError(f"git {arguments[0]} took longer than {seconds:.0f} s") from error
    if done.returncode:
        raise GitError(" ".join((done.stdout + done.stderr).split()) or f"git {arguments[0]} ended with exit code {done.returncode}")
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


def commit_of(name: str, kind: str = "commit") -> str | None:
    """The commit (or its `tree`) that a tag or branch names; none where there is no such name."""
    return attempt("rev-parse", "--verify", "-q", f"{name}^{{{kind}}}")


def show(commit: str, path: Path) -> str | None:
    """The text of a file in a commit; none where it is not there."""
    return attempt("show", f"{commit}:./{path.as_posix()}")


def tags(pattern: str) -> list[str]:
    """Names of tags, in no order."""
    return run("tag", "--list", pattern).split()


def is_ancestor(old: str, new: str) -> bool:
    """Whether `new` comes from `old`, or is it."""
    return attempt("merge-base", "--is-ancestor", old, new) is not None


def names(*arguments: str, env: Mapping[str, str] | None = None) -> list[str]:
    """Paths that a command lists with `-z`."""
    return [name for name in run(*arguments, env=env).split("\0") if name]
