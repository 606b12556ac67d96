"""Claims about getting a version back: a clone with the remotes has the bytes of release and reports of every version."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.versions import record
from tests.builders import toys, versions
from tests.builders.versions import published

PAIRS = (3, 8, 5)


@pytest.mark.slow
def test_a_clone_has_the_bytes_of_release_and_reports_of_each_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = versions.make(tmp_path)
    versions.enter(root, monkeypatch)
    document = toys.path_of(root)
    document["stages"]["second"]["meta"] = {"reports": "data/reports/second"}
    toys.set_path(root, document)
    versions.add_git_remote(root)
    store = versions.add_dvc_remote(root)
    made = []
    for pairs in PAIRS:
        versions.build(root, pairs)
        (root / "data/reports/second").mkdir(parents=True, exist_ok=True)
        (root / "data/reports/second/index.html").write_text(f"{pairs} pairs")
        assert published().startswith("Published"), pairs
        made.append(contents(root))
    assert len({str(one) for one in made}) == len(PAIRS)
    versions.git(tmp_path, "clone", "-q", str(tmp_path / "origin.git"), "clone")
    clone = tmp_path / "clone"
    toys.dvc(clone, "remote", "add", "--local", "--default", "store", str(store))
    for number in (2, 1, 3):
        versions.git(clone, "checkout", "-q", record.tag(number))
        told = toys.dvc(clone, "pull", "--allow-missing", toys.SECOND, "data/versions/reports.dvc")
        assert contents(clone) == made[number - 1], told


def contents(root: Path) -> dict[str, bytes]:
    """Every file of the release and of the reports of the version."""
    folders = (root / toys.SECOND, root / "data/versions/reports")
    return {str(path.relative_to(root)): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}
