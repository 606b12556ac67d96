"""The bias report: what besides quality tells the chosen answer, how sure that is, and when it is worth a warning."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.tables import Pairs, Votes
from tasks.release.analysis import bias, features
from tasks.release.analysis.bias import Band
from tests.builders import releases

BAND = Band(low=0.45, high=0.55, confidence=0.95, groups=3)


def pairs(count: int, longer: float, seed: int = 0, **more: object) -> list[dict[str, Any]]:
    """Pairs of prompts of their own, of which the chosen answer is the longer one in the share `longer`."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        sides = ["Word. " * chance.randint(11, 20), "Word. " * chance.randint(1, 10)]
        if chance.random() >= longer:
            sides.reverse()
        rows.append(releases.row(f"Question {seed} {number}", sides[0], sides[1], "train", **more))
    return rows


def measured(rows: list[dict[str, Any]], votes: list[dict[str, Any]] | None = None) -> bias.Bias:
    cast = None if votes is None else pa.Table.from_pylist(votes, schema=Votes.schema())
    return bias.measure_bias(pa.Table.from_pylist(rows, schema=Pairs.schema()), cast, BAND)


def vote(number: int, first_won: bool | None, **more: object) -> dict[str, Any]:
    """A choice between the answers a and b; None: a tie."""
    row = {"feedback_id": f"{number}", "prompt_id": f"p{number}", "kind": "choice", "value": 0.0 if first_won is None else 1.0}
    return row | {"better": "a", "worse": "b", "shown_first": "b" if first_won is False else "a", "annotator_kind": "person"} | more


def test_longer_chosen_answers_are_counted_and_warned_of() -> None:
    result = measured(pairs(1000, 0.65))
    share = result.features["length"]
    assert (share.pairs, share.differ) == (1000, 1000)
    assert share.share == pytest.approx(0.65, abs=0.03)
    assert share.low < 0.65 < share.high
    assert share.marked
    assert share.score == share.share, "all pairs differ, so `longer wins` is right as often"
    line, *_ = result.warnings()
    assert line.startswith("bias: the chosen answer has more length in 6")
    assert line.endswith("of the 1,000 pairs that differ; the band is 45 to 55 %")


def test_inside_the_band_or_unsure_nothing_is_said() -> None:
    assert list(measured(pairs(1000, 0.52)).warnings()) == []
    few = measured(pairs(12, 0.75))
    assert few.features["length"].share > 0.6  # type: ignore[operator]
    assert list(few.warnings()) == []


def test_too_short_is_a_bias_as_well() -> None:
    assert measured(pairs(1000, 0.3)).features["length"].marked


def test_groups_are_told_apart_and_the_largest_are_kept() -> None:
    rows = (
        pairs(500, 0.7, 1, source="one") + pairs(400, 0.5, 2, source="two") + pairs(30, 0.5, 3, source="three") + pairs(9, 1, 4, source="x")
    )
    groups = measured(rows).groups["length"]["source"]
    assert list(groups) == ["one", "two", "three"]
    assert [share.marked for share in groups.values()] == [True, False, False]


def test_a_pair_counts_for_both_models_that_wrote_its_answers() -> None:
    rows = pairs(10, 0.5, 1, chosen_model="a", rejected_model="b") + pairs(5, 0.5, 2, chosen_model="b", rejected_model="b")
    groups = measured(rows).groups["length"]["model"]
    assert {name: share.pairs for name, share in groups.items()} == {"b": 15, "a": 10}


def test_repeats_and_near_equal_prompts_do_not_make_a_share_surer() -> None:
    rows = pairs(60, 0.62)
    again = [{**row, "pair_id": f"{row['pair_id']}{time}"} for row in rows for time in range(20)]
    alone, repeated = (measured(part).features["length"] for part in (rows, again))
    assert repeated.pairs == 20 * alone.pairs
    assert (repeated.low, repeated.high) == pytest.approx((alone.low, alone.high), abs=0.01)
    assert not repeated.marked


def test_of_many_groups_without_bias_hardly_ever_one_is_marked() -> None:
    """A hundred draws of a fair coin, twelve groups each: the widest intervals decide."""
    chance, marked = np.random.default_rng(3), 0
    tight = Band(low=0.5, high=0.5, confidence=0.95, groups=3)
    for _ in range(100):
        shares = [bias.share(chance.choice([-1, 1], 200), np.arange(200), tight, groups=12) for _ in range(12)]
        marked += any(share.marked for share in shares)
    assert marked <= 10
    assert sum(bias.share(chance.choice([-1, 1], 200), np.arange(200), tight).marked for _ in range(400)) > 8, (
        "one alone: as often as it says"
    )


