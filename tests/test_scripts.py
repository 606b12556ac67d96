"""Claims about copies in other scripts, planted small, and about how the benchmark counts them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import scripts

CHATS = 40


@pytest.mark.parametrize("script", [script for script in scripts.SCRIPTS if script.name in ("chinese", "code")], ids=lambda one: one.name)
def test_planted_copies_go_and_nothing_else(tmp_path: Path, script: scripts.Script) -> None:
    found = scripts.measure(tmp_path / "project", script, seed=1, count=CHATS)
    assert (found.f1, dict(found.stayed), dict(found.went)) == (1.0, {}, {})


@pytest.mark.parametrize("script", scripts.SCRIPTS, ids=lambda one: one.name)
def test_every_kind_of_copy_and_of_lookalike_is_planted(script: scripts.Script) -> None:
    kinds = {chat.kind for chat in scripts.Planted(script, 1, CHATS).chats}
    assert kinds == {"base", *scripts.COPIES, *scripts.LOOKALIKES}


def test_the_same_seed_plants_the_same() -> None:
    first, second = (scripts.Planted(scripts.SCRIPTS[0], 3, 10).chats for _ in range(2))
    assert first == second
    assert first != scripts.Planted(scripts.SCRIPTS[0], 4, 10).chats


def test_a_copy_that_stays_and_another_chat_that_goes_are_counted() -> None:
    planted = scripts.Planted(scripts.SCRIPTS[0], 0, 3).chats[:1]
    chats = [replace(planted[0], root=root, kind=kind) for root, kind in (("a", "base"), ("a", "near"), ("b", "base"), ("c", "link"))]
    found = scripts.outcome("x", chats, {0, 1, 2}, [True, False])
    assert (dict(found.stayed), dict(found.went), found.f1, found.pairs, found.foreign) == ({"near": 1}, {"link": 1}, 0.0, 2, 1)
    assert scripts.outcome("x", chats, {1, 2, 3}, []).f1 == 1.0
