"""One vocabulary: what stands in the tables is named once, with its meaning, and code, suites and parameters draw from it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from tasks.aggregate import stage as aggregate
from tasks.common.vocabulary import kinds, roles, splits, states, window
from tasks.common.vocabulary.reasons import ingest
from tasks.common.vocabulary.reasons.every import STAGES
from tasks.common.vocabulary.reasons.pair import UNTRAINABLE
from tasks.core.tables import TABLES
from tasks.pair.trainability import Trainability
from tests.builders.toys import environment
from tests.conftest import ROOT

OURS = ("tasks", "expectations", "flows", "trainer")
HOME = ROOT / "tasks" / "common" / "vocabulary"
WORD = re.compile(r"[a-z][a-z0-9_]*")
REASONS = [(stage, table, reason) for stage, tables in STAGES.items() for table, known in tables.items() for reason in known]
# Calls whose first text is the reason for which something is not read.
REFUSALS = {"Unreadable", "Fault", "tell", "_tell"}


def sources() -> dict[Path, ast.Module]:
    """Our modules outside the vocabulary."""
    files = [file for room in OURS for file in sorted((ROOT / room).rglob("*.py")) if HOME not in file.parents]
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in files}


def texts(node: ast.AST) -> set[str]:
    """The texts that stand in a literal list, tuple, set or dict, its keys only."""
    inside = node.keys if isinstance(node, ast.Dict) else node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else []
    return {one.value for one in inside if isinstance(one, ast.Constant) and isinstance(one.value, str)}


@pytest.mark.parametrize(("stage", "table", "reason"), REASONS)
def test_every_reason_is_one_word_with_a_meaning(stage: str, table: str, reason: str) -> None:
    meaning = STAGES[stage][table][reason]
    assert WORD.fullmatch(reason)
    assert len(meaning.split()) > 2
    assert not meaning.endswith("."), "a meaning completes a sentence; who prints it ends it"
    assert table in {*TABLES, "records"}


DECLARED = """
import importlib, sys
from tasks.core import pipeline
for name, stage in pipeline.stages().items():
    if stage.command.startswith("python -m tasks"):
        for module in [one for one in sys.modules if one.partition(".")[0] in ("tasks", "expectations")]:
            del sys.modules[module]
        importlib.import_module(stage.module)
        print(name, *importlib.import_module("tasks.core.ledger")._declared)
"""


def test_every_stage_declares_its_own_reasons_and_no_others() -> None:
    done = subprocess.run([sys.executable, "-c", DECLARED], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    declared = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert {name for name, found in declared.items() if name != "release"} == {name for name, known in STAGES.items() if known}
    assert {name: found for name, found in declared.items() if name != "release" and name not in found} == {}
    assert declared["clean"] == ["clean"], "another stage's words make no stage stale"


def test_every_reason_is_given_somewhere() -> None:
    code = "\n".join(file.read_text(encoding="utf-8") for file in sources())
    built = {"lost_code", "lost_link", "lost_placeholder", *window.MEANINGS}  # put together from a kind; named by the model of tokens
    unused = {reason for _, _, reason in REASONS if not re.search(rf'\b{reason.upper()}\b|"{reason}"', code)}
    assert unused - built == set()


def test_every_word_for_which_something_is_not_read_is_in_the_vocabulary() -> None:
    known = {*ingest.LEFT_OUT, *ingest.UNREAD, *ingest.NOTES}
    calls = [node for tree in sources().values() for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    refusals = [call for call in calls if getattr(call.func, "id", getattr(call.func, "attr", "")) in REFUSALS]
    first = [call.args[0].value for call in refusals if isinstance(call.args[0], ast.Constant)]
    found = {text for text in first if isinstance(text, str) and WORD.fullmatch(text)}
    assert {"not_json", "cannot_be_read", "bomb"} <= found
    assert found <= known


@pytest.mark.parametrize(
    ("words", "enough"),
    [(set(kinds.GIVEN) | {*kinds.SIGNALS}, 4), (set(roles.ROLES), 4), (set(splits.SPLITS), 3), (set(states.STATES) - {""}, 3)],
    ids=["kinds", "roles", "splits", "states"],
)
def test_nobody_but_the_vocabulary_lists_its_words(words: set[str], enough: int) -> None:
    lists = [(file, node) for file, tree in sources().items() for node in ast.walk(tree) if len(texts(node) & words) >= enough]
    told = [f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}" for file, node in lists if texts(node) <= words]
    assert told == [], "import the list from tasks.common.vocabulary"


def test_every_kind_of_feedback_is_a_vote_or_silent_or_made_from_next_turns() -> None:
    assert set(kinds.GIVEN) == {*kinds.VOTED, *kinds.SILENT}
    assert set(kinds.MEANINGS) == {*kinds.GIVEN, *kinds.SIGNALS}
    assert set(kinds.REWRITES) == {name for name, way in kinds.VOTED.items() if way == kinds.REWRITE}
    assert set(kinds.VALUED) <= set(kinds.VOTED)


def test_parameters_take_the_words_of_the_vocabulary() -> None:
    signals = aggregate.Params.model_fields["signals"].annotation
    assert signals is not None
    (use,) = get_args(signals.model_fields["use"].annotation)
    assert set(get_args(use)) == set(kinds.SIGNALS)
    findings = set(Trainability.model_fields) - {"tokenizer", "max_length"}
    assert findings == set(UNTRAINABLE)
    assert set(splits.MEANINGS) == {*splits.SPLITS, splits.NEITHER, splits.ANYWHERE}
