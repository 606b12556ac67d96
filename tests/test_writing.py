"""What a model writes counts: broken texts are seen, good ones pass, and no reward model overrules either."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders.training import tiny
from tests.conftest import ROOT
from trainer.evaluation import evaluation_metrics, quality, repetition, verdict
from trainer.evaluation.quality import Answer

# What the help desk says, and what a model said that had learned to prefer and forgotten to write.
GOOD = [
    "Thank you for telling us. 1. Open the account page. 2. Choose the order. 3. Press confirm. I am glad to help further.",
    "Our records are updated each night. For billing there is a clear answer. First open settings, second choose help, third send it.",
    "Gracias por avisarnos. 1. Reinicie el aparato. 2. Espere un minuto. 3. Pruebe otra vez. Dígame si queda algo pendiente.",
]
BROKEN = "Thank you for telling us. 2. 3. 3. 1. 1. 2. 3. 1. 1. 1. 2. 3. 2. 2. 1. 3. 1. 1. 3. 2. 3."
BOUNDS = quality.Bounds(length_ratio=1.5, unended=0.05, repetition=0.05, empty=0.05, surprise=0.5)


def tokens(text: str) -> list[int]:
    """Every word, and every mark, as a number of its own."""
    parts = "".join(f" {sign} " if sign in ".,|" else sign for sign in text).split(" ")
    return [zlib.crc32(part.encode()) for part in parts if part]


def said(texts: Sequence[str], unended: int = 0) -> list[Answer]:
    """Answers of these texts, the first `unended` without an end."""
    return [Answer(tokens(text), text, at >= unended) for at, text in enumerate(texts)]


def faults(policy: list[Answer], reference: list[Answer] | None = None, chosen: list[Answer] | None = None, nats: float = 0.4) -> list[str]:
    """What the policy writes worse; the others write well and are no surprise where nothing else is given; `nats` a token is the policy."""
    good = said([GOOD[at % 3] for at in range(len(policy))])
    answers = {"policy": policy, "reference": reference or good, "chosen": chosen or good}
    figures = {
        name: quality.writer_metrics(rows, np.array([(nats if name == "policy" else 0.4) * len(row.tokens) for row in rows]))
        for name, rows in answers.items()
    }
    return quality.faults(figures, answers, BOUNDS, 0.01)


# --- going round ---


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 9), min_size=1, max_size=16))
def test_four_times_the_same_is_a_loop_wherever_it_stands(before: list[int], part: list[int]) -> None:
    assert repetition.loops([*before, *part * max(4, -(-16 // len(part)))])
    assert not repetition.loops([*part, *range(100, 130)])


@given(st.integers(0, 10**6), st.integers(2, 3), st.integers(0, 30))
def test_a_few_tokens_in_any_order_go_round(seed: int, kinds: int, before: int) -> None:
    circling = random.Random(seed).choices(range(kinds), k=40)
    assert repetition.goes_round([*range(100, 100 + before), *circling, *range(200, 210)])


def test_numbers_that_go_round_are_seen_and_a_list_of_steps_is_not() -> None:
    assert not repetition.loops(tokens(BROKEN)), "no part comes four times in a row"
    assert repetition.goes_round(tokens(BROKEN))
    assert not any(repetition.goes_round(tokens(text)) for text in GOOD)
    assert not repetition.goes_round(tokens("| name | price | stock | " + " ".join(f"| thing {at} | {at * 7} euros |" for at in range(9))))


@given(st.lists(st.integers(0, 5), max_size=60))
def test_circles_are_those_of_a_slow_count(row: list[int]) -> None:
    pairs = list(pairwise(row))
    size = repetition.STRETCH - 1
    slow = any(len(set(pairs[at : at + size])) <= repetition.NEW * size for at in range(len(pairs) - size + 1))
    assert repetition.circles(row) == slow


def test_phrases_that_come_back_are_counted_and_shares_of_nothing_say_nothing() -> None:
    eight = list(range(8))
    assert repetition.again([*eight, 99, *eight]) == pytest.approx(1 / 10)
    assert repetition.again(eight) == repetition.again([]) == 0.0
    assert repetition.distinct([1, 2, 1, 2, 1], 2) == 0.5
    assert repetition.compression([GOOD[0]] * 50) > 5 > repetition.compression(GOOD)


# --- faults ---


def test_good_texts_have_no_fault() -> None:
    assert faults(said([GOOD[(at + 1) % 3] for at in range(64)])) == []


def test_the_broken_texts_have_every_fault_that_people_saw() -> None:
    found = faults(said([BROKEN * 3 if at < 40 else GOOD[0] for at in range(64)], unended=18))
    assert "28 % of its answers never end (reference 0 %, chosen answers 0 %)" in found
    assert "62 % of its answers go round in circles (reference 0 %, chosen answers 0 %)" in found
    (length,) = (fault for fault in found if fault.startswith("its answers"))
    assert re.fullmatch(r"its answers are 1\.[5-9]\d times as long as the chosen ones \(reference \d\.\d\d\)", length)


def test_a_fault_that_the_reference_has_too_is_one_beside_the_data() -> None:
    bad = said([GOOD[0]] * 64, unended=18)
    assert faults(bad, reference=bad) == ["28 % of its answers never end (reference 28 %, chosen answers 0 %)"]


def test_answers_that_the_limit_cuts_are_held_against_chosen_ones_that_it_cuts() -> None:
    cut = said([GOOD[0]] * 64, unended=60)
    assert faults(cut, reference=cut, chosen=cut) == []


def test_one_answer_of_few_is_chance_and_many_of_a_thousand_are_not() -> None:
    assert faults(said([GOOD[0]] * 16, unended=2)) == [], "an eighth, but two answers"
    assert len(faults(said([GOOD[0]] * 16, unended=3))) == 1
    assert faults(said([GOOD[0]] * 1000, unended=5)) == []
    assert len(faults(said([GOOD[0]] * 1000, unended=20))) == 1, "two in a hundred, significantly"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "of its answers are empty"),
        ("Thank \ufffd you", "of its answers hold what is no text"),
        (GOOD[1] + " " + GOOD[1], "of its phrases stood in the same answer before"),
        ("Thanks.", "its answers are 0."),
    ],
)
def test_each_kind_of_broken_text_is_told(text: str, words: str) -> None:
    assert any(words in fault for fault in faults(said([text] * 64)))


def test_words_that_the_reference_would_not_say_are_told() -> None:
    assert faults(said(GOOD * 4), nats=0.8) == []
    assert faults(said(GOOD * 4), nats=2.1) == [
        "its answers are unlikely under the reference, 2.10 nats a token (its own 0.40, chosen answers 0.40)"
    ]


# --- the verdict ---


def test_only_who_prefers_better_and_writes_no_worse_is_better() -> None:
    told = {
        (prefers, found, prompts): verdict.decide(
            {"better": prefers, "p_implicit": 1e-9, "p_likelihood": 0.5}, {"prompts": prompts, "faults": list(found)}
        )
        for prefers in (True, False)
        for found in ((), ("28 % of its answers never end",))
        for prompts in (64, 0)
        if prompts or not found
    }
    assert [key for key, one in told.items() if one["better"]] == [(True, (), 64)]
    worse = told[True, ("28 % of its answers never end",), 64]
    assert worse["phrase"] == "prefers better, writes worse: 28 % of its answers never end; it is not recommended"
    assert "prefers better than the reference (p 1e-09 implicit, 0.5 likelihood), but writes worse: 28 %" in worse["sentence"]
    assert "what it writes was not looked at" in told[True, (), 0]["sentence"]
    assert "significantly better than the reference" in told[True, (), 64]["sentence"]
    assert "not significantly better" in told[False, (), 64]["phrase"]


def test_every_bound_stands_in_the_parameters() -> None:
    own: Any = tiny("evaluate").generations.worse
    assert set(own.model_dump()) == set(BOUNDS.model_dump())
    assert evaluation_metrics.WRITING.keys() <= set(evaluation_metrics.WRITTEN)
    assert "worse:" in (ROOT / "params.yaml").read_text(encoding="utf-8")
