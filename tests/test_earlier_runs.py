"""Claims about DVC's cache: it is asked after each stage, and going back to what ran before takes outputs from it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows import dvc
from flows.storage import runs
from tasks.core import pipeline
from tests.builders import toys

REPORTS = "data/reports/second"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy project whose first stage is private, after a run; the second one has a page as report."""
    root = toys.make(tmp_path_factory.mktemp("built") / "toy", private=True)
    document = yaml.safe_load((root / "dvc.yaml").read_text())
    document["stages"]["second"]["meta"] = {"reports": REPORTS}
    (root / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    (root / REPORTS).mkdir(parents=True)
    (root / REPORTS / "page.html").write_text("of the first run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("PATH", toys.environment()["PATH"])
        assert set(run()) == set(toys.CHAIN)
    return root


@pytest.fixture
def toy(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in the current folder."""
    root = shutil.copytree(built, tmp_path / "toy", symlinks=True)
    monkeypatch.chdir(root)
    monkeypatch.setenv("PATH", toys.environment()["PATH"])
    return root


def run() -> dict[str, str]:
    """Run what is stale; the last line of each stage that ran."""
    told: dict[str, list[str]] = {}
    for name in toys.CHAIN:
        if dvc.stale([name]):
            dvc.reproduce(name, told.setdefault(name, []).append)
    return {name: lines[-1] for name, lines in told.items()}


def outputs(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted((root / "data").rglob("[!.]*")) if path.is_file()} | {
        "dvc.lock": (root / "dvc.lock").read_bytes()
    }


def test_going_back_to_old_parameters_runs_nothing_that_the_cache_may_hold(toy: Path) -> None:
    before = outputs(toy)
    toys.set_param(toy, "first", "wait", 0.01)
    toys.set_param(toy, "second", "wait", 0.01)
    (toy / REPORTS / "page.html").write_text("of the second run")
    assert {line for line in run().values() if dvc.RESTORED in line} == set()
    assert outputs(toy) != before
    toys.set_param(toy, "first", "wait", 0)
    toys.set_param(toy, "second", "wait", 0)
    told = run()
    assert dvc.RESTORED not in told["first"], "it is not redacted, so in no cache"
    assert {name: dvc.RESTORED in line for name, line in told.items()} == {"first": False, "second": True, "train": True}
    assert outputs(toy) == before, "the bytes, the lock, and the reports of that run"
    assert dvc.stale() == {}


def test_an_output_that_holds_what_no_run_made_is_made_again(toy: Path) -> None:
    """A killed stage leaves half a file where it writes in place, and a person may write into any."""
    before = outputs(toy)
    toys.set_param(toy, "second", "wait", 0.01)
    run()
    (toy / toys.SECOND / "text.txt").write_text("half a fi")
    toys.set_param(toy, "second", "wait", 0)
    told = run()
    assert dvc.RESTORED not in told["second"]
    assert dvc.RESTORED in told["train"]
    assert outputs(toy) == before


def test_force_runs_a_stage_that_ran_before(toy: Path) -> None:
    told: list[str] = []
    dvc.reproduce("second", told.append, force=True)
    assert "second: ends" in told


def test_an_output_that_left_the_cache_is_made_again(toy: Path) -> None:
    before = outputs(toy)
    toys.set_param(toy, "second", "wait", 0.01)
    run()
    shutil.rmtree(toy / ".dvc" / "cache" / "files")
    toys.set_param(toy, "second", "wait", 0)
    assert dvc.RESTORED not in "".join(run().values())
    assert outputs(toy) == before


def test_what_is_private_never_comes_into_the_cache_that_way(toy: Path) -> None:
    toys.set_param(toy, "first", "wait", 0.01)
    run()
    kept = b"".join(path.read_bytes() for path in (toy / ".dvc" / "cache").rglob("*") if path.is_file())
    assert b"second {'wait'" in kept
    assert b"first {'wait'" not in kept


def test_reports_of_few_runs_are_kept(toy: Path) -> None:
    folder = toy / runs.REPORTS / "second"
    (kept,) = folder.iterdir()
    for number in range(runs.KEPT):
        shutil.copytree(kept, folder / f"earlier-{number}")
    with dvc.repository() as repository:
        assert runs.keep(repository, "second") == []
    assert len(list(folder.iterdir())) == runs.KEPT
    assert kept.is_dir()


def test_a_file_that_the_cache_has_lost_or_cut_fails_the_stage(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with dvc.repository() as repository:
        (stage,) = repository.stage.load_all(name="second")
        store = Path(repository.cache.local.path)
    objects = [path for path in store.rglob("*") if path.is_file() and path.read_bytes().startswith(b"second {")]
    objects[0].chmod(0o644)
    objects[0].write_bytes(b"sec")
    with dvc.repository() as repository:
        assert runs.keep(repository, "second") == [str(toys.SECOND)]
    objects[0].unlink()
    with dvc.repository() as repository:
        assert runs.keep(repository, "second") == [f"{toys.SECOND}/text.txt"]
    assert stage.outs[0].def_path == str(pipeline.stage("second").output)


def test_a_run_whose_cache_has_no_room_is_no_success(toy: Path) -> None:
    toys.set_param(toy, "second", "padding", "x" * 200_000)
    work = "from flows import dvc; dvc.reproduce('second', print)"
    mount = 'mount -t tmpfs -o size=64k none .dvc/cache && exec "$0" -c "$1"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, sys.executable, work]
    if subprocess.run([*command[:3], "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here: needs user namespaces")
    done = subprocess.run(command, cwd=toy, env=toys.environment(), capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1, done
    assert last.startswith("flows.dvc.StageError: DVC's cache: found no whole copy of data/02_second"), done.stderr
    assert last.endswith("free space where the cache lies (`dvc cache dir`), and run again")
    assert (toy / toys.SECOND / "text.txt").stat().st_size > 200_000, "the output itself is whole"
