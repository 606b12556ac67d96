"""Claims about the code deps of `dvc.yaml`: they are what a stage runs, no file more and none less, and a command writes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows import dependencies
from tasks.common.raw_files import files as raw
from tasks.core import engine, ledger, pipeline, tables
from tasks.core.errors import UserError
from tasks.pair import rating_scales
from tests.conftest import ROOT

STAGES = pipeline.stages(ROOT)
PATH = """\
stages:
  toy:
    cmd: python -m house toy
    desc: A toy # said here
    deps: [data/in, .secret/mark, house/gone.py]
    outs: [data/out]
  other:
    cmd: python -m house other
    desc: Another
    deps:
      - data/out # its input
      - house/other.py # itself
      - house/gone.py # no more
    params: [other] # and so on
    outs: [data/end]
"""

LOADED = """
import importlib, json, sys
from tasks.core import shell

def ours():
    return {name: module for name, module in sys.modules.items() if name.partition('.')[0] in ('tasks', 'trainer', 'expectations')}

found = {}
for stage, module in json.loads(sys.argv[1]).items():
    for name in ours():
        del sys.modules[name]
    importlib.import_module(module)
    found[stage] = sorted(module.__file__ for module in ours().values())
print(json.dumps(found))
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A project with two stages; what each file holds is what it imports."""
    files = {
        "__init__": "",
        "__main__": "import sys\nimport importlib\nimportlib.import_module(stage.module)\n",
        "toy": "from house import near\n",
        "near": "def late():\n    from house.deep import far\n",
        "other": "if TYPE_CHECKING:\n    import house.near\nelse:\n    from . import words\n",
        "words": 'LISTS = "lists"\nONE = "one.txt"\n',
        "unused": "import house.toy\n",
        "deep/__init__": "",
        "deep/far": 'import importlib\nimportlib.import_module("house.named")\nimport json, numpy\n',
        "named": "",
    }
    for name, text in files.items():
        path = tmp_path / "house" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name in ("one.txt", "two.txt", "lists/en.yaml", "lists/de.yaml"):
        path = tmp_path / "house" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x", encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text(PATH, encoding="utf-8")
    return tmp_path


def code(root: Path, stage: str) -> list[str]:
    return dependencies.code_of(pipeline.stage(stage, root), root)


def test_imports_are_followed_into_functions_packages_and_names_given_as_text(house: Path) -> None:
    own = ["__init__.py", "__main__.py", "deep", "named.py", "near.py", "toy.py"]
    assert code(house, "toy") == [f"house/{name}" for name in own]


def test_what_type_checkers_alone_import_is_no_dep_and_named_data_is_one(house: Path) -> None:
    own = ["__init__.py", "__main__.py", "lists", "one.txt", "other.py", "words.py"]
    assert code(house, "other") == [f"house/{name}" for name in own]


def test_an_import_by_a_name_that_nobody_can_read_is_refused_in_one_line(house: Path) -> None:
    (house / "house" / "near.py").write_text("importlib.import_module(sys.argv[1])\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"near.py:1: found import_module\(sys.argv\[1\]\); expected a name that can be read") as caught:
        code(house, "toy")
    assert "\n" not in str(caught.value)


def test_deps_are_written_and_all_else_stands_as_it_stood(house: Path) -> None:
    lines = dependencies.write(house)
    assert "toy: house/near.py is run and no dep: run `make deps`" in lines
    assert "other: house/gone.py is a dep and not run: run `make deps`" in lines
    text = (house / "dvc.yaml").read_text(encoding="utf-8")
    one_line = "data/in, .secret/mark, house/__init__.py, house/__main__.py, house/deep, house/named.py, house/near.py, house/toy.py"
    listed = ["data/out # its input", "house/__init__.py", "house/__main__.py", "house/lists", "house/one.txt", "house/other.py # itself"]
    listed.append("house/words.py")
    before = PATH.replace("data/in, .secret/mark, house/gone.py", one_line)
    start = before.index("      - data/out #")
    assert text == before[:start] + "".join(f"      - {line}\n" for line in listed) + before[before.index("    params: [other]") :]
    pipeline._stages.cache_clear()
    assert dependencies.differences(house) == dependencies.write(house) == []
    assert (house / "dvc.yaml").read_text(encoding="utf-8") == text


def test_a_folder_stands_for_its_files_only_where_all_of_them_are_run(house: Path) -> None:
    (house / "house" / "deep" / "unused.py").touch()
    assert [path for path in code(house, "toy") if "deep" in path] == ["house/deep/__init__.py", "house/deep/far.py"]


def test_every_module_of_ours_that_a_stage_loads_is_among_its_deps() -> None:
    roots = {name: stage.module for name, stage in STAGES.items()}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps(roots)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    for name, files in json.loads(done.stdout.splitlines()[-1]).items():
        deps = [ROOT / path for path in STAGES[name].code]
        missing = [file for file in map(Path, files) if not any(file == dep or dep in file.parents for dep in deps)]
        assert not missing, f"{name} loads {missing}, which is not among its deps"
        assert len(files) > 5


def stages_with(file: str | None) -> list[str]:
    """The stages that an edit of this file makes stale."""
    path = Path(file or "").relative_to(ROOT)
    return [name for name, stage in STAGES.items() if any(path == dep or dep in path.parents for dep in stage.code)]


def test_the_reader_of_raw_files_is_run_by_those_who_read_raw_files_alone() -> None:
    assert stages_with(raw.__file__) == ["ingest", "decontaminate"]


def test_the_scales_of_ratings_are_run_by_pair_alone() -> None:
    assert stages_with(rating_scales.__file__) == ["pair"]


@pytest.mark.parametrize("name", [name for name, stage in STAGES.items() if stage.module.startswith("trainer.")])
def test_training_runs_no_tables_and_no_engine(name: str) -> None:
    run = dependencies.closure(("trainer.__main__", STAGES[name].module), ROOT)
    assert not run & {Path(module.__file__ or "") for module in (tables, engine, ledger)}


def test_the_file_is_yaml_that_dvc_reads() -> None:
    document = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    for name, entry in document["stages"].items():
        assert len(entry["deps"]) == len(set(entry["deps"])), f"{name} names a dep twice"
