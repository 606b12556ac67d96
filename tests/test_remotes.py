"""Claims about bringing a version to remotes: bytes first, then branch and tag together, and what becomes of it when one is away."""

from __future__ import annotations

import importlib.util
import shutil
import tomllib
from pathlib import Path

import pytest

from flows import git
from flows.preflight import remotes as preflight
from flows.storage import clients
from flows.versions import record
from tasks.core.errors import UserError
from tests.builders import toys, versions
from tests.builders.versions import published
from tests.conftest import ROOT

V1, V2, V3 = (record.tag(number) for number in (1, 2, 3))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return versions.make(tmp_path_factory.mktemp("made"))


@pytest.fixture
def toy(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = versions.copied(made, tmp_path, monkeypatch)
    versions.add_git_remote(root)
    return root


def theirs(toy: Path, folder: str = "theirs") -> Path:
    """A colleague's clone."""
    clone = toy.parent / folder
    versions.git(toy.parent, "clone", "-q", str(toy.parent / "origin.git"), folder)
    return clone


def push(clone: Path, path: str, text: str) -> None:
    """A colleague's commit, pushed."""
    (clone / path).write_text(text)
    versions.git(clone, "add", path)
    versions.git(clone, "commit", "-qm", path)
    versions.git(clone, "push", "-q")


def refs(toy: Path) -> set[str]:
    """Branches and tags that the remote has."""
    return {line.split("\t")[1] for line in versions.git(toy, "ls-remote", "--refs", "origin").splitlines()}


def test_bytes_are_there_before_the_tag_and_a_remote_that_is_away_is_owed(toy: Path) -> None:
    store = versions.add_dvc_remote(toy)
    store.write_text("a file where the folder should be: nothing can be written below it")
    heard: list[str] = []
    told = published(heard.append)
    assert told.startswith(f"Owed: {V1}; not pushed, the next run or `pairwright publish` does it:"), told
    assert (len(heard), refs(toy), versions.tags(toy)) == (1, set(), [V1])
    store.unlink()
    assert published() == f"Published: what was owed; bytes in store; origin has master, {V1}"
    assert refs(toy) == {"refs/heads/master", f"refs/tags/{V1}"}
    shutil.rmtree(toy / ".dvc" / "cache")
    shutil.rmtree(toy / toys.SECOND)
    assert "ERROR" not in toys.dvc(toy, "pull", "--allow-missing")
    assert (toy / toys.SECOND / "text.txt").is_file()


def test_what_broke_off_on_its_way_to_a_remote_is_sent_again(toy: Path) -> None:
    store, cache = versions.add_dvc_remote(toy), toy / ".dvc" / "cache"
    whole = {path.relative_to(cache): path.read_bytes() for path in cache.rglob("*") if path.is_file() and "md5" in path.parts}
    for name, data in whole.items():
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_bytes(data[: len(data) // 2])
    assert published().startswith(f"Published: {V1}; bytes in store")
    assert {name: (store / name).read_bytes() for name in whole} == whole


def test_a_remote_whose_client_is_not_installed_is_one_line_and_not_tried_again(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    toys.dvc(toy, "remote", "add", "--local", "--default", "store", "s3://bucket/store")
    heard: list[str] = []
    expected = r"remote 'store': found no dvc-s3; expected the client of s3:// addresses; run `pip install 'pairwright\[s3\]'`"
    with pytest.raises(UserError, match=expected):
        published(heard.append)
    assert not heard
    (toy / "locks").mkdir()
    (toy / "locks" / "s3.txt").touch()
    assert [one.text for one in preflight.findings()] == ["store: s3://bucket/store needs dvc-s3; run `pip install -r locks/s3.txt`"]


def test_each_client_has_an_extra_and_a_list() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for extra in set(clients.EXTRAS.values()):
        assert extras[extra] == [f"dvc-{extra}"]
        assert f"dvc-{extra}==" in (ROOT / clients.LIST.format(extra)).read_text(encoding="utf-8")


def test_a_git_remote_that_is_away_is_owed_and_brought_by_the_next_version(toy: Path) -> None:
    bare = toy.parent / "origin.git"
    bare.rename(bare.with_suffix(".gone"))
    assert published().startswith(f"Owed: {V1}")
    versions.build(toy, pairs=8)
    assert published().startswith(f"Owed: {V2}")
    bare.with_suffix(".gone").rename(bare)
    versions.build(toy, pairs=9)
    assert published() == f"Published: {V3}; no DVC remote; origin has master, {V1}, {V2}, {V3}"
    assert published() == f"Unchanged: nothing new since {V3}"


def test_what_somebody_else_pushed_is_merged_when_it_is_none_of_ours(toy: Path) -> None:
    published()
    clone = theirs(toy)
    push(clone, "docs.txt", "theirs\n")
    (toy / "draft.txt").write_text("mine\n")
    versions.git(toy, "add", "draft.txt")
    versions.build(toy, pairs=8)
    version = f"Published: {V2}"
    assert published().startswith(version)
    assert {"refs/heads/master", f"refs/tags/{V2}"} <= refs(toy)
    assert (toy / "docs.txt").read_text() == "theirs\n"
    assert versions.git(toy, "status", "--porcelain") == "A  draft.txt"
    assert versions.git(toy, "log", "-1", "--format=%s") == "Merge origin/master"
    assert versions.git(toy, "log", "-1", "--format=%s", V2).startswith(f"Publish {V2}"), "the tag stays on the version's own commit"


@pytest.mark.parametrize("path", ["params.yaml", "toys/__main__.py"])
def test_what_somebody_else_pushed_is_not_merged_when_it_changes_what_the_version_is_made_of(toy: Path, path: str) -> None:
    published()
    clone = theirs(toy)
    push(clone, path, (clone / path).read_text() + "# theirs\n")
    versions.build(toy, pairs=8)
    with pytest.raises(UserError, match=f"commits of somebody else that change {path}; .*git pull"):
        published()
    assert f"refs/tags/{V2}" not in refs(toy)
    versions.git(toy, "pull", "-q", "--no-rebase", "--no-edit", "-X", "theirs", "origin", "master")


def test_a_number_that_only_the_remote_has_is_left_out(toy: Path) -> None:
    published()
    clone = theirs(toy)
    versions.git(clone, "tag", V2)
    versions.git(clone, "push", "-q", "origin", V2)
    versions.build(toy, pairs=8)
    assert published() == f"Published: {V3}; no DVC remote; origin has master, {V3}"


def test_a_version_gets_another_number_when_the_remote_gave_its_own_away(toy: Path) -> None:
    published()
    bare = toy.parent / "origin.git"
    clone = theirs(toy)
    bare.rename(bare.with_suffix(".gone"))
    versions.build(toy, pairs=8)
    assert published().startswith(f"Owed: {V2}")
    bare.with_suffix(".gone").rename(bare)
    versions.git(clone, "tag", V2)
    versions.git(clone, "push", "-q", "origin", V2)
    assert published() == f"Published: {V3}; no DVC remote; origin has master, {V3}"
    assert versions.tags(toy) == [V1, V3]
    assert [one["version"] for one in record.records()] == [1, 3]
    assert versions.git(toy, "status", "--porcelain") == ""
    assert versions.git(toy, "rev-list", "--count", "HEAD") == "2", "no commit of the number that was given up"


def test_a_remote_that_refuses_is_said_in_one_line(toy: Path) -> None:
    hook = toy.parent / "origin.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'this branch is protected'; exit 1\n")
    hook.chmod(0o755)
    with pytest.raises(UserError, match=r"git remote origin: found .*this branch is protected.*ask who keeps it"):
        published()
    assert (git.commit_of(V1), refs(toy)) == (git.head(), set())
