"""The reference pages are what the code says, and no page, nor the README, speaks of what does not exist."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.reference import commands, figures, metrics
from flows.reference.pages import FOLDER, PAGES
from flows.reference.settings import settings
from tasks.core import pipeline
from tasks.core.params import nearest
from tasks.core.tables import STRUCTS, TABLES
from tests.conftest import ROOT

STAGES = pipeline.stages(ROOT)
SETTINGS = settings(ROOT)
PATHS = [*STAGES, *(one.path for one in SETTINGS)]
PROSE = sorted(path for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if ROOT / FOLDER not in path.parents)
REMEDY = "run `python -m flows.reference`"
DOTTED = re.compile(r"`([a-z_0-9]+(?:\.[a-z_0-9]+)+)(?:: [^`]*)?`")
FILES = {
    "csv",
    "gz",
    "html",
    "json",
    "jsonl",
    "lock",
    "md",
    "parquet",
    "py",
    "safetensors",
    "sh",
    "svg",
    "toml",
    "txt",
    "yaml",
    "yml",
    "zip",
}
PACKAGES = {"tasks", "trainer", "flows", "expectations", "tests", "python", "datasets", "pairwright"}  # of modules and other files
CODE = re.compile(r"^```[^\n]*\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
CALLED = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?pairwright ([a-z]+)((?: +[^\s|#;&]+)*)", re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_one_that_the_code_makes(name: str) -> None:
    path = ROOT / FOLDER / f"{name}.md"
    assert path.is_file(), REMEDY
    assert path.read_text(encoding="utf-8") == PAGES[name](ROOT), REMEDY


def test_there_is_no_page_that_nothing_makes() -> None:
    assert {path.stem for path in (ROOT / FOLDER).glob("*.md")} - {"index"} == set(PAGES)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.path)
def test_every_parameter_has_a_comment(setting: object) -> None:
    assert getattr(setting, "meaning", ""), "say what it means beside it, in params.yaml or in the model of its section"


@pytest.mark.parametrize("table", [*TABLES, *STRUCTS])
def test_every_column_has_a_meaning(table: str) -> None:
    columns = STRUCTS[table] if table in STRUCTS else TABLES[table].COLUMNS
    assert [column.name for column in columns if not column.meaning] == [], "say what the column means, in tasks/core/tables.py"


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_section_and_tests(stage: str) -> None:
    page = (ROOT / FOLDER / "parameters.md").read_text(encoding="utf-8")
    assert f"\n## {stage}\n" in page, f"{stage} has no section in docs/reference/parameters.md: {REMEDY}"
    assert (ROOT / "tests" / f"test_{stage}.py").is_file(), f"{stage} has no tests: add tests/test_{stage}.py"
    reasons = (ROOT / FOLDER / "reasons.md").read_text(encoding="utf-8")
    assert STAGES[stage].command.startswith("python -m trainer") or f"\n## {stage}\n" in reasons, (
        f"{stage} has no reasons: add a module of its name to the vocabulary's reasons, then {REMEDY}"
    )


@pytest.mark.parametrize("report", [one for classes in metrics.REPORTS.values() for one in classes])
def test_every_field_of_a_report_has_a_meaning(report: type) -> None:
    assert [name for name, meaning in metrics.meanings(report).items() if not meaning] == [], "say beside the field what it means"


@pytest.mark.parametrize("stage", figures.STAGES)
def test_every_figure_of_the_built_metrics_has_a_meaning(stage: str) -> None:
    path = ROOT / STAGES[stage].output / metrics.METRICS
    if not path.is_file():
        pytest.skip("not built here")
    unknown = [name for name in json.loads(path.read_text(encoding="utf-8")) if figures.meaning(stage, name) is None]
    assert unknown == [], "say what they mean in flows/reference/figures.py"


def test_a_figure_that_nobody_described_has_no_meaning() -> None:
    assert figures.meaning("release", "pairs_test") == "released pairs of the split"
    assert figures.meaning("release", "pairs_dev") is None
    assert figures.meaning("evaluate", "generated_distinct_2_chosen")
    assert figures.meaning("evaluate", "generated_joy_chosen") is None
    assert figures.meaning("train", "ppo_kl_after")
    assert figures.meaning("train", "dpo_joy") is None


def existing() -> set[str]:
    """Every dotted name that prose may use: the ends of parameters' paths, and columns of tables and structs."""
    found = {path.split(".", start)[-1] for path in PATHS for start in range(path.count("."))} | set(PATHS)
    shapes = {**{name: shape.COLUMNS for name, shape in TABLES.items()}, **{shape.__name__: shape.COLUMNS for shape in TABLES.values()}}
    shapes |= {name.lower(): fields for name, fields in STRUCTS.items()} | dict(STRUCTS)
    return found | {f"{name}.{column.name}" for name, columns in shapes.items() for column in columns}


def unknown_names(text: str) -> Iterator[str]:
    """Dotted names in a text that are no parameter and no column, each with the nearest that is one."""
    known = existing()
    for name in DOTTED.findall(text):
        first, _, last = name.rpartition(".")
        if name not in known and last not in FILES and first.split(".")[0] not in PACKAGES and not name.replace(".", "").isdecimal():
            yield f"`{name}` does not exist" + (f"; perhaps `{near}`" if (near := nearest(name, PATHS)) else "")


def wrong_commands(text: str) -> Iterator[str]:
    """Calls of the command in a text's code that it would refuse: no such subcommand, or no such option."""
    known = commands.commands()
    code = "\n".join(block or span for block, span in CODE.findall(text))
    for name, rest in CALLED.findall(code):
        if name not in known:
            yield f"`pairwright {name}` does not exist; there are {', '.join(known)}"
        else:
            yield from (f"`pairwright {name}` has no {option}" for option in options(rest) if option not in taken(known[name]))


def options(rest: str) -> list[str]:
    """The options in the arguments of a call."""
    return [word.partition("=")[0] for word in rest.split() if word.startswith("--")]


def taken(parser: ArgumentParser) -> set[str]:
    """The options that a subcommand takes."""
    return {option for action in parser._actions for option in action.option_strings}


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_prose_speaks_of_nothing_that_does_not_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [*unknown_names(text), *wrong_commands(text)] == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("`clean.max_lag_days`, `max_unread.file`, `aggregate.media: keep`, `votes.colour`", ["`votes.colour` does not exist"]),
        ("`clean.max_lag_day`", ["`clean.max_lag_day` does not exist; perhaps `clean.max_lag_days`"]),
        ("`pairs.confidence`, `Turns.tool_name`, `VOTE.reliability`, `params.yaml`, `tasks.clean`", []),
        ("```sh\npairwright rnu\n```", [f"`pairwright rnu` does not exist; there are {', '.join(commands.commands())}"]),
        ("`pairwright run --no-train`, `pairwright run --no-tests`", ["`pairwright run` has no --no-tests"]),
        ("pairwright turns logs into pairs; `from pairwright import clean`", []),
    ],
)
def test_what_does_not_exist_is_told_with_what_does(text: str, told: list[str]) -> None:
    assert [*unknown_names(text), *wrong_commands(text)] == told
