"""Claims about the pages' commands: typed as they stand, in the order of their page, each ends well and says what its page shows.

Slow: the sample's tutorial builds a dataset and a model, and the other pages go on from there. `tests.builders.elsewhere` lists the
commands that other tests run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.builders import documented, elsewhere, pages, transcripts
from tests.builders.documented import Workspace
from tests.builders.transcripts import Said

pytestmark = pytest.mark.slow

TUTORIAL, LIBRARY = "docs/tutorial/from-an-export-to-a-chat.md", "docs/tutorial/from-python.md"
README, FIVE_LINES = "README.md", "examples/five_lines/README.md"
ADD, CHANGE = "docs/how-to/add-feedback.md", "docs/how-to/change-a-parameter.md"
PUBLISH, TRACE = "docs/how-to/publish-a-version.md", "docs/how-to/trace-a-pair.md"
FORGET, SEE, REPRODUCE = "docs/how-to/forget-a-person.md", "docs/how-to/see-what-changed.md", "docs/how-to/reproduce-a-dataset.md"
ELSEWHERE = tuple(one.text for one in pages.commands() if elsewhere.of(one.text))
TEAM = (PUBLISH, TRACE, README, SEE, REPRODUCE, FORGET)  # in this order, in one workspace; a purge takes the bytes of what was before
OF_THEIR_OWN = (TUTORIAL, LIBRARY, FIVE_LINES, ADD, CHANGE, *TEAM)
ALONE = sorted({one.page for one in pages.commands() if not elsewhere.of(one.text)} - set(OF_THEIR_OWN))
CLONE = "git clone -q $OUTSIDE/origin.git $OUTSIDE/{0}; cd $OUTSIDE/{0}"
BEFORE = {  # what the reader is taken to have, or to do, before a command
    PUBLISH: {"git checkout dataset@v3.0.0": CLONE.format("clone")},
    README: {
        "pairwright run --no-train --publish": "sed -i 's/min: 0.55/min: 0.57/' params.yaml; git commit -qm 'Surer pairs' params.yaml",
        "pairwright diff 3 4": "git status --short",
    },
    SEE: {"pairwright rollback 3": "git commit -qm 'What dvc repro made' dvc.lock"},
    REPRODUCE: {
        "git checkout dataset@v3.0.0": CLONE.format("again") + "; cp $OUTSIDE/desk/.pairwright/salt .pairwright/; "
        "dvc remote add --local vault $OUTSIDE/vault",
        "dvc remote add --default store s3://bucket/path": "cd $OUTSIDE/desk; dvc remote remove store; "
        "git commit -qm 'No store' .dvc/config",
        "dvc remote add vault s3://private-bucket/logs": "dvc remote remove --local vault",
    },
}
PRIVATE = "sed -i \"/^private:/,/^[a-z]/s/  remote: .*/  remote: vault/\" params.yaml; git commit -qam 'A private store'"


def assert_as_shown(said: list[Said]) -> None:
    assert list(transcripts.faults(said)) == []


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, list[Said]]:
    """A workspace in which the tutorial was gone through, and what its commands said."""
    made = documented.fresh(tmp_path_factory.mktemp("tutorial"))
    return made, made.page(TUTORIAL, ELSEWHERE)


@pytest.fixture
def built(tutorial: tuple[Workspace, list[Said]], tmp_path: Path) -> Workspace:
    """A copy of that workspace."""
    return tutorial[0].copy(tmp_path)


@pytest.fixture(scope="module")
def team(tutorial: tuple[Workspace, list[Said]], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy with a private store for the raw logs, which the pages in `TEAM` go on with one after another."""
    made = tutorial[0].copy(tmp_path_factory.mktemp("team"))
    made.do(f"dvc remote add --local vault $OUTSIDE/vault; {PRIVATE}")
    return made


