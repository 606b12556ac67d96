"""Claims about nights from end to end: the real stages, run and published by the command that a timer runs, and a clone that has it all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.builders.whole_nights import Workspace, export, workspace

TAGS = [f"dataset@v{number}.0.0" for number in (1, 2, 3)]


@pytest.mark.slow
def test_each_night_is_a_version_that_a_clone_makes_again(tmp_path: Path) -> None:
    at = workspace(tmp_path)
    made = [_night(at, conversations) for conversations in (120, 140)]
    at.set_parameters(pair__confidence__min=0.6)
    made.append(_night(at, 140))
    assert at.tags() == TAGS
    assert len({str(one) for one in made}) == len(TAGS)
    counts = {name: by_split["all"] for name, by_split in at.diff(*TAGS[:2])["pairs"].items()}
    assert counts["before"] + counts["added"] - counts["gone"] == counts["after"]
    assert counts["added"] > 0
    clone = at.clone("clone")
    clone.well("pairwright", "pull", "--rev", TAGS[1])
    assert clone.release() == made[1]
    shutil.rmtree(clone.root / "data" / "release")
    clone.well("dvc", "repro", "--force", "--single-item", "release")
    assert clone.release() == made[1]
    assert clone.status() == ""
    assert "no faults" in clone.well("pairwright", "verify")
    assert all(tag in clone.well("pairwright", "versions") for tag in TAGS)


def _night(at: Workspace, conversations: int) -> dict[str, str]:
    """The release of a night with so many conversations, which must leave nothing behind in git."""
    export(at.root, lambda number: number < conversations)
    done = at.night()
    assert done.code == 0, done.out[-4000:]
    assert "not asked for" in done.out, "training, which --no-train leaves out"
    assert at.status() == ""
    return at.release()
