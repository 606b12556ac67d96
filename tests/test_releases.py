"""Claims about releases one after the other under the real DVC: the assignment is an input, and part of a version. Slow: minutes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.core import pipeline
from tests.builders.checkouts import checkout, kill_at, run
from tests.builders.projects import digests
from tests.builders.split_runs import text
from tests.conftest import ROOT

pytestmark = pytest.mark.slow
OUTPUT = pipeline.stage("split", ROOT).output
SPLITS = Path("data/splits")


def log(root: Path, chats: range) -> None:
    """Own logs of so many chats, one person for two of them; some persons ask what another asked."""
    lines = []
    for number in chats:
        asked = text(number % 97 if number % 5 else number)
        messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": f"Answer {number}: {text(5000 + number)}"}]
        lines.append(json.dumps({"id": f"c{number}", "user_id": f"p{number // 2}", "messages": messages}))
        lines.append(
            json.dumps({"conversation_id": f"c{number}", "kind": "thumb", "message_index": 1, "value": 1, "user_id": f"p{number // 2}"})
        )
    (root / "data" / "raw" / f"{chats.start}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def commit(root: Path, name: str) -> None:
    """All that git keeps, as one version."""
    for command in (["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", name], ["tag", name]):
        subprocess.run(["git", *command], cwd=root, check=True)


def sides(root: Path) -> dict[str, str]:
    """The split of every prompt that is kept."""
    rows = pq.read_table(root / OUTPUT / "candidates", columns=["prompt_id", "split"]).to_pylist()
    return {row["prompt_id"]: row["split"] for row in rows}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with own logs, released twice: versions `one` and `two`."""
    root = checkout(tmp_path_factory.mktemp("two"))
    shutil.rmtree(root / "data" / "raw")
    (root / "data" / "raw").mkdir()
    for name, chats in (("one", range(80)), ("two", range(80, 110))):
        log(root, chats)
        run(root, "dvc", "repro", "split")
        assert "Data and pipelines are up to date." in run(root, "dvc", "repro", "split"), (
            "what the stage adds to its input makes nothing stale"
        )
        commit(root, name)
    return root


def test_a_second_release_moves_nothing(two: Path) -> None:
    after = sides(two)
    subprocess.run(["git", "checkout", "-q", "one"], cwd=two, check=True)
    run(two, "dvc", "checkout", str(OUTPUT))
    before = sides(two)
    subprocess.run(["git", "checkout", "-q", "two"], cwd=two, check=True)
    run(two, "dvc", "checkout", str(OUTPUT))
    assert len(after) > len(before) > 50
    assert {name: after[name] for name in before if name in after} == {name: side for name, side in before.items() if name in after}


def test_a_clone_with_the_assignment_makes_the_same_and_leaves_git_clean(two: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", str(two), str(tmp_path / "clone")], check=True)
    root = tmp_path / "clone"
    shutil.copytree(two / "data" / "raw", root / "data" / "raw", dirs_exist_ok=True)
    shutil.copy(two / ".pairwright" / "salt", root / ".pairwright" / "salt")
    run(root, "dvc", "repro", "split")
    assert run(root, "git", "status", "--short") == "", "neither dvc.lock nor the assignment changed"
    assert digests(root / OUTPUT) == digests(two / OUTPUT)


def test_an_older_version_brings_its_assignment_back(two: Path, tmp_path: Path) -> None:
    root = tmp_path / "older"
    shutil.copytree(two, root, symlinks=True)
    subprocess.run(["git", "checkout", "-q", "one"], cwd=root, check=True)
    assert len(list((root / SPLITS).glob("*.txt"))) == 2, "the sample's and this project's"
    assert "data/splits" in run(root, "dvc", "status", "split") or "data/05_aggregate" in run(root, "dvc", "status", "split")
    (root / "data" / "raw" / "80.jsonl").unlink()
    run(root, "dvc", "repro", "split")
    assert run(root, "git", "status", "--short") == ""


def test_a_run_killed_while_it_places_loses_nothing_of_the_assignment(two: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for root in (whole, broken):
        shutil.copytree(two, root, symlinks=True)
        log(root, range(110, 140))
    before = digests(broken / SPLITS, "*.txt")
    run(whole, "dvc", "repro", "split")
    shutil.rmtree(broken / OUTPUT)
    assert kill_at(broken, "split", OUTPUT)
    for name, digest in digests(broken / SPLITS, "*.txt").items():
        assert digest in (before[name], digests(whole / SPLITS, "*.txt")[name]), "the file as it was, or as it will be"
    run(broken, "dvc", "repro", "split")
    assert digests(broken / OUTPUT) == digests(whole / OUTPUT)
    assert (broken / "dvc.lock").read_bytes() == (whole / "dvc.lock").read_bytes()


def test_a_night_that_fails_after_the_split_leaves_what_it_placed_where_the_next_night_finds_it(two: Path, tmp_path: Path) -> None:
    root = tmp_path / "night"
    shutil.copytree(two, root, symlinks=True)
    log(root, range(110, 140))
    run(root, "dvc", "repro", "split")
    placed = sides(root)
    shutil.rmtree(root / OUTPUT)  # as if the disk had gone, or `make clean` had come by
    log(root, range(140, 150))
    run(root, "dvc", "repro", "split")
    after = sides(root)
    assert {name: after[name] for name in placed if name in after} == {name: side for name, side in placed.items() if name in after}
    assert len(after) > len(placed)
