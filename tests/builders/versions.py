"""Toy projects that publish: other bytes at each build, a remote of git and one of DVC beside them, and no person's git identity."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from flows.versions import publish
from tasks.common import salt
from tests.builders import toys

BOT = "Pairwright <pairwright@localhost>"


def enter(root: Path, patch: pytest.MonkeyPatch) -> None:
    """Work in the project as a machine does that has no git identity."""
    patch.chdir(root)
    patch.setattr(salt, "FOLDER", Path(".pairwright"))
    patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "EMAIL"):
        patch.delenv(name, raising=False)


def make(folder: Path) -> Path:
    """A toy project with its dataset built and nothing committed."""
    root = toys.make(folder / "toy")
    for key, value in (("retries", 1), ("retry_seconds", 0)):
        toys.set_param(root, "runs", key, value)
    build(root, 3)
    return root


def copied(made: Path, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """A copy of a project for one test, the current folder from now on."""
    root = folder / made.name
    shutil.copytree(made, root, symlinks=True)
    enter(root, patch)
    return root


def configure(root: Path, **values: object) -> None:
    """Set parameters of publishing."""
    for key, value in values.items():
        toys.set_param(root, "publish", key, value)


def build(root: Path, pairs: int) -> None:
    """Make the dataset with so many pairs to train on."""
    toys.set_param(root, "second", "pairs", {"pairs_train": pairs, "pairs_validation": 1, "pairs_test": 1})
    reproduce(root, "second")


def reproduce(root: Path, *stages: str) -> None:
    """Run stages in this process's DVC, which is quick."""
    env = toys.environment() | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with contextlib.chdir(root), pytest.MonkeyPatch.context() as patch, Repo(".") as repository:
        patch.setenv("PATH", env["PATH"])
        patch.setenv("PYTHONPATH", env["PYTHONPATH"])
        repository.reproduce(targets=list(stages) or None)


def git(root: Path, *arguments: str) -> str:
    """A git command, as a person with a name runs it."""
    named = ["-c", "user.name=Jane", "-c", "user.email=jane@example.org"]
    done = subprocess.run(["git", *named, *arguments], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def add_git_remote(root: Path) -> Path:
    """A bare repository beside the project, as its origin."""
    bare = root.parent / "origin.git"
    git(root.parent, "init", "-q", "--bare", str(bare))
    git(root, "remote", "add", "origin", str(bare))
    return bare


def add_dvc_remote(root: Path) -> Path:
    """A folder beside the project, as DVC's default remote; set up in a file that git ignores, as secrets are."""
    store = root.parent / "store"
    toys.dvc(root, "remote", "add", "--local", "--default", "store", str(store))
    return store


def published(say: Any = lambda line: None) -> str:
    """Publish the dataset; the state and the message."""
    result = publish.dataset(say)
    return f"{result.state}: {result.message}"


def tags(root: Path) -> list[str]:
    return git(root, "tag").split()


def params(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    return document
