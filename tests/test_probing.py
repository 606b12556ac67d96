"""The probe: what a judge of words learns from pairs, what it suspects, and what more votes would bring."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.probing.tfidf import Probe
from tests import releases

Texts = list[str]


def columns(rows: list[dict[str, Any]]) -> tuple[Texts, Texts, Texts]:
    """Prompts, chosen and rejected answers as texts."""
    prompts, chosen, rejected = ([row[name][-1]["content"] for row in rows] for name in ("prompt", "chosen", "rejected"))
    return prompts, chosen, rejected


def test_the_probe_learns_a_planted_preference() -> None:
    train, test = releases.planted({"train": 300}, 1, noise=0.1), releases.planted({"test": 200}, 2, noise=0.0)
    assert (Probe.fit(*columns(train)).margins(*columns(test)) > 0).mean() > 0.85


def test_swapping_the_answers_turns_the_sign_exactly() -> None:
    rows = releases.planted({"train": 120}, 3)
    prompts, chosen, rejected = columns(rows)
    probe = Probe.fit(prompts, chosen, rejected)
    forth, back = probe.margins(prompts, chosen, rejected), probe.margins(prompts, rejected, chosen)
    assert np.array_equal(forth, -back)
    assert np.all(probe.margins(prompts, chosen, chosen) == 0)


def test_a_weight_counts_as_so_many_equal_pairs() -> None:
    prompts, chosen, rejected = ["q"] * 3, ["yes sir", "no sir", "yes sir"], ["no madam", "yes madam", "no madam"]
    weighed = Probe.fit(prompts[:2], chosen[:2], rejected[:2], [2.0, 1.0]).margins(["q"], ["yes"], ["no"])
    assert weighed[0] > 0
    assert Probe.fit(prompts[:2], chosen[:2], rejected[:2], [1.0, 2.0]).margins(["q"], ["yes"], ["no"])[0] < 0


@pytest.mark.parametrize(("prompts", "chosen", "rejected"), [([], [], []), (["q"], [""], [""]), (["q"], ["same"], ["same"])])
def test_pairs_that_say_nothing_teach_nothing(prompts: Texts, chosen: Texts, rejected: Texts) -> None:
    probe = Probe.fit(prompts, chosen, rejected)
    assert probe.margins(["a", "b"], ["c", ""], ["d", ""]).tolist() == [0, 0]
    assert probe.margins([], [], []).shape == (0,)


def test_one_pair_is_learned() -> None:
    assert Probe.fit(["q"], ["good word"], ["bad word"]).margins(["p"], ["good"], ["bad"])[0] > 0


def test_scripts_without_spaces_are_read_character_by_character() -> None:
    chosen, rejected = ["谢谢您的耐心", "谢谢您来信"], ["这是您的错", "是您的错误"]
    assert Probe.fit(["问", "问"], chosen, rejected).margins(["问"], ["非常谢谢"], ["您弄错了"])[0] > 0


@settings(max_examples=20)
@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8)), max_size=5))
def test_any_text_can_be_judged(rows: list[tuple[str, str, str]]) -> None:
    prompts, chosen, rejected = ([row[place] for row in rows] for place in range(3))
    assert np.isfinite(Probe.fit(prompts, chosen, rejected).margins(prompts, chosen, rejected)).all()
