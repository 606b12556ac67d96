"""Claims about Bradley-Terry scores: those of the field's tool, honest errors, and what happens where comparisons say too little."""

from __future__ import annotations

from typing import Any

import crowdkit.aggregation as crowdkit
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from scipy.special import expit

from tasks.core.tables import TEXT
from tasks.release.analysis.bradley_terry import bradley_terry, rank_models

TRUE = np.linspace(-1.2, 1.2, 7)
Numbers = npt.NDArray[np.int64]


def matches(count: int, right: float, seed: int) -> tuple[Numbers, Numbers, npt.NDArray[np.float64]]:
    """Winners and losers as told, each right with the given probability or a greater one."""
    random = np.random.default_rng(seed)
    first = random.integers(0, len(TRUE), count)
    second = (first + random.integers(1, len(TRUE), count)) % len(TRUE)
    sure = random.uniform(right, 1.0, count)
    won = (random.random(count) < 1 / (1 + np.exp(TRUE[second] - TRUE[first]))) == (random.random(count) < sure)
    return np.where(won, first, second), np.where(won, second, first), sure


def table(*told: tuple[str | None, str | None, float]) -> pa.Table:
    chosen, rejected, confidence = zip(*told, strict=True) if told else ((), (), ())
    columns = {"chosen_model": pa.array(chosen, TEXT), "rejected_model": pa.array(rejected, TEXT)}
    return pa.table(columns | {"confidence": pa.array(confidence, pa.float64())})


def named(*told: tuple[str | None, str | None, float]) -> dict[str, dict[str, Any]]:
    return {row["model"]: row for row in rank_models(table(*told))}


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_crowd_kit_when_all_reports_are_right(seed: int) -> None:
    winner, loser, _ = matches(600, 1.0, seed)
    frame = pd.DataFrame({"left": winner, "right": loser, "label": winner})
    # with a tolerance crowd-kit 1.4.2 stops after two rounds: it compares a vector with itself
    theirs = np.log(crowdkit.BradleyTerry(n_iter=3000, tol=0.0).fit_predict(frame).sort_index().to_numpy())
    ours = bradley_terry(winner, loser, np.ones(600), len(TRUE), 0.0)
    np.testing.assert_allclose(ours.score, theirs - theirs.mean(), atol=1e-8)


@pytest.mark.parametrize("right", [1.0, 0.55])
def test_the_truth_lies_within_the_stated_errors(right: float) -> None:
    found = [bradley_terry(*matches(4000, right, seed), len(TRUE), 0.0) for seed in range(20)]
    distance = np.array([(one.score - TRUE) / one.error for one in found])
    assert 0.85 < distance.std() < 1.15


def test_who_may_be_wrong_is_heard_as_such() -> None:
    winner, loser, sure = matches(20_000, 0.55, 0)
    aware, naive = (bradley_terry(winner, loser, right, len(TRUE), 1.0).score for right in (sure, np.ones(20_000)))
    assert np.abs(aware - TRUE).max() < 0.15 < 0.3 < np.abs(naive - TRUE).max(), "errors pull scores together unless they are known"


@pytest.mark.parametrize("seed", range(3))
def test_scores_beside_those_of_crowd_kits_noisy_model(seed: int) -> None:
    """Four of ten raters guess; crowd-kit finds that out by itself, here it is told."""
    random = np.random.default_rng(seed)
    reliability = np.array([0.95] * 6 + [0.5001] * 4)
    rater, first = random.integers(0, 10, 1500), random.integers(0, len(TRUE), 1500)
    second = (first + random.integers(1, len(TRUE), 1500)) % len(TRUE)
    won = (random.random(1500) < 1 / (1 + np.exp(TRUE[second] - TRUE[first]))) == (random.random(1500) < reliability[rater])
    winner, loser = np.where(won, first, second), np.where(won, second, first)
    frame = pd.DataFrame({"worker": rater, "left": first, "right": second, "label": winner})
    theirs = crowdkit.NoisyBradleyTerry(n_iter=100).fit_predict(frame).sort_index().to_numpy()
    ours, plain = (bradley_terry(winner, loser, right, len(TRUE), 1.0).score for right in (reliability[rater], np.ones(1500)))
    assert np.corrcoef(ours, np.log(theirs / (1 - theirs)))[0, 1] > 0.97
    assert np.abs(ours - TRUE).mean() < 0.5 * np.abs(plain - TRUE).mean()


def test_models_are_ranked_best_first_with_their_counts() -> None:
    rows = rank_models(table(*[("a", "b", 0.9)] * 8, *[("b", "a", 0.9)] * 2, *[("b", "c", 0.9)] * 7, *[("c", "b", 0.9)] * 3))
    counts = [(row["model"], row["pairs"], row["won"], row["group"]) for row in rows]
    assert counts == [("a", 10, 0.8, 0), ("b", 20, 0.45, 0), ("c", 10, 0.3, 0)]
    assert sum(row["score"] for row in rows) == pytest.approx(0, abs=1e-5)
    assert rows[1]["error"] < rows[0]["error"], "more comparisons, less doubt"


def test_who_never_lost_has_a_finite_score() -> None:
    found = named(*[("a", "b", 1.0)] * 5)
    score = found["a"]["score"]
    assert found["b"]["score"] == pytest.approx(-score)
    slope = 5 * (1 - expit(2 * score)) + (0.5 - expit(score))  # five wins against b, one imagined comparison half won
    assert slope == pytest.approx(0, abs=1e-5)


def test_of_who_never_played_nothing_is_known() -> None:
    found = bradley_terry(np.array([0, 0, 1]), np.array([1, 1, 0]), np.ones(3), 3, 1.0)
    assert found.group.tolist() == [0, 0, 1]
    assert np.isfinite(found.error).tolist() == [True, True, False]
    # the difference of the two is what three comparisons tell; the level that they share is not in doubt, since it is set
    assert found.error[0] == pytest.approx(found.error[1])
    wins = expit(found.score[0] - found.score[1])
    even = expit(found.score[0]) * expit(-found.score[0])
    assert found.error[0] == pytest.approx(1 / np.sqrt(4 * 3 * wins * (1 - wins) + 2 * even), rel=1e-6)


def test_models_that_never_met_are_in_different_groups() -> None:
    found = named(("a", "b", 0.8), ("b", "c", 0.8), ("x", "y", 0.8))
    assert {name: row["group"] for name, row in found.items()} == {"a": 0, "b": 0, "c": 0, "x": 1, "y": 1}
    assert found["x"]["score"] + found["y"]["score"] == pytest.approx(0, abs=1e-5)


def test_unknown_models_and_a_model_beside_itself_tell_nothing() -> None:
    told = (("a", "b", 0.8), ("a", "b", 0.8), ("b", "a", 0.7))
    assert rank_models(table(*told)) == rank_models(table(*told, ("a", "a", 0.9), (None, "b", 0.9), ("c", None, 0.9)))
    assert rank_models(table()) == rank_models(table((None, None, 0.9))) == []


def test_order_of_pairs_changes_nothing() -> None:
    winner, loser, sure = matches(300, 0.6, 1)
    told = [(f"m{a}", f"m{b}", float(c)) for a, b, c in zip(winner, loser, sure, strict=True)]
    assert rank_models(table(*told)) == rank_models(table(*told[::-1]))
