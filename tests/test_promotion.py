"""The model to beat: written before another is made, kept while none beats it, and with it in versions, clones, returns and erasures."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from flows import dvc
from flows.erasure import locks
from flows.erasure import versions as erased
from flows.storage import recorded
from flows.versions import champion, publish
from tasks.common import champion as names
from tests.builders import champions, toys, versions

FOLDER, FINAL = Path("data/champion"), Path("data/models/final")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose first model is made."""
    root = champions.project(tmp_path_factory.mktemp("made"))
    versions.reproduce(root)
    return root


@pytest.fixture
def toy(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return versions.copied(made, tmp_path, monkeypatch)


def train(root: Path, score: int) -> str:
    """Make a model that scores so much, as a run does; what was said of the one to beat."""
    toys.set_param(root, "compress", "score", score)
    said = champion.crown(lambda line: None, force=False)
    versions.reproduce(root)
    return said


def final() -> str:
    """Score of the model that is handed over."""
    return (FINAL / "weights").read_text().split()[1]


def record() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / names.RECORD).read_text())
    return document


def published() -> tuple[str, str]:
    return publish.dataset(lambda line: None).message, publish.model(lambda line: None).message


def test_the_first_model_is_promoted_and_nothing_is_stale_after_it(toy: Path) -> None:
    assert final() == "1"
    assert dvc.stale() == {}
    assert champion.crown(lambda line: None, force=False) == "", "no other model is about to be made"
    assert [path.name for path in FOLDER.iterdir()] == ["README.md"]


def test_the_last_model_is_recorded_before_the_next_is_made_and_a_better_one_takes_its_place(toy: Path) -> None:
    assert train(toy, 5) == "the model to beat is the model of release 01234567"
    assert (FOLDER / names.MODEL / "weights").read_text().startswith("model 1 start of 1 ")
    assert (FOLDER / names.START / "weights").read_text().startswith("start of 1 ")
    assert final() == "5"
    assert dvc.stale() == {}, "what was compared with is what lies there"
    assert train(toy, 6) != ""
    assert record()["digest"].startswith("model 5 ")


def test_a_model_that_is_kept_is_the_same_output_and_stays_the_one_to_beat(toy: Path) -> None:
    train(toy, 5)
    before = {entry.path: entry.md5 for entry in recorded.read().outputs}
    assert train(toy, 3) != ""
    assert final() == "5"
    kept = {entry.path: entry.md5 for entry in recorded.read().outputs}
    assert kept[FINAL] == kept[FOLDER / names.MODEL] == before[FINAL]
    written = (FOLDER / names.RECORD).read_bytes()
    assert train(toy, 4) == "", "the last new model was not promoted"
    assert (FOLDER / names.RECORD).read_bytes() == written
    assert final() == "5"


def test_a_run_that_was_ended_before_its_model_was_made_finds_the_same_champion(toy: Path) -> None:
    toys.set_param(toy, "compress", "score", 5)
    assert champion.crown(lambda line: None, force=False) != ""
    (FOLDER / names.RECORD).unlink()  # as after a kill between two files
    assert champion.crown(lambda line: None, force=False) != ""
    versions.reproduce(toy, "compress")
    assert champion.crown(lambda line: None, force=False) == ""
    versions.reproduce(toy)
    assert (record()["digest"].split()[1], final()) == ("1", "5")


def test_a_version_has_the_champion_in_git_and_its_bytes_in_dvc(toy: Path) -> None:
    assert published()[1] == "model@v1.0.0; no DVC remote; no git remote"
    assert train(toy, 5) == "the model to beat is model@v1.0.0"
    assert published()[1].startswith("model@v1.1.0")
    listed = versions.git(toy, "ls-tree", "-r", "--name-only", "HEAD", "data/champion").split()
    assert listed == ["data/champion/README.md", "data/champion/champion.json", "data/champion/model.dvc", "data/champion/start.dvc"]
    assert versions.git(toy, "status", "--porcelain") == ""


@pytest.mark.slow
def test_a_champion_that_was_kept_gets_no_second_tag(toy: Path) -> None:
    train(toy, 5)
    published()
    versions.build(toy, 7)
    assert publish.dataset(lambda line: None).message.startswith("dataset@v2.0.0")
    train(toy, 2)
    model = publish.model(lambda line: None).message
    assert model == "kept model@v1.0.0, which the new model did not replace"
    assert versions.tags(toy) == ["dataset@v1.0.0", "dataset@v2.0.0", "model@v1.0.0"]
    assert versions.git(toy, "log", "-1", "--format=%s") == "Keep model@v1.0.0 with dataset@v2.0.0"
    assert published() == ("nothing new since dataset@v2.0.0", model), "again, and nothing more is committed"


