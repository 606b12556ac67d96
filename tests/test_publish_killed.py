"""Claims about publishing that is killed: the next try ends the same version, with one commit and one tag, here and on the remotes."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flows import git
from flows.versions import commits, publish, record
from tests.builders import toys, versions
from tests.builders.versions import published

V1, V2 = record.tag(1), record.tag(2)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy project whose second version is built, and the remote that has the first."""
    root = versions.make(tmp_path_factory.mktemp("ready"))
    with pytest.MonkeyPatch.context() as patch:
        versions.enter(root, patch)
        versions.add_git_remote(root)
        published()
        versions.build(root, pairs=8)
    return root.parent


def copied(ready: Path, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """The project and its remote for one try."""
    shutil.copytree(ready, folder, symlinks=True, dirs_exist_ok=True)
    root = folder / "toy"
    versions.git(root, "remote", "set-url", "origin", str(folder / "origin.git"))
    versions.enter(root, patch)
    return root


class _Killed(BaseException):
    """Ends a try as a kill would: nothing handles it."""


@pytest.mark.parametrize(
    ("command", "side"), [("update-ref", "before"), *((name, "after") for name in ("update-ref", "tag", "push")), ("reset", "before")]
)
def test_a_kill_beside_any_step_of_git_makes_the_same_version(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, side: str
) -> None:
    root = copied(ready, tmp_path, monkeypatch)
    run = git.run
    killed: list[str] = []

    def run_until(*arguments: str, **options: Any) -> str:
        hit = arguments[0] == command and arguments[1:2] != ("--list",) and not killed
        killed.extend([command] * hit)
        if hit and side == "before":
            raise _Killed
        told = run(*arguments, **options)
        if hit:
            raise _Killed
        return told

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(git, "run", run_until)
        if command == "reset":
            versions.git(root, "add", "params.yaml", "dvc.lock")
        with pytest.raises(_Killed):
            published()
    published()
    whole(root)


@pytest.mark.parametrize("step", ["_lay_reports", "_tagged"])
def test_a_kill_around_the_files_of_a_version_makes_the_same_version(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    root = copied(ready, tmp_path, monkeypatch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, step, lambda *given: (_ for _ in ()).throw(_Killed()))
        with pytest.raises(_Killed):
            published()
    published()
    whole(root)


def test_what_a_killed_run_wrote_is_no_version_when_the_release_went_back(
    ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(ready, tmp_path, monkeypatch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commits, "save", lambda *given: (_ for _ in ()).throw(_Killed()))
        with pytest.raises(_Killed):
            published()
    assert record.path(2).is_file()
    versions.build(root, 3)
    assert published() == f"Unchanged: nothing new since {V1}"
    assert not record.path(2).exists()
    assert versions.git(root, "status", "--porcelain") == ""


def whole(root: Path) -> None:
    """The version is there once, here and on the remote, and nothing is left over."""
    assert versions.tags(root) == [V1, V2]
    assert versions.git(root, "rev-list", "--count", "HEAD") == "2"
    assert git.commit_of(V2) == git.head()
    assert versions.git(root, "status", "--porcelain") == ""
    there = versions.git(root, "ls-remote", "origin", "refs/heads/master", f"refs/tags/{V2}^{{}}").split()
    assert there[::2] == [git.head(), git.head()]
    assert published() == f"Unchanged: nothing new since {V2}"


@pytest.mark.slow
def test_publishing_killed_at_random_moments_makes_the_same_version(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(7)
    for number in range(5):
        with pytest.MonkeyPatch.context() as patch:
            root = copied(ready, tmp_path / str(number), patch)
            versions.add_dvc_remote(root)
            command = [sys.executable, "-m", "flows.cli", "publish"]
            child = subprocess.Popen(command, cwd=root, env=toys.environment(), start_new_session=True, stdout=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.4, 5.0))
            child.send_signal(signal.SIGKILL)
            child.wait()
            time.sleep(0.5)  # what it started may still be at work, as after a real kill
            told = toys.pairwright(root, "publish")
            assert told.returncode == 0, told.stderr
            whole(root)
