"""Claims about the code that pages and messages show: programs would understand it, parameters have it, and each command is run somewhere.

`tests.test_docs_run` types the commands; those that `tests.builders.elsewhere` lists are run by the test named there.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import sections
from flows.nights import prometheus
from flows.preflight import parameters
from tasks.core import params
from tasks.ingest.formats import recognise
from tests.benchmarks import mutation
from tests.builders import elsewhere, pages, parsers
from tests.builders.pages import Block
from tests.conftest import ROOT

LANGUAGES = {"sh", "console", "python", "pycon", "yaml", "json", "text", ""}
CODE = ("flows", "tasks", "trainer", "expectations", "docs")
IN_TICKS = re.compile(rf"`({pages.TYPED.pattern}[^`]*)`")
RUN_BY_PYTHON = {  # page: the test that runs its blocks of Python
    "README.md": "test_docs_run",
    "docs/how-to/sources/own-columns.md": "test_examples",
    "docs/how-to/sources/preference-sets.md": "test_docs_commands",  # loads from the Hub; compiled only
    "docs/how-to/trace-a-pair.md": "test_docs_run",
    "docs/tutorial/from-an-export-to-a-chat.md": "test_docs_run",
    "docs/tutorial/from-python.md": "test_library",
}
MAKE = {"test": "pytest -m \"not slow\"", "slow": "pytest -m slow", "lock": "python -m flows.supply.lock"}  # fmt: skip


def shown(language: str) -> list[Block]:
    return [block for block in pages.blocks() if block.language == language]


def place(block: Block) -> str:
    return block.place


def test_every_block_says_its_language_and_output_is_not_to_be_typed() -> None:
    assert {block.language for block in pages.blocks()} <= LANGUAGES
    assert [block.place for block in pages.blocks() if block.language in ("", "text") and pages.TYPED.match(block.text)] == []


@pytest.mark.parametrize("text", sorted({one.text for one in (*pages.commands(), *pages.mentions())}))
def test_programs_have_the_subcommands_and_options_that_pages_give(text: str) -> None:
    assert list(parsers.faults(text)) == []


def said(path: Path) -> Iterator[tuple[int, str]]:
    """The texts in a module, with the number of their line; `X` stands for what a text is filled with."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize("package", CODE)
def test_programs_have_the_subcommands_and_options_that_messages_advise(package: str) -> None:
    texts = [(path, line, text) for path in sorted((ROOT / package).rglob("*.py")) for line, text in said(path)]
    found = [(path, line, command) for path, line, text in texts for command in IN_TICKS.findall(text)]
    assert found or package not in ("flows", "tasks", "trainer")
    assert [f"{path}:{line}: {fault}" for path, line, command in found for fault in parsers.faults(command)] == []


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml", "prefect.yaml", "pyproject.toml", "examples/deploy/pairwright-serve.service"])
def test_programs_have_the_subcommands_and_options_that_comments_advise(name: str) -> None:
    commands = IN_TICKS.findall((ROOT / name).read_text(encoding="utf-8"))
    assert [fault for command in commands for fault in parsers.faults(command)] == []


def test_commands_that_are_listed_as_run_elsewhere_stand_on_a_page() -> None:
    given = {elsewhere.of(one.text) for one in pages.commands()}
    assert set(elsewhere.TABLE) - given == set()


@pytest.mark.parametrize("text", elsewhere.TABLE)
def test_commands_that_are_run_elsewhere_are_run_by_the_test_that_is_named(text: str) -> None:
    listed = elsewhere.TABLE[text]
    module, _, name = listed.test.partition("::")
    source = (ROOT / "tests" / f"{module}.py").read_text(encoding="utf-8")
    assert re.search(rf"^def {name}\(", source, re.MULTILINE), f"{text}: there is no {listed.test}"
    assert listed.words in source, f"{text}: {module} does not call it as {listed.words}"


@pytest.mark.parametrize(("target", "does"), MAKE.items())
def test_make_would_do_what_it_says(target: str, does: str) -> None:
    env = os.environ | {"MAKEFLAGS": "APT="}
    done = subprocess.run(["make", "-n", target], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert does in done.stdout


def test_the_mutation_run_takes_the_options_of_its_page() -> None:
    calls = [one.text.partition("tests.benchmarks.mutation ")[2] for one in pages.commands() if one.page.endswith("mutation.md")]
    assert len(calls) == 6
    for call in calls:
        assert set(mutation.options().parse_args(shlex.split(call)).area) <= set(mutation.AREAS)


@pytest.mark.parametrize("block", [*shown("python"), *shown("pycon")], ids=place)
def test_blocks_of_python_compile_and_are_run_by_a_test_that_reads_their_page(block: Block) -> None:
    module = ROOT / "tests" / f"{RUN_BY_PYTHON[block.page]}.py"
    assert Path(block.page).name in module.read_text(encoding="utf-8")
    if block.language == "python":
        compile(block.text, block.place, "exec")


@pytest.mark.parametrize("block", shown("json"), ids=place)
def test_blocks_of_json_are_json_and_records_of_logs_are_recognised(block: Block) -> None:
    for record in documents(block.text):
        if set(record) & {"messages", "kind", "conversations", "input"}:
            assert recognise(record), f"{block.place}: no reader knows {record}"


def documents(text: str) -> Iterator[dict[str, Any]]:
    """The JSON documents of a text, one after another; one that ends in `...` is shown in part."""
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest and not rest.rstrip().endswith("..."):
        found, end = decoder.raw_decode(rest)
        rest = rest[end:].strip()
        yield found


@pytest.mark.parametrize("block", shown("yaml"), ids=place)
def test_blocks_of_parameters_have_keys_and_values_that_their_section_takes(block: Block) -> None:
    document = yaml.safe_load(block.text)
    if isinstance(document, list):
        assert_alerts(document)
        return
    ours = params.read(ROOT / "params.yaml")
    for section, values in document.items():
        params.check("params.yaml", section, laid_over(ours[section], values), models()[section])


def models() -> dict[str, type[params.StageParams]]:
    """The model of every section."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return {name: module.Params for name, module in parameters._modules().items()} | sections.models()


def laid_over(ours: Any, theirs: Any) -> Any:
    """Parameters with those of a page in place of ours, key by key."""
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        return theirs
    return ours | {key: laid_over(ours.get(key), value) for key, value in theirs.items()}


def assert_alerts(rules: list[dict[str, str]]) -> None:
    """Rules for Prometheus ask for metrics that a run writes."""
    known = Path(prometheus.__file__).read_text(encoding="utf-8")
    for rule in rules:
        assert set(rule) == {"alert", "expr"}
        assert all(f'"{name}"' in known for name in re.findall(r"pairwright_\w+", rule["expr"]))
