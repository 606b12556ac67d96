"""Claims about the stores: raw logs go to the private one and nowhere else, and a clone has from the stores what they hold."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from flows import dvc
from flows.storage import private_store, raw_logs, recorded
from tasks.core.errors import UserError
from tests.builders import stores, toys
from tests.builders.stores import LOGS, PLANTED, RAW, said


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was built and pushed, its stores beside it, committed as `one`."""
    root = stores.make(tmp_path_factory.mktemp("stored"))
    (root / ".dvc" / "config.local").write_text(f"[core]\n    site_cache_dir = {root.parent / 'site'}\n")
    told = toys.dvc(root, "repro")
    assert "ERROR" not in told, told
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert said("push") == ["outputs: 5 new files in 'everybody'", "data/raw: now in the private store 'vault'"]
    stores.commit(root, "one")
    return root


@pytest.fixture
def clone(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with stores of its own, in the current folder."""
    for name in ("private", "shared"):
        shutil.copytree(stored.parent / name, tmp_path / name)
    subprocess.run(["git", "clone", "-q", str(stored), str(tmp_path / "clone")], check=True)
    root = tmp_path / "clone"
    (root / ".dvc" / "config.local").write_text(stores.remotes(str(tmp_path / "shared"), str(tmp_path / "private")))
    monkeypatch.chdir(root)
    return root


def test_raw_text_is_in_the_private_store_and_nowhere_else(stored: Path) -> None:
    own = stored / RAW
    holds = [path for path in stored.parent.rglob("*") if path.is_file() and PLANTED.encode() in path.read_bytes()]
    assert own / "desk" / "monday.jsonl" in holds
    assert {path.relative_to(stored.parent).parts[0] for path in holds if own not in path.parents} == {"private"}
    assert not [path for path in (stored.parent / "private").rglob("*") if "monday" in path.name], "named by content only"
    assert (stored / ".dvc" / "cache").is_dir()
    assert (stored.parent / "site").is_dir(), "DVC's own notes lie here, so they were looked through"


def test_pushing_leaves_the_logs_as_they_are_and_a_second_push_sends_nothing(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stored)
    for name in LOGS:
        assert (stored / RAW / name).stat().st_nlink == 1
        assert (stored / RAW / name).stat().st_mode & 0o200
    assert said("push") == ["outputs: 0 new files in 'everybody'", "data/raw: already in the private store 'vault'"]


@pytest.mark.parametrize("what", ["files", "their list"])
def test_logs_that_broke_off_on_their_way_are_stored_again(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    whole = {path.relative_to(stored.parent / "private"): path.read_bytes() for path in (stored.parent / "private").rglob("*.dir")}
    whole |= {path.relative_to(stored.parent / "private"): path.read_bytes() for path in (stored.parent / "private").rglob("?" * 30)}
    for name, data in whole.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if (what == "files") != (name.suffix == ".dir"):
            (tmp_path / name).write_bytes(data[: len(data) // 2])
            (tmp_path / name).chmod(0o444)  # by which DVC knows an object that it need not look at
    monkeypatch.chdir(stored)
    with dvc.repository() as repository:
        repository.config["remote"]["vault"]["url"] = str(tmp_path)
        store = private_store.opened(repository)
        assert store
        assert all(raw_logs.push(repository, store, entry) for entry in recorded.read().raw)
    assert {name: (tmp_path / name).read_bytes() for name in whole} == whole


def test_a_clone_with_the_stores_has_the_logs_and_makes_the_same_again_from_them(clone: Path, stored: Path) -> None:
    assert said("pull") == [
        "outputs: 2 in place, 2 of them fetched from 'everybody'",
        "data/raw: 3 of 3 files from the private store 'vault'",
    ]
    assert stores.logs(clone) == LOGS
    lock = (clone / "dvc.lock").read_bytes()
    told = toys.dvc(clone, "repro", "--force")
    assert "ERROR" not in told, told
    assert (clone / "dvc.lock").read_bytes() == lock == (stored / "dvc.lock").read_bytes()
    assert said("pull")[1] == "data/raw: 0 of 3 files from the private store 'vault'"


def test_a_pull_says_what_it_left_out_and_why(clone: Path) -> None:
    assert said("pull", "--no-models", "--no-raw") == [
        "left out: models: --no-models",
        "outputs: 1 in place, 1 of them fetched from 'everybody'",
        "left out: data/raw: --no-raw",
    ]
    assert not (clone / toys.TRAIN).exists()
    assert not (clone / RAW).exists()
    shutil.rmtree(clone.parent / "shared")
    shutil.rmtree(clone.parent / "private")
    assert said("pull") == [
        "left out: data/models: the remote 'everybody' does not hold it",
        "outputs: 1 in place, 0 of them fetched",
        "left out: data/raw: the private store 'vault' does not hold this version",
    ]
    toys.set_param(clone, "private", "remote", "")
    assert said("pull")[-1] == "left out: data/raw: params.yaml: private.remote names no store"
    toys.set_param(clone, "private", "remote", "elsewhere")
    assert said("pull")[-1].startswith("left out: data/raw: params.yaml: private.remote: found 'elsewhere', which is no remote here;")


def test_logs_of_ones_own_are_never_overwritten_and_none_is_lost(clone: Path) -> None:
    (clone / RAW / "desk").mkdir(parents=True)
    (clone / RAW / "again.jsonl").write_text("mine")
    (clone / RAW / "new.jsonl").write_text("new")
    (clone / RAW / "desk" / "monday.jsonl").symlink_to("nowhere")
    assert said("pull", fails=True) == [
        "error: data/raw: found data/raw/again.jsonl (changed), data/raw/desk/monday.jsonl (changed), data/raw/new.jsonl (not in it); "
        "expected only logs of the version; move them away, or `--force` moves them to data/raw-set-aside"
    ]
    assert (clone / RAW / "again.jsonl").read_text() == "mine"
    assert said("pull", "--force")[1].endswith("; 3 that are not in it moved to data/raw-set-aside/1")
    assert stores.logs(clone) == LOGS
    aside = clone / "data" / "raw-set-aside" / "1"
    assert sorted(path.name for path in aside.iterdir()) == ["again.jsonl", "desk", "new.jsonl"]
    assert (aside / "desk" / "monday.jsonl").is_symlink()
    assert (aside / "again.jsonl").read_text() == "mine"
    assert subprocess.run(["git", "status", "--short"], cwd=clone, capture_output=True, text=True, check=True).stdout == ""


def test_a_version_s_own_logs_come_with_its_tag(clone: Path) -> None:
    said("pull")
    (clone / RAW / "wednesday.jsonl").write_text("More")
    assert "ERROR" not in toys.dvc(clone, "repro")
    said("push")
    stores.commit(clone, "two")
    assert "data/raw/wednesday.jsonl (not in it)" in said("pull", "--rev", "one", fails=True)[0]
    said("pull", "--force")
    assert stores.logs(clone) == LOGS
    said("pull", "--rev", "two")
    assert stores.logs(clone) == LOGS | {"wednesday.jsonl": "More"}
    assert len(said("pull", "--rev", "three", fails=True)) == 1


def test_a_store_that_changed_a_log_is_not_believed(clone: Path) -> None:
    (entry,) = recorded.read().raw
    with dvc.repository() as repository:
        store = private_store.opened(repository)
        assert store
        broken = next(path for path in (clone.parent / "private").rglob("*") if path.is_file() and PLANTED in path.read_text())
        broken.chmod(0o644)
        broken.write_text("I am somebody else")
        with pytest.raises(UserError, match=r"found bytes of MD5 .*; expected .*; delete it there"):
            raw_logs.pull(repository, store, entry, force=False)
    assert not (clone / RAW).exists(), "nothing half"
    assert [path.name for path in (clone / "data").iterdir() if "raw" in path.name] == []


def test_a_store_cannot_write_outside_of_the_logs(clone: Path) -> None:
    (entry,) = recorded.read().raw
    with dvc.repository() as repository:
        store = private_store.opened(repository)
        assert store
        evil = b'[{"md5": "8b1a9953c4611296a827abf8c47804d7", "relpath": "../../params.yaml"}]'
        named = hashlib.md5(evil).hexdigest() + ".dir"
        store.odb.add_bytes(named, evil)
        with pytest.raises(UserError, match=r"a file called \.\./\.\./params\.yaml"):
            raw_logs.pull(repository, store, recorded.Entry("first", entry.path, named, 0), force=True)


@pytest.mark.parametrize("when", ["before", "during"])
def test_logs_that_changed_are_not_stored_under_the_name_of_those_that_were_read(
    clone: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said("pull")
    shutil.rmtree(clone.parent / "private")
    (entry,) = recorded.read().raw
    grown = clone / RAW / "desk" / "monday.jsonl"
    send = raw_logs._send

    def grow(*given: object) -> None:
        grown.write_text("longer than it was before, " * 9)
        if when == "during":
            send(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(raw_logs, "_send", grow)
    if when == "before":
        grow()
    with dvc.repository() as repository:
        store = private_store.opened(repository)
        assert store
        with pytest.raises(UserError, match=r"logs that changed (since the last run|while they were stored)"):
            raw_logs.push(repository, store, entry)
        assert not store.odb.exists(entry.md5)
    held = [path.read_text() for path in (clone.parent / "private").rglob("*") if path.is_file()]
    assert not [text for text in held if "longer" in text]


@pytest.mark.parametrize(
    ("name", "place", "what"),
    [
        ("everybody", "", "the default remote"),
        ("other", "shared", "with the remote 'everybody'"),
        ("other", "shared/inside", "with the remote 'everybody'"),
        ("other", ".", "with the remote 'everybody'"),
        ("other", "clone/.dvc/cache/files/md5", "with DVC's cache"),
        ("other", "clone/data/vault", "with the workspace"),
        ("{}/shared", "", "with the remote 'everybody'"),
        ("unknown", "", "which is no remote here"),
    ],
)
def test_a_private_store_shares_nothing(clone: Path, name: str, place: str, what: str) -> None:
    if place:
        with (clone / ".dvc" / "config.local").open("a") as stream:
            stream.write(f"['remote \"other\"']\n    url = {(clone.parent / place).resolve()}\n")
    toys.set_param(clone, "private", "remote", name.format(clone.parent))
    (line,) = said("push", fails=True)
    assert what in line


def test_a_folder_will_do_as_a_private_store(clone: Path) -> None:
    (clone / ".dvc" / "config.local").write_text("")
    toys.set_param(clone, "private", "remote", str(clone.parent / "private"))
    assert said("pull")[1].startswith("data/raw: 3 of 3 files")