@pytest.mark.slow
def test_a_clone_that_pulled_has_the_champion_and_nothing_to_do(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = versions.add_dvc_remote(toy)
    train(toy, 5)
    published()
    clone = tmp_path / "clone"
    versions.git(tmp_path, "clone", "-q", str(toy), str(clone))
    shutil.copy(toy / ".dvc/config.local", clone / ".dvc/config.local")
    shutil.copy(toy / "data/raw.txt", clone / "data/raw.txt")
    versions.enter(clone, monkeypatch)
    assert store.is_dir()
    pulled = toys.pairwright(clone, "pull")
    assert pulled.returncode == 0, pulled.stderr
    assert (FOLDER / names.MODEL / "weights").is_file(), pulled.stdout
    assert dvc.stale() == {}


@pytest.mark.slow
def test_going_back_to_a_version_brings_its_champion_back(toy: Path) -> None:
    versions.git(toy, "add", "-A")
    versions.git(toy, "commit", "-qm", "before the first")
    train(toy, 5)
    published()
    versions.build(toy, 7)
    train(toy, 9)
    published()
    assert (record()["name"], record()["digest"].split()[1]) == ("model@v1.0.0", "5")
    champion.restore("model@v1.0.0", pytest.fail)
    assert (record()["digest"].split()[1], (FOLDER / names.MODEL / "weights").read_text().split()[1]) == ("1", "1")
    champion.restore(versions.git(toy, "rev-list", "--max-parents=0", "HEAD"), pytest.fail)
    assert [path.name for path in FOLDER.iterdir()] == ["README.md"], "there was none before the first, and no byte of another lies about"


def test_bytes_that_no_store_has_are_told_and_the_record_stays(toy: Path) -> None:
    weights = (FINAL / "weights").read_bytes()
    for place in Path(".dvc/cache/files").rglob("*"):
        if place.is_file() and place.read_bytes() == weights:
            place.unlink()
    told: list[str] = []
    toys.set_param(toy, "compress", "score", 5)
    assert champion.crown(told.append, force=False) != ""
    assert len(told) == 1
    assert told[0].startswith("warning: the bytes of the last model are not here: ")
    assert record()["digest"].startswith("model 1 ")
    assert not (FOLDER / names.MODEL / "weights").exists()


def test_a_purge_takes_the_champion_that_learned_from_what_is_purged(toy: Path) -> None:
    train(toy, 5)
    history = locks.read()
    md5 = {entry.path: entry.md5 for entry in recorded.read().outputs}
    held = history.made_from({("data/release", md5[Path("data/release")])})
    assert (str(FOLDER / names.MODEL), md5[FOLDER / names.MODEL]) in held, "no commit records the run that made it"
    assert (str(FINAL), md5[FOLDER / names.MODEL]) in held
    told = list(erased.remove_outputs(held, history))
    assert f"{FOLDER / names.MODEL}: removed" in told
    assert [path.name for path in FOLDER.iterdir()] == ["README.md"]
    assert train(toy, 2) == ""
    assert final() == "2", "the next model is the first"


def test_a_purge_of_other_rows_leaves_the_champion(toy: Path) -> None:
    train(toy, 5)
    assert not [line for line in erased.remove_outputs(set(), locks.read()) if "champion" in line]
    assert (FOLDER / names.RECORD).is_file()


@pytest.mark.slow
def test_plain_dvc_makes_the_same_again_from_what_git_and_the_cache_hold(toy: Path) -> None:
    train(toy, 5)
    train(toy, 3)
    before = (toy / "dvc.lock").read_bytes()
    versions.git(toy, "add", "-A")
    versions.git(toy, "commit", "-qm", "here")
    for name in (*champions.MADE.values(), "data/champion/model", "data/champion/start"):
        shutil.rmtree(name)
    toys.dvc(toy, "checkout", "data/champion/model.dvc", "data/champion/start.dvc")
    versions.reproduce(toy)
    assert ((toy / "dvc.lock").read_bytes(), final()) == (before, "5")


@pytest.mark.slow
def test_a_run_ends_with_the_decision_and_without_an_error(made: Path, tmp_path: Path) -> None:
    root = shutil.copytree(made, tmp_path / "toy", symlinks=True)
    toys.set_param(root, "compress", "score", 0)
    done = _run(root)
    assert "the model to beat is the model of release" in done
    assert "promote:    kept model@v1.0.0: worse" in done
    again = _run(root)
    assert "Nothing to do: every stage is up to date." in again
    assert "promote:    kept model@v1.0.0: worse" in again


def _run(root: Path) -> str:
    done: subprocess.CompletedProcess[str] = toys.pairwright(root, "run")
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
