"""What an evaluation counts is what a slow count, or a known library, says it is."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp

from tests.builders import releases
from tests.builders.evaluations import report
from tests.builders.training import pair
from trainer import evaluate
from trainer.data.encode import EncodedPair, FilteredPairs
from trainer.data.release_reader import COLUMNS, Pair
from trainer.evaluation import (
    baselines,
    bootstrap,
    calibration,
    control,
    evaluation_metrics,
    evidence_groups,
    generations,
    length_control,
    preference_accuracy,
    proportions,
    quality,
    report_page,
)
from trainer.evaluation.bootstrap import Bootstrap
from trainer.evaluation.heldout import HeldOutSplit
from trainer.evaluation.quality import Answer

MARKS = st.sampled_from([0.0, 0.5, 1.0])
ROWS = st.lists(st.tuples(st.integers(0, 5), MARKS, st.integers(-3, 3)), min_size=1, max_size=40)


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# Intervals


@given(st.integers(1, 500), st.data())
def test_wilsons_interval_is_that_of_scipy(total: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, total))
    known = binomtest(right, total).proportion_ci(0.95, "wilson")
    assert proportions.wilson(right, total) == pytest.approx((known.low, known.high), abs=1e-9)


def test_wilson_says_nothing_of_no_pairs() -> None:
    assert proportions.wilson(0, 0) == (0.0, 1.0)


def test_mcnemar_is_exact_and_blind_to_agreement() -> None:
    first = np.array([1.0] * 10 + [0.0] * 2)
    agreed = np.ones(1000)
    expected = 2 * sum([1, 12, 66]) / 2**12
    assert proportions.mcnemar(first, 1 - first) == pytest.approx(expected)
    assert proportions.mcnemar(np.append(first, agreed), np.append(1 - first, agreed)) == pytest.approx(expected)
    assert proportions.mcnemar(agreed, agreed) == 1.0


@given(st.lists(st.tuples(st.integers(0, 4), st.lists(st.integers(0, 4), max_size=2)), max_size=12))
def test_groups_are_those_that_a_search_from_pair_to_pair_finds(keys: list[tuple[int, list[int]]]) -> None:
    one = pair("p", "a", "b")
    pairs = [replace(one, cluster_id=str(cluster), conversations=[str(name) for name in names]) for cluster, names in keys]
    found = evidence_groups.connected(pairs)
    for first in range(len(pairs)):
        assert {at for at in range(len(pairs)) if found[at] == found[first]} == reached(pairs, first)
    assert sorted(set(found.tolist())) == list(range(len(set(found.tolist()))))


def reached(pairs: list[Pair], first: int) -> set[int]:
    """Pairs to be reached over shared clusters and conversations; a conversation's name is no cluster's."""
    seen, waiting = {first}, [first]
    while waiting:
        here = pairs[waiting.pop()]
        for at, other in enumerate(pairs):
            near = other.cluster_id == here.cluster_id or set(other.conversations) & set(here.conversations)
            if near and at not in seen:
                seen.add(at)
                waiting.append(at)
    return seen


@given(ROWS)
@settings(max_examples=30)
def test_resampled_sums_are_those_of_groups_drawn_one_by_one(rows: list[tuple[int, float, int]]) -> None:
    numbers = np.unique([row[0] for row in rows], return_inverse=True)[1]
    values = np.array([row[1] for row in rows])
    resamples = Bootstrap(numbers, 7, 3)
    drawn = chance(3).integers(0, resamples.count, (7, resamples.count))
    slow = [sum(values[numbers == group].sum() for group in line) for line in drawn]
    assert resamples.sums(values[:, None])[:, 0] == pytest.approx(slow)


def test_the_bootstraps_interval_is_the_binomial_one_where_pairs_are_alone_and_wider_where_they_hang_together() -> None:
    marks = (chance().random(400) < 0.7).astype(float)
    at = np.arange(400)
    alone = preference_accuracy.shares({"judge": marks}, Bootstrap(at, 4000, 1), at)["judge"]
    error = math.sqrt(marks.mean() * (1 - marks.mean()) / 400)
    assert (alone["group_high"] - alone["group_low"]) / (2 * 1.96 * error) == pytest.approx(1, abs=0.05)
    repeated = np.repeat(marks[:100], 4)
    together = preference_accuracy.shares({"judge": repeated}, Bootstrap(np.repeat(np.arange(100), 4), 4000, 1), at)["judge"]
    apart = preference_accuracy.shares({"judge": repeated}, Bootstrap(at, 4000, 1), at)["judge"]
    widths = [one["group_high"] - one["group_low"] for one in (together, apart)]
    assert widths[0] / widths[1] == pytest.approx(2, abs=0.15)


def test_resamples_depend_on_the_seed_and_not_on_how_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = chance().random((50, 2))
    whole = Bootstrap(np.arange(50), 30, 5).sums(marks)
    monkeypatch.setattr(bootstrap, "BLOCK", 100)
    assert np.array_equal(Bootstrap(np.arange(50), 30, 5).sums(marks), whole)
    assert not np.array_equal(Bootstrap(np.arange(50), 30, 6).sums(marks), whole)


def test_a_stratum_counts_its_own_pairs_only() -> None:
    pairs = [replace(pair(f"p{at}", "a", "b"), topic="x" if at % 3 else "y") for at in range(30)]
    marks = np.array([float(at % 2) for at in range(30)])
    figures = preference_accuracy.figures({"judge": marks}, pairs, Bootstrap(np.arange(30), 50, 0))
    assert figures["topic"]["y"]["judge"]["n"] == 10
    assert figures["topic"]["y"]["judge"]["group_low"] < 0.5 < figures["topic"]["y"]["judge"]["group_high"] < 1
    assert figures["topic"]["x"]["judge"]["accuracy"] == pytest.approx(np.mean([at % 2 for at in range(30) if at % 3]))


def test_intervals_of_no_pairs_say_nothing() -> None:
    none = np.zeros(0)
    told = preference_accuracy.shares({"judge": none}, Bootstrap(np.zeros(0, dtype=np.int64), 10, 0), np.zeros(0, dtype=np.int64))["judge"]
    assert (told["n"], told["group_low"], told["group_high"]) == (0, 0.0, 1.0)


# Length


@given(ROWS)
@settings(max_examples=50)
def test_balanced_accuracy_is_the_mean_of_both_sides(rows: list[tuple[int, float, int]]) -> None:
    numbers = np.unique([row[0] for row in rows], return_inverse=True)[1]
    marks, difference = np.array([row[1] for row in rows]), np.array([float(row[2]) for row in rows])
    told = length_control.balanced(marks, difference, Bootstrap(numbers, 20, 0))
    sides = [[row[1] for row in rows if row[2] * sign > 0] for sign in (1, -1)]
    if all(sides):
        assert told["accuracy"] == pytest.approx(sum(sum(side) / len(side) for side in sides) / 2, abs=1e-6)
        assert 0 <= told["low"] <= told["high"] <= 1
    else:
        assert told["accuracy"] is None
    assert told["longer"] + told["shorter"] + told["equal"] == len(rows)


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=30).filter(lambda found: min(found) < 0 < max(found)))
def test_taking_the_longer_answer_is_worth_one_half_without_the_hint_of_length(found: list[int]) -> None:
    difference = np.array(found, dtype=np.float64)
    told = length_control.balanced(proportions.correctness(difference), difference, Bootstrap(np.arange(len(found)), 20, 0))
    assert told["accuracy"] == 0.5


def test_the_regression_is_scikit_learns() -> None:
    from sklearn.linear_model import LogisticRegression

    features = chance().normal(size=(200, 2))
    outcomes = (chance(1).random(200) < 1 / (1 + np.exp(-features @ [1.0, -2.0]))).astype(float)
    known = LogisticRegression(C=1 / length_control.PRIOR, fit_intercept=False, tol=1e-10).fit(features, outcomes)
    fit = length_control.logistic(features, outcomes, np.arange(200))
    assert fit.weights == pytest.approx(known.coef_[0], abs=1e-4)


def test_robust_errors_are_those_of_a_plain_sum_over_groups() -> None:
    features, numbers = chance().normal(size=(60, 2)), chance(2).integers(0, 12, 60)
    outcomes = chance(1).integers(0, 3, 60) / 2
    fit = length_control.logistic(features, outcomes, numbers)
    bread, meat = length_control.PRIOR * np.eye(2), np.zeros((2, 2))
    shares = [1 / (1 + math.exp(-row @ fit.weights)) for row in features]
    for row, share in zip(features, shares, strict=True):
        bread += share * (1 - share) * np.outer(row, row)
    for group in range(12):
        score = sum((outcomes[at] - shares[at]) * features[at] for at in range(60) if numbers[at] == group)
        meat += np.outer(score, score) * 12 / 11
    slow = np.linalg.inv(bread) @ meat @ np.linalg.inv(bread)
    assert fit.errors == pytest.approx(np.sqrt(np.diag(slow)), rel=1e-6)


def test_accuracy_at_equal_length_finds_what_was_planted_and_the_pull_beside_it() -> None:
    difference = chance().normal(60, 100, 4000)  # chosen answers are longer
    odds = 0.4 + 1.5 * np.tanh(difference / math.sqrt(np.mean(difference**2)))
    marks = (chance(1).random(4000) < 1 / (1 + np.exp(-odds))).astype(float)
    told = length_control.equal_length(marks, difference, np.arange(4000))
    planted = 1 / (1 + math.exp(-0.4))
    assert told["low"] < planted < told["high"]
    assert told["accuracy"] < marks.mean() - 0.05, "length helped"
    assert told["pull"]["low"] < 1.5 < told["pull"]["high"]
    assert told["pull"]["p"] < 1e-6


def test_a_margin_that_is_only_length_tells_nothing_beside_length() -> None:
    difference = chance().normal(0, 100, 2000)
    chosen_longer = chance(1).random(2000) < 0.7
    difference = np.where(chosen_longer, np.abs(difference), -np.abs(difference))
    quality = chance(2).normal(0.8, 1, 2000)
    useless = length_control.preference(np.tanh(difference / 100) + chance(3).normal(0, 0.3, 2000), difference, np.arange(2000))
    useful = length_control.preference(quality, difference, np.arange(2000))
    assert useless["margin"]["low"] < 0 < useless["margin"]["high"]
    assert useful["margin"]["low"] > 0.5
    assert useful["length"]["p"] < 1e-6


def test_a_faultless_judge_has_finite_figures() -> None:
    told = length_control.controlled(np.ones(16), np.array([1.0, -2.0] * 8), Bootstrap(np.arange(16), 20, 0))
    assert 0.9 < told["equal_length"]["accuracy"] <= 1
    assert math.isfinite(told["equal_length"]["pull"]["weight"])


# Calibration


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=50), st.integers(0, 9))
@settings(max_examples=50)
def test_brier_and_log_loss_are_scikit_learns_whichever_answer_stands_first(margins: list[float], seed: int) -> None:
    from sklearn.metrics import brier_score_loss, log_loss

    given_, first = np.array(margins), chance(seed).integers(0, 2, len(margins))
    likely = 1 / (1 + np.exp(-np.where(first, given_, -given_)))
    told = calibration.summarize(given_, 10)
    assert told["brier"] == pytest.approx(brier_score_loss(first, likely, labels=[0, 1]), abs=2e-6)
    assert told["log_loss"] == pytest.approx(log_loss(first, likely, labels=[0, 1]), abs=1e-4)


@given(st.lists(st.floats(-8, 8), min_size=1, max_size=60), st.integers(2, 12))
@settings(max_examples=50)
def test_calibration_error_is_that_of_a_plain_count(margins: list[float], bins: int) -> None:
    told = calibration.summarize(np.array(margins), bins)
    held: dict[int, list[tuple[float, float]]] = {}
    for margin in margins:
        sure = float(calibration.confidence(np.array([margin]))[0])
        held.setdefault(min(bins - 1, int((sure - 0.5) * 2 * bins)), []).append((sure, 1.0 if margin > 0 else 0.5 if margin == 0 else 0.0))
    slow = sum(abs(sum(sure - right for sure, right in rows)) for rows in held.values()) / len(margins)
    assert told["ece"] == pytest.approx(slow, abs=1e-5)
    assert sum(row["n"] for row in told["table"]) == len(margins)


def test_a_model_that_is_thrice_too_sure_gets_a_temperature_of_three() -> None:
    truth = chance().normal(0, 2, 4000)
    right = chance(1).random(4000) < 1 / (1 + np.exp(-np.abs(truth)))
    margins = np.where(right, np.abs(truth), -np.abs(truth))  # calibrated
    assert calibration.temperature(margins) == pytest.approx(1, abs=0.08)
    assert calibration.temperature(3 * margins) == pytest.approx(3 * calibration.temperature(margins), rel=1e-3)
    figures = calibration.figures(3 * margins[:2000], 3 * margins[2000:], 10)
    assert figures["test_tempered"]["ece"] < 0.03 < figures["test"]["ece"]


def test_a_temperature_without_anything_to_fit_it_on_is_one() -> None:
    assert calibration.temperature(np.zeros(0)) == calibration.temperature(np.zeros(5)) == 1.0


# Baselines and control


def test_the_judge_of_words_learns_from_train_alone_what_length_does_not_tell() -> None:
    rows = releases.planted({"train": 300, "test": 200}, noise=0.0)
    pairs = {split: [Pair(**{name: row[name] for name in COLUMNS}) for row in rows if row["split"] == split] for split in ("train", "test")}
    (margins,) = baselines.words(pairs["train"], [pairs["test"]])
    longer = proportions.correctness(length_control.differences(pairs["test"])).mean()
    assert proportions.correctness(margins).mean() > max(0.8, longer + 0.1)
    (alone,) = baselines.words(pairs["train"], [pairs["test"][:7]])
    assert alone == pytest.approx(margins[:7]), "what else is held out has no say"
    assert baselines.words([], [pairs["test"]])[0].tolist() == [0.0] * 200


def test_the_controls_interval_is_students() -> None:
    found = [0.41, 0.56, 0.48, 0.61, 0.5]
    told = control.summary(found)
    known = ttest_1samp(found, 0.5).confidence_interval(0.95)
    assert (told["low"], told["high"]) == pytest.approx((known.low, known.high), abs=1e-6)
    assert told["mean"] == pytest.approx(np.mean(found))
    assert "low" not in control.summary([0.4]), "one run has no spread"


# Generations


def rows(lengths_: list[int]) -> list[EncodedPair]:
    return [EncodedPair(pair(f"p{at}", "a", "b"), [1] * length, [2, 3, 9], [4, 3, 9]) for at, length in enumerate(lengths_)]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6)), min_size=1, max_size=20), st.integers(1, 8), st.integers(0, 3))
def test_prompts_are_drawn_one_a_group_and_leave_room(drawn: list[tuple[int, int]], count: int, seed: int) -> None:
    numbers, encoded = np.array([group for group, _ in drawn]), rows([length for _, length in drawn])
    asked, too_long = generations.draw_prompts(encoded, numbers, 4, count, seed)
    short = {group for group, length in drawn if length <= 4}
    assert len(asked) == min(count, len(short))
    assert too_long == len({group for group, _ in drawn} - short)
    assert all(len(one.tokens) <= 4 for one in asked)
    places = [next(at for at, row in enumerate(encoded) if row.pair.prompt == one.messages) for one in asked]
    assert len({numbers[at] for at in places}) == len(asked)


def test_another_seed_draws_other_prompts() -> None:
    encoded = rows([1] * 40)
    first, again, other = (generations.draw_prompts(encoded, np.arange(40), 4, 8, seed)[0] for seed in (0, 0, 1))
    assert first == again != other


def test_wins_count_ties_one_half_and_answers_are_described() -> None:
    policy = [Answer([1, 2], "ab", True), Answer([1], "", True), Answer([1, 2, 3], "abcd", False), Answer([4], "x", True)]
    reference = [Answer([1], "a", True), Answer([1], "a", True), Answer([1], "a", True), Answer([5], "yyyy", True)]
    told = generations.win_rates(policy, reference, np.array([[2.0, 0.0, 1.0, 0.0], [1.0, 0.0, 2.0, 3.0]]), 20, 0)
    assert told["wins"]["accuracy"] == 0.375
    assert told["ties"] == 1
    assert told["p"] == 1.0
    assert told["controlled"]["balanced"]["accuracy"] == pytest.approx((0.5 + 0.25) / 2), "longer: won, lost; shorter: tied, lost"
    assert told["reward"] == {"policy": 0.75, "reference": 1.5}
    figures = quality.writer_metrics(policy, np.array([1.0, 2.0, 0.0, 4.0]))
    known = {"characters": 1.75, "tokens": 1.75, "empty": 0.25, "unfinished": 0.25, "surprise": 1.0}
    assert {name: figures[name] for name in known} == known


# The page


def test_the_page_escapes_what_models_and_people_wrote_and_needs_nothing_but_itself() -> None:
    made = report_page.page(report())
    assert "<script" not in made
    assert "&lt;script&gt;x&lt;/script&gt;" in made
    assert "<b>loud" not in made
    assert "http" not in made
    assert "1 &lt; 2?" in made


def test_the_page_is_well_formed_and_shows_every_judge_and_the_caution() -> None:
    made = report_page.page(report())
    opened: list[str] = []
    for close, name in re.findall(r"<(/?)([a-z1-9]+)(?:\s[^<>]*[^/<>]|)>", made):
        if name not in ("meta", "br"):
            assert not close or opened.pop() == name, name
            opened += [] if close else [name]
    assert opened == []
    text = re.sub(r"<[^>]+>", " ", made)
    told = ("control on shuffled labels: mean", "trained on votes of the same people", "unlikely under the reference", "writes worse")
    for words in (*report_page.JUDGES.values(), *told):
        assert words.lower() in text.lower()


def test_what_was_not_done_is_said_and_nothing_breaks() -> None:
    nothing = {"prompts": 0, "why_not": "no prompt leaves room"}
    made = report(control={"seeds": 0, "why_not": "of reasons"}, generations=nothing)
    assert "not run (of reasons)" in report_page.page(made)
    assert "no prompt leaves room" in report_page.page(made)
    assert evaluation_metrics.metrics(made)["generated_prompts"] == 0
    assert any("not run (of reasons)" in line for line in evaluation_metrics.lines(made))


def test_a_split_without_pairs_has_figures_that_say_nothing() -> None:
    none = HeldOutSplit(
        FilteredPairs([], {}),
        np.zeros((2, 0)),
        np.zeros((2, 0)),
        np.zeros((2, 0)),
        np.zeros(0),
        Bootstrap(np.zeros(0, dtype=np.int64), 5, 0),
    )
    figures = evaluate._split(none, 0.01)
    assert (figures["implicit"]["n"], figures["implicit"]["low"], figures["implicit"]["high"]) == (0, 0.0, 1.0)
    assert figures["better"] is False
    made = report(validation=figures, calibration=calibration.figures(np.zeros(0), np.ones(3), 10))
    assert "validation (0 groups)" in report_page.page(made)
    assert evaluation_metrics.metrics(made)["validation_pairs"] == 0
    assert "controlled_policy_balanced" not in evaluation_metrics.metrics(report(test=figures)), "no length to even out"


def test_a_baseline_that_beats_the_policy_is_called_better() -> None:
    policy, good, like = (np.array(marks) for marks in ([0.0] * 40 + [1.0] * 60, [1.0] * 100, [1.0, 0.0] + [0.0] * 38 + [1.0] * 60))
    judged = {"implicit": policy, "likelihood": policy, "reference_likelihood": policy, "good": good, "like": like, "bad": 1 - good}
    told = preference_accuracy.tests(judged, ("good", "like", "bad"), np.arange(100), 0.01)["against"]
    assert {name: one["policy"] for name, one in told.items()} == {"good": "worse", "like": "not told apart", "bad": "better"}


def test_pairs_of_one_group_are_one_witness_in_the_tests() -> None:
    right, coin = np.ones(12), np.full(12, 0.5)
    judged = {"implicit": right, "likelihood": right, "reference_likelihood": 1 - right, "coin": coin}
    alone, four = (preference_accuracy.tests(judged, ("coin",), groups, 0.01) for groups in (np.arange(12), np.arange(12) // 3))
    assert (alone["p_implicit"], four["p_implicit"]) == (2 / 2**12, 2 / 2**4)
    assert (alone["better"], four["better"]) == (True, False)
    assert [told["against"]["coin"]["policy"] for told in (alone, four)] == ["better", "not told apart"]


def test_what_most_groups_say_and_most_pairs_deny_is_not_told_apart() -> None:
    numbers = np.concatenate([np.arange(10), np.full(40, 10)])  # ten pairs alone, and forty of one conversation
    implicit = np.concatenate([np.ones(10), np.zeros(40)])
    judged = {"implicit": implicit, "likelihood": implicit, "reference_likelihood": implicit, "coin": np.full(50, 0.5)}
    told = preference_accuracy.tests(judged, ("coin",), numbers, 0.05)["against"]["coin"]
    assert told["p"] < 0.05
    assert told["policy"] == "not told apart"


def test_equal_answers_tie_though_their_rewards_differ_in_the_last_bits() -> None:
    answers = [Answer([at], "a" * at, True) for at in range(1, 5)]
    told = generations.win_rates(answers, answers, np.array([[1.0] * 4, [1.0 - 1e-7] * 4]), 20, 0)
    assert (told["wins"]["accuracy"], told["ties"], told["p"]) == (0.5, 4, 1.0)


def test_metrics_are_numbers_and_name_every_part() -> None:
    made = evaluation_metrics.metrics(report())
    assert all(isinstance(value, int | float) and math.isfinite(value) for value in made.values())
    for part in ("test_", "validation_", "baseline_", "controlled_", "control_", "reward_", "generated_"):
        assert any(name.startswith(part) for name in made)
