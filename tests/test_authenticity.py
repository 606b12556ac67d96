"""Claims about a release that somebody changed and gave a manifest that fits: no reader takes it for what the workspace made."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import pytest
import yaml

from tasks.core import authenticity, manifest, pipeline
from tasks.core.errors import UserError
from tests.builders import projects, releases
from tests.builders.stores import said
from tests.conftest import ROOT
from trainer.data import release_reader
from trainer.models import training_context


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a release that its `dvc.lock` names, in the current folder."""
    root = projects.make_project(tmp_path / "workspace")
    releases.write(root / release(), releases.planted({"train": 3, "validation": 2, "test": 2}))
    lock(root, authenticity.digest(root / release()))
    monkeypatch.chdir(root)
    return root


def release() -> Path:
    return pipeline.stage("release", ROOT).output


def lock(root: Path, digest: str) -> None:
    """A `dvc.lock` that names the release."""
    outs = [{"path": str(release()), "hash": "md5", "md5": digest}]
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"release": {"cmd": "x", "outs": outs}}}))


def forge(folder: Path) -> None:
    """Other pairs, and a manifest that fits them."""
    made = folder.parent / "other"
    releases.write(made, releases.planted({"train": 3, "validation": 2, "test": 2}, seed=7))
    shutil.rmtree(folder)
    made.rename(folder)
    manifest.verify(folder)


def test_a_digest_is_the_one_that_dvc_knows_a_folder_by(tmp_path: Path) -> None:
    from dvc.fs import LocalFileSystem
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import get_odb

    for name in ("b.txt", "a/z.txt", "a.txt", "a/ä.txt", "c/d/e"):
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_text(name)
    store = get_odb(LocalFileSystem(), str(tmp_path / "cache"), hash_name="md5")
    _, _, made = build(store, str(tmp_path / "folder"), LocalFileSystem(), "md5", dry_run=True)
    assert made.hash_info is not None
    assert authenticity.digest(tmp_path / "folder") == made.hash_info.value


def test_the_release_that_the_workspace_made_is_read_without_a_word(workspace: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert release_reader.verified(release()) == manifest.file_digest(release() / manifest.NAME)


def test_every_reader_refuses_a_forged_release_in_one_line(workspace: Path, tmp_path: Path) -> None:
    forge(workspace / release())
    with pytest.raises(UserError, match=r"which nobody recorded; expected .* as in dvc\.lock"):
        release_reader.verified(release())
    with pytest.raises(UserError, match="which nobody recorded"):
        training_context.read(workspace / "model", release())
    (line,) = said("export", "verl", "--to", str(tmp_path / "out"), fails=True)
    assert "which nobody recorded" in line
    stages = [name for name, stage in pipeline.stages(ROOT).items() if release() in stage.data]
    assert stages == ["start", "reward", "train", "evaluate", "compress", "compare"]
    done = projects.run_stage(workspace, stages[0])
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "which nobody recorded" in done.stderr


def test_no_stage_reads_a_release_without_asking(workspace: Path) -> None:
    """Each of them asks in its first line about the release: by itself, or for the context of the model that it goes on from."""
    asks = ("release_reader.verified(", "training_context.read(")
    for name, stage in pipeline.stages(ROOT).items():
        if release() in stage.data:
            assert any(ask in (ROOT / "trainer" / f"{name}.py").read_text(encoding="utf-8") for ask in asks), name


def test_a_copy_elsewhere_in_the_workspace_must_be_a_recorded_version(workspace: Path) -> None:
    copy = shutil.copytree(workspace / release(), workspace / "copy")
    with pytest.warns(UserWarning, match="unsigned"):
        authenticity.accept(copy)
    records = (workspace / release()).parent / authenticity.RECORDS
    records.mkdir()
    (records / "v1.json").write_text(json.dumps({"release": {"md5": authenticity.digest(copy)}}))
    assert authenticity.vouched(copy)
    forge(copy)
    with pytest.raises(UserError, match=r"as in data/versions/v1\.json"):
        authenticity.accept(copy)


def test_outside_of_a_workspace_a_release_is_called_unsigned_once(workspace: Path, tmp_path: Path) -> None:
    away = shutil.copytree(workspace / release(), tmp_path / "away")
    with pytest.warns(UserWarning, match="unsigned") as told:
        authenticity.accept(away)
    assert len(told) == 1