def test_the_tutorial_s_commands_say_what_it_shows(tutorial: tuple[Workspace, list[Said]]) -> None:
    made, said = tutorial
    assert_as_shown(said)
    summary = next(text for text in documented.outputs(TUTORIAL) if text.startswith("start:"))
    run = next(one for one in said if one.command.text == "pairwright run")
    labels = [label(line) for line in summary.splitlines()]
    assert [label(line) for line in run.out.splitlines() if label(line) in labels][-len(labels) :] == labels
    shown = next(block.text for block in pages.blocks() if block.page == TUTORIAL and block.text.startswith('{\n "better"'))
    assert set(json.loads(shown)) == set(json.loads((made.root / "data/evaluation/verdict.json").read_text(encoding="utf-8")))


def label(line: str) -> str:
    """What stands before the colon."""
    return line.partition(":")[0] + ":"


@pytest.mark.parametrize("page", [TUTORIAL, README, TRACE])
def test_blocks_of_python_run(page: str, built: Workspace) -> None:
    built.do("cp $OUTSIDE/logs/log.jsonl chats.jsonl")
    (built.root / "page.py").write_text("\n".join(documented.python(page)), encoding="utf-8")
    built.do("HF_HOME=$OUTSIDE/hub python page.py")


@pytest.mark.parametrize("page", ALONE)
def test_commands_of_a_page_end_well_and_say_what_it_shows(page: str, built: Workspace) -> None:
    assert_as_shown(built.page(page, ELSEWHERE))


@pytest.mark.parametrize("page", TEAM)
def test_commands_for_versions_and_people_end_well_and_say_what_pages_show(page: str, team: Workspace) -> None:
    assert_as_shown(team.page(page, ELSEWHERE, BEFORE.get(page)))


def test_a_changed_parameter_makes_stale_what_its_page_says(built: Workspace) -> None:
    before = {"pairwright status": "sed -i '/^dedupe:/,/^[a-z]/s/  largest_bucket: .*/  largest_bucket: 65/' params.yaml"}
    assert_as_shown(built.page(CHANGE, ELSEWHERE, before))


def test_feedback_that_was_added_makes_stale_what_its_page_says(tmp_path: Path) -> None:
    made = documented.quick(tmp_path)
    made.do("pairwright run")
    (record,) = (block.text for block in pages.blocks() if block.page == ADD and block.language == "json")
    (made.root / "data/raw/more.jsonl").write_text(record, encoding="utf-8")
    assert_as_shown(made.page(ADD, ELSEWHERE))


def test_a_workspace_of_five_lines_is_made_and_read_as_its_pages_say(tmp_path: Path) -> None:
    made = documented.fresh(tmp_path)
    assert_as_shown(made.page(LIBRARY, ELSEWHERE))
    own = Workspace(made.root / "my-workspace")
    own.do("mkdir data/raw/sample; cp -r ../examples .")
    said = own.page(FIVE_LINES, ELSEWHERE, HF_HOME=str(tmp_path / "hub"))
    assert_as_shown(said)
    assert any(said[-1].out.endswith(shown) for shown in documented.outputs(FIVE_LINES))


def test_the_check_s_lines_are_those_of_its_page(built: Workspace) -> None:
    (shown,) = (block.text for block in pages.blocks() if block.page == "docs/how-to/check-before-a-run.md" and block.language == "text")
    (said,) = built.page("docs/how-to/check-before-a-run.md", ELSEWHERE)
    parameters, logs, *_ = shown.splitlines()
    assert {parameters, logs} <= set(said.out.splitlines())


def test_what_is_put_for_made_up_names_is_needed(tutorial: tuple[Workspace, list[Said]]) -> None:
    texts = [one.text for one in pages.commands()]
    assert [name for name in tutorial[0].placeholders() if not any(name in text for text in texts)] == []
    scripts: Mapping[str, Any] = {page: list(before) for page, before in BEFORE.items()}
    assert [text for given in scripts.values() for text in given if text not in texts] == []
