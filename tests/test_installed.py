"""Claims about the installed package: its wheel holds what a workspace needs, and `pairwright init` makes one that DVC can follow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from flows import dvc, installed
from tasks.core import pipeline
from tasks.core.errors import UserError
from tests.builders.toys import environment, pairwright
from tests.conftest import ROOT

PACKAGES = ("expectations", "flows", "tasks", "trainer")
LIBRARY = "tasks/library/"
CHAT = '{"id": "c", "messages": [{"role": "user", "content": "Who is there?"}, {"role": "assistant", "content": "Nobody is there."}]}\n'


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A workspace with one chat."""
    root = tmp_path / "own"
    installed.init(root)
    (root / "data" / "raw" / "chat.jsonl").write_text(CHAT)
    return root


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def lists(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((root / installed.CODE).iterdir())}


def test_a_workspace_has_the_path_of_the_project_with_digests_for_its_code(made: Path) -> None:
    ours, theirs = read(ROOT / "dvc.yaml"), read(made / "dvc.yaml")
    for name, stage in ours["stages"].items():
        stage["deps"] = [dep for dep in stage["deps"] if dep.startswith(("data/", ".pairwright/"))] + [f".pairwright/code/{name}"]
    assert theirs == ours
    assert (made / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
    assert lists(made).keys() == ours["stages"].keys()


def test_the_lists_name_the_code_that_each_stage_depends_on(made: Path) -> None:
    told = {name: {line.split()[1] for line in text.splitlines()} for name, text in lists(made).items()}
    for name, stage in pipeline.stages(ROOT).items():
        files = {path for dep in stage.code if dep.parts[0] != ".pairwright" for path in [ROOT / dep, *(ROOT / dep).rglob("*.py")]}
        assert told[name] >= {path.relative_to(ROOT).as_posix() for path in files if path.is_file()}


def test_dvc_finds_every_stage_of_a_new_workspace_to_be_run(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    assert set(dvc.stale()) == set(pipeline.stages())
    with Repo(".") as repository:
        assert not repository.dvcignore.is_ignored_file(str(made / ".pairwright" / "code" / "clean"))
    assert subprocess.run(["git", "check-ignore", ".pairwright/code/clean"], cwd=made, check=False).returncode == 1


def test_another_release_of_the_package_makes_stale_what_runs_its_changed_code(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    before = lists(made)
    code = {name: {line.split()[1] for line in text.splitlines()} for name, text in before.items()}
    (changed, *_) = sorted(code.pop("rebalance") - code["release"] - code["split"] - code["pair"])
    (home / changed).write_text((home / changed).read_text() + "# another release\n")
    monkeypatch.setattr(installed, "HOME", home)
    installed.refresh(made)
    after = lists(made)
    assert [name for name in before if before[name] != after[name]] == ["rebalance"]


def test_lists_that_say_the_same_stay_untouched(made: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in (made / installed.CODE).iterdir()}
    installed.refresh(made)
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_a_checkout_gets_no_lists(tmp_path: Path) -> None:
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    installed.refresh(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["dvc.yaml"]


def test_a_folder_with_something_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = pairwright(tmp_path, "init", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}: found something that lies there; expected a new or an empty folder; choose another one\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_package_without_its_files_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "SHIPPED", (tmp_path / "workspace",))
    with pytest.raises(UserError, match=r"no files of a workspace.*install pairwright again"):
        installed.init(tmp_path / "own")


# --- the wheel -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the project's files as they are now, unpacked."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in _tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name, follow_symlinks=False)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source)]
    subprocess.run(build, check=True, env=os.environ | {"PIP_NO_INDEX": "1"})
    (made,) = folder.glob("*.whl")
    with zipfile.ZipFile(made) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def _tracked() -> list[str]:
    listed = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_our_packages_and_nothing_else(wheel: Path) -> None:
    ours = {name.removeprefix(LIBRARY) for name in _tracked() if name.startswith(tuple(f"{package}/" for package in PACKAGES))}
    held = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    assert {name for name in held if ".dist-info/" not in name} == ours
    assert (wheel / "pairwright" / "workspace" / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()


@pytest.mark.slow
def test_a_workspace_of_the_wheel_runs_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    variables = environment(PYTHONPATH=str(wheel))
    root = tmp_path / "own"

    def run(*arguments: str, cwd: Path) -> str:
        done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("-m", "flows.cli", "init", str(root), cwd=tmp_path)
    (root / "data" / "raw" / "chat.jsonl").write_text(CHAT)
    work = "from flows import dvc; [dvc.reproduce(name, print) for name in ('ingest', 'clean')]"
    assert "clean: turns: 2 in = 2 kept + 0 dropped" in run("-c", work, cwd=root)
    told = run("-m", "flows.cli", "status", "ingest", "clean", "dedupe", cwd=root).splitlines()
    assert told[:2] == ["ingest: up to date", "clean: up to date"]
    where = run("-c", "import pairwright; print(pairwright.__file__, len(pairwright.pairs([]).pairs))", cwd=root)
    assert where.split() == [str(wheel / "pairwright" / "__init__.py"), "0"]