def test_intervals_hold_the_true_share_as_often_as_they_say() -> None:
    chance = np.random.default_rng(5)
    held = 0
    for _ in range(400):
        clusters = chance.integers(0, 150, 300)
        likely = np.where(chance.random(150) < 0.5, 0.9, 0.3)[clusters]  # rows of one cluster resemble each other
        low, high = bias.interval(chance.random(300) < likely, clusters, 0.95)
        held += low <= 0.6 <= high
    assert 0.92 <= held / 400 <= 0.98


def test_the_curve_of_single_answers_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    chance = np.random.default_rng(1)
    chosen, rejected = chance.integers(0, 40, 200), chance.integers(0, 30, 200)
    truth = roc_auc_score([1] * 200 + [0] * 200, np.concatenate([chosen, rejected]))
    assert bias.auc(chosen, rejected) == pytest.approx(truth, abs=1e-4)


@pytest.mark.parametrize(
    ("feature", "text", "count"),
    [
        ("length", "Yes.", 4),
        ("lists", "Do:\n- one\n* two\n 3. three\n4) four\n5.6 is not, nor - this", 4),
        ("bold", "**So** and __so__, but 2 * 3 * 4 not, nor snake_case", 2),
        ("headers", "# One\n## Two\nNumber #1", 2),
        ("code", "So:\n```python\nx\n```\nand\n```\ny\n```\n", 2),
        ("refusals", "I’m sorry, but I can't help with that.", 1),
        ("refusals", "Lo siento, pero no puedo hacerlo.", 1),
        ("refusals", "抱歉，我无法回答。", 1),
        ("refusals", "Sure. " + "x " * 200 + "but I cannot help with the rest.", 0),
    ],
)
def test_features_are_seen(feature: str, text: str, count: int) -> None:
    column = pa.chunked_array([pa.array([[{"role": "assistant", "content": text}], []], Pairs.schema().field("chosen").type)])
    assert features.FEATURES[feature](column).tolist() == [count, 0]


@pytest.mark.parametrize("feature", features.FEATURES)
def test_a_feature_of_chosen_answers_only_is_marked(feature: str) -> None:
    has = {"length": "x" * 9, "lists": "- a", "bold": "**a**", "headers": "# a", "code": "```\na\n```", "refusals": "I cannot help you"}[
        feature
    ]
    result = measured([releases.row(f"Question {number}", has, "No", "train") for number in range(80)]).features[feature]
    assert (result.share, result.marked, result.score, result.auc) == (1.0, True, 1.0, 1.0)


def test_a_feature_that_no_pair_has_says_nothing() -> None:
    result = measured(pairs(30, 0.5)).features["headers"]
    assert (result.differ, result.share, result.marked, result.score) == (0, None, False, 0.5)
    assert measured([]).features["length"].share is None


def test_the_answer_shown_first_is_counted_over_choices_that_say_it() -> None:
    votes = [vote(number, number % 10 < 7) for number in range(400)]
    votes += [vote(1000 + number, None) for number in range(50)] + [vote(2000, True, shown_first=None), vote(3000, True, kind="edit")]
    votes += [vote(4000 + number, number % 2 == 0, annotator_kind="model") for number in range(100)]
    result = measured(pairs(10, 0.5), votes)
    assert (result.positions["person"].pairs, result.positions["person"].share) == (400, 0.7)
    assert (result.positions["person"].marked, result.positions["model"].marked) == (True, False)
    assert (result.position.pairs, result.position.more) == (500, 330)
    assert "bias: the answer shown first won in 66.0 %" in next(iter(result.warnings()))


def test_without_votes_there_is_no_position() -> None:
    assert measured(pairs(10, 0.5)).position.pairs == 0


@given(st.randoms(use_true_random=False))
def test_order_changes_nothing(chance: random.Random) -> None:
    rows = pairs(40, 0.6, chosen_model="m") + pairs(20, 0.4, 1, source="two")
    first = measured(rows).document()
    chance.shuffle(rows)
    assert measured(rows).document() == first
