"""The five places of a stage agree: dvc.yaml, its module, its section of params.yaml, its Params and its tests."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
import yaml

from flows import dependencies, sections
from tasks.core import params, pipeline
from tasks.core.params import StageParams
from tasks.core.tables import TABLES
from tests.conftest import ROOT

STAGES = pipeline.stages(ROOT)
OURS = ("tasks", "trainer", "flows", "expectations")
# The order of the data, as the picture of the path draws it.
ORDER = ["ingest", "clean", "dedupe", "validate", "aggregate", "split", "decontaminate", "augment", "rebalance", "pair"]
ORDER += ["release", "start", "reward", "train", "evaluate", "compress", "compare", "promote"]


def test_stages_stand_in_the_order_of_the_data() -> None:
    assert list(STAGES) == ORDER
    made = [
        Path(f"data/{name}") for name in ("raw", "erased", "benchmarks", "splits", "champion")
    ]  # what people, and earlier releases, put there
    for stage in STAGES.values():
        for path in stage.data:
            assert any(path == out or out in path.parents for out in made), f"{stage.name} reads {path}, which no earlier stage makes"
        made.append(stage.output)


def test_params_file_has_one_section_a_stage() -> None:
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert list(document) == [*ORDER, *sections.MODULES]


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


def test_code_deps_are_what_each_stage_runs_no_file_more_and_none_less() -> None:
    differences = dependencies.differences(ROOT)
    assert not differences, "\n".join(differences)
    for stage in STAGES.values():
        assert all((ROOT / path).exists() for path in stage.code)


def test_no_path_under_data_is_named_outside_dvc_yaml() -> None:
    for package in OURS:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("data/"):
                    assert node.value.count(" ") > 0, f"{file.relative_to(ROOT)}:{node.lineno} names {node.value}"
