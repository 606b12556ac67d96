"""Claims about `pairwright verify`: a single wrong byte is found wherever it lies, and named with what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from flows.storage import cache
from tests.builders import stores, toys
from tests.builders.stores import said

RELEASE = Path(toys.SECOND)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy project whose second stage is called `release` and writes a manifest; built, and committed as `one`."""
    root = toys.make(tmp_path_factory.mktemp("built") / "toy", private=True)
    document = yaml.safe_load((root / "dvc.yaml").read_text())
    document["stages"]["release"] = document["stages"].pop("second")
    document["stages"]["release"] |= {"cmd": "python -m toys release && python manifest.py", "params": ["release"]}
    document["stages"]["train"] = document["stages"].pop("train")
    (root / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("second:", "release:"))
    (root / "manifest.py").write_text(
        f"from pathlib import Path\nfrom tests.builders import releases\nreleases.sign(Path({toys.SECOND!r}))\n", encoding="utf-8"
    )
    told = toys.dvc(root, "repro")
    assert "ERROR" not in told, told
    stores.commit(root, "one")
    return root


@pytest.fixture
def project(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = shutil.copytree(built, tmp_path / "toy", symlinks=True)
    monkeypatch.chdir(root)
    return root


def flip(path: Path, old: bytes = b"w", new: bytes = b"v") -> None:
    """Other bytes of the same length."""
    path.chmod(0o644)
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new, 1))


def held(text: bytes) -> Path:
    """The object of the cache that begins so."""
    return next(path for path in cache.folder().rglob("*") if path.is_file() and path.read_bytes().startswith(text))


def test_a_whole_version_has_no_faults_here_or_in_the_cache(project: Path) -> None:
    assert said("verify")[-1].endswith(": no faults")
    assert said("verify", "--rev", "one")[-1].endswith(": no faults")


@pytest.mark.parametrize("revision", [[], ["--rev", "one"]])
def test_a_flipped_byte_in_the_cache_is_found(project: Path, revision: list[str]) -> None:
    broken = held(b"train {")
    flip(broken)
    (line,) = said("verify", *revision, fails=True)
    assert line.startswith(f"failed: {broken}: found ")
    assert f"expected md5 {broken.parent.name}{broken.name}; delete it and run `pairwright pull`" in line


def test_a_list_of_files_that_was_changed_is_found(project: Path) -> None:
    flip(held(b'[{"md5"'), b"text.txt", b"texd.txt")
    assert any("expected md5" in line for line in said("verify", fails=True))


def test_what_was_changed_here_by_hand_is_found_though_the_cache_is_whole(project: Path) -> None:
    flip(project / toys.TRAIN / "text.txt")
    (project / RELEASE / "more.txt").write_text("more")
    (project / RELEASE / "text.txt").unlink()
    told = said("verify", fails=True)
    assert [line.partition(": found ")[0] for line in told] == [
        f"failed: {RELEASE}/more.txt",
        f"failed: {RELEASE}/text.txt",
        f"failed: {toys.TRAIN}/text.txt",
    ]
    assert "a file that dvc.lock does not know" in told[0]
    assert "nothing there" in told[1]
    assert said("verify", "--rev", "one")[-1].endswith(": no faults")


def test_a_manifest_that_does_not_fit_its_release_is_found(project: Path) -> None:
    document = json.loads((project / RELEASE / "manifest.json").read_text())
    document["files"]["text.txt"]["sha256"] = "0" * 64
    document["files"]["gone.txt"] = {"sha256": "1" * 64}
    (project / "manifest.py").write_text(
        f"import json; from pathlib import Path\nPath({str(RELEASE / 'manifest.json')!r}).write_text({json.dumps(document)!r})\n"
    )
    assert "ERROR" not in toys.dvc(project, "repro", "--force")
    told = said("verify", fails=True)
    assert any(f"{RELEASE}/gone.txt: found a file that is in the manifest alone" in line for line in told)
    assert any(f"expected sha256 {'0' * 64}; make the release again" in line for line in told)
    assert len(told) == 2


def test_an_output_that_is_nowhere_is_no_fault_and_is_named(project: Path) -> None:
    shutil.rmtree(project / toys.TRAIN)
    (line,) = [line for line in (project / "dvc.lock").read_text().splitlines() if ".dir" in line][-1:]
    cache.place(cache.folder(), line.split()[-1]).unlink()
    told = said("verify")
    assert told[0] == f"not here: {toys.TRAIN}: neither in the workspace nor in the cache, so not checked"


def test_an_output_that_the_cache_lost_is_a_fault(project: Path) -> None:
    held(b"train {").unlink()
    (line,) = said("verify", fails=True)
    assert "found nothing there; expected md5" in line


def test_what_cannot_be_verified_is_one_line(project: Path) -> None:
    assert len(said("verify", "--rev", "none", fails=True)) == 1
    (project / "dvc.lock").unlink()
    assert said("verify", fails=True) == [
        "error: dvc.lock: found no outputs; expected a version that was built; run `pairwright run`, or name a tag"
    ]
