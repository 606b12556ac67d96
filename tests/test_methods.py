"""The method chooser: what the release is enough for, what KTO needs, and how noisy the labels are."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common import training_methods
from tasks.common.training_methods import Choice, Needs
from tasks.core.tables import Pairs, Prompts, Unpaired
from tests.builders import releases

NEEDS = Needs(dpo_pairs=10, kto_examples=20, kto_rarer=5, reward_pairs=40, ppo_prompts=30)


def chosen(pairs: int = 0, liked: int = 0, disliked: int = 0, prompts: int = 0, **more: object) -> Choice:
    """The choice for so many training rows, each of a prompt of its own."""
    rows = [releases.row(f"Question {number}", "Yes.", "No.", "train", **more) for number in range(pairs)]
    about = ("prompt_id", "prompt", "split", "augmented_from")
    sides = [True] * liked + [False] * disliked
    singles = [releases.row(f"Single {number}", "Yes.", "No.", "train") for number in range(len(sides))]
    examples = [{name: row[name] for name in about} | {"label": side} for row, side in zip(singles, sides, strict=True)]
    asked = [releases.row(f"Question {number}", "Yes.", "No.", "train") for number in range(prompts)]
    made = {
        "pairs": (Pairs, rows),
        "unpaired": (Unpaired, examples),
        "prompts": (Prompts, [{name: row[name] for name in about} for row in asked]),
    }
    return training_methods.choose({name: pa.Table.from_pylist(part, schema=table.schema()) for name, (table, part) in made.items()}, NEEDS)


@pytest.mark.parametrize(
    ("counts", "advice", "enough"),
    [
        ({"pairs": 10}, "dpo", {"dpo"}),
        ({"pairs": 9, "liked": 15, "disliked": 5}, "kto", {"kto"}),
        ({"pairs": 9, "liked": 16, "disliked": 4}, None, set()),
        ({"pairs": 40, "prompts": 30}, "dpo", {"dpo", "ppo"}),
        ({"pairs": 40, "prompts": 29}, "dpo", {"dpo"}),
        ({}, None, set()),
    ],
)
def test_a_method_needs_as_many_rows_as_the_parameters_say(counts: dict[str, int], advice: str | None, enough: set[str]) -> None:
    found = chosen(**counts)
    assert found.advice == advice
    assert {name for name, method in found.methods.items() if method.enough} == enough


def test_the_verdict_names_what_is_enough_or_what_is_nearest() -> None:
    assert chosen(pairs=40, prompts=30).verdict() == "Enough for DPO; also enough for a reward model and PPO."
    assert chosen(pairs=5, liked=3).verdict() == "Not enough for any method; nearest is DPO, with 5 of 10 pairs."


def test_variants_and_other_splits_are_no_evidence() -> None:
    assert chosen(pairs=20, augmented_from="parent").evidence["paired"] == 0
    assert chosen(pairs=20, prompts=3).evidence == {"paired": 20, "ranked": 0, "unpaired": 0, "prompt_only": 0}
    assert chosen(pairs=2, prompts=5, recipe="ranking").evidence == {"paired": 2, "ranked": 2, "unpaired": 0, "prompt_only": 3}


def test_label_noise_is_what_confidence_leaves() -> None:
    assert chosen(pairs=4, confidence=0.8).label_noise == pytest.approx(0.2)
    assert chosen(pairs=4, confidence=0.8).label_smoothing == pytest.approx(0.2)
    assert chosen(pairs=4, confidence=0.501).label_smoothing == 0.49
    assert chosen().label_noise is None


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_kto_weights_satisfy_trl(desirable: int, undesirable: int) -> None:
    found = training_methods.weights(desirable, undesirable)
    good, bad = found.desirable_weight, found.undesirable_weight
    assert good is not None
    assert bad is not None
    assert min(good, bad) == 1.0
    assert 1 - 1e-9 <= good * desirable / (bad * undesirable) <= 4 / 3 + 1e-9
    if desirable != undesirable:  # what TRL's KTOTrainer checks, as it rounds it
        low, high = (round(undesirable * bad / desirable * end, 2) for end in (1, 1.33))
        inside = low <= good <= high
        low, high = (round(desirable * good / undesirable / end, 2) for end in (1.33, 1))
        assert inside or low <= bad <= high


def test_kto_has_no_weights_without_both_labels() -> None:
    assert training_methods.weights(5, 0).desirable_weight is None
    assert training_methods.weights(0, 0).ratio is None


def test_weights_aim_at_the_middle() -> None:
    found = training_methods.weights(100, 1000)
    assert found.desirable_weight == pytest.approx(10 * math.sqrt(4 / 3), abs=0.01)
