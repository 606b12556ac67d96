"""The five places of a stage agree: dvc.yaml, its module, its section of params.yaml, its Params and its tests."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
import yaml

from tasks.core import params, pipeline
from tasks.core.params import StageParams
from tasks.core.tables import TABLES
from tests.conftest import ROOT

STAGES = pipeline.stages(ROOT)
OURS = ("tasks", "trainer", "flows", "expectations")
# The order of the data, as the README draws it.
ORDER = ["ingest", "clean", "dedupe", "validate", "aggregate", "split", "decontaminate", "augment", "rebalance", "pair"]
ORDER += ["release", "start", "reward", "train", "evaluate", "compress"]


def test_stages_stand_in_the_order_of_the_data() -> None:
    assert list(STAGES) == ORDER
    made: list[Path] = [Path("data/raw"), Path("data/benchmarks"), Path("data/splits")]  # what people, and earlier releases, put there
    for stage in STAGES.values():
        for path in stage.data:
            assert any(path == out or out in path.parents for out in made), f"{stage.name} reads {path}, which no earlier stage makes"
        made.append(stage.output)


def test_params_file_has_one_section_a_stage() -> None:
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert list(document) == ORDER


@pytest.mark.parametrize("name", STAGES)
def test_stage_has_module_params_section_and_tests(name: str) -> None:
    module = importlib.import_module(STAGES[name].module)
    assert issubclass(module.Params, StageParams)
    for field, info in module.Params.model_fields.items():
        assert info.is_required(), f"{name}.{field} has a default in code"
    params.load(ROOT / "params.yaml", name, module.Params)
    assert (ROOT / "tests" / f"test_{name}.py").is_file()
    entry = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][name]
    assert entry["params"] == (ORDER[: ORDER.index(name) + 1] if name == "release" else [name])  # the manifest tells of all before it
    assert callable(getattr(module, "run", None) or module.work)
    assert set(getattr(module, "WRITES", ())) <= set(TABLES)


@pytest.mark.parametrize("name", STAGES)
def test_deps_cover_every_file_of_ours_that_the_stage_imports(name: str) -> None:
    stage = STAGES[name]
    package = stage.command.split()[2]
    needed = closure([f"{package}.__main__", stage.module])
    covered = [ROOT / path for path in stage.code]
    missing = [file for file in needed if not any(file == path or path in file.parents for path in covered)]
    assert not missing, f"add to the deps of {name}: {[str(file.relative_to(ROOT)) for file in missing]}"
    for path in covered:
        assert path.exists(), f"{name} depends on {path}, which does not exist"


def test_no_path_under_data_is_named_outside_dvc_yaml() -> None:
    for package in OURS:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("data/"):
                    assert node.value.count(" ") > 0, f"{file.relative_to(ROOT)}:{node.lineno} names {node.value}"


def closure(modules: list[str]) -> set[Path]:
    """Files of ours that the modules import, directly or not, with the packages they lie in."""
    seen: set[Path] = set()
    queue = list(modules)
    while queue:
        for file in files_of(queue.pop()):
            if file not in seen:
                seen.add(file)
                queue += imports_of(file)
    return seen


def files_of(module: str) -> list[Path]:
    """The module's file and the `__init__.py` of every package above it; nothing for modules that are not ours."""
    parts = module.split(".")
    if parts[0] not in OURS:
        return []
    found = [ROOT.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    found.append(ROOT.joinpath(*parts).with_suffix(".py"))
    return [file for file in found if file.is_file()]


def imports_of(file: Path) -> list[str]:
    """Dotted names that the file imports, `from a import b` counted as `a` and `a.b`; also inside functions."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names
