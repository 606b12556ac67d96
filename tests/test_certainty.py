"""Claims about confidences: probabilities where something tells, said to be assumed where nothing does, the same everywhere."""

from __future__ import annotations

import functools
import warnings
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.optimize import approx_fprime

from tasks.core.ledger import Account
from tasks.pair import act_accuracy, comparisons, item_response, word_judge
from tasks.pair import evidence as flatten
from tasks.pair import stage as pair
from tasks.pair.comparisons import NAMES, WAYS, Opinions
from tasks.pair.item_response import Data, Model
from tasks.pair.resolve import propose
from tests.benchmarks import calibration
from tests.benchmarks.calibration import World
from tests.builders import pair_runs
from tests.builders.candidates_made import frame
from tests.builders.chatlog import ChatLog, Row, accounts
from tests.builders.pair_runs import DEFAULTS, lettered
from tests.builders.simulated import calibration_error

CHOICE = NAMES.index("choice")
PARAMS = calibration.settings("pair")
MADE = World(items=600, overlap=0.1, seed=3)


@functools.cache
def rows_of(world: World) -> list[Row]:
    """The world's candidates, one in five held out."""
    rows = calibration.candidates(calibration.make(world))
    return [row | {"split": "test" if number % 5 == 0 else "train"} for number, row in enumerate(rows)]


def run(rows: list[Row], **changes: object) -> dict[str, Account]:
    tables = {"candidates": frame(rows)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return accounts("pair", pair.run(tables, pair.Params.model_validate(PARAMS.model_dump() | changes)), tables)


@functools.cache
def made(world: World) -> dict[str, Account]:
    return run(rows_of(world))


def of_people(count: int, person: list[int], side: list[int], couple: list[int]) -> Opinions:
    """Choices."""
    zeros = np.zeros(count, np.int64)
    return Opinions(
        np.array(couple), np.array(couple), zeros + CHOICE, np.array(side), np.ones(count), np.array(person), zeros, np.zeros(count)
    )


# --- agreement -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("right", "opinions"), [(0.85, 108), (0.75, 261), (0.65, 766)])
def test_the_surer_acts_are_the_fewer_second_opinions_tell_it(right: float, opinions: int) -> None:
    assert act_accuracy.asked(right, 0.03) == opinions


@pytest.mark.parametrize("right", [0.6, 0.75, 0.9])
def test_reliability_is_what_agreement_of_two_independent_acts_says(right: float) -> None:
    assert act_accuracy.reliability_of(act_accuracy.agreement_of(right)) == pytest.approx(right)


def test_of_n_people_one_opinion_is_the_first_and_each_of_them_counts_once() -> None:
    told = of_people(6, person=[1, 2, 3, 4, 4, 5], side=[1, 1, -1, 1, 1, 1], couple=[0, 0, 0, 1, 1, 2])
    shared, agreeing = act_accuracy.agreeing_in(told)
    assert shared == 2, "one person twice, and one alone, are no second opinions"
    assert agreeing == pytest.approx(2 / 3, abs=1e-6), "of three people's three couples one agrees"


# --- what is assumed ----------------------------------------------------------------------------------------------------


@pytest.fixture
def two() -> ChatLog:
    return lettered("AB")


@pytest.mark.parametrize(("people", "confidence"), [(("p", "q"), 0.75), (("p", "p"), 0.7922)])
def test_thumbs_of_strangers_are_one_comparison_and_of_one_person_a_stronger_one(
    two: ChatLog, people: tuple[str, str], confidence: float
) -> None:
    two.act("thumb", "c/a1", 1, annotator=people[0])
    two.act("thumb", "c/a2", -1, annotator=people[1])
    (row,) = pair_runs.run(two)["pairs"].kept.to_pylist()
    assert row["confidence"] == pytest.approx(confidence, abs=1e-4)
    assert row["confidence_basis"] == "assumed"


def test_without_second_opinions_confidences_are_assumed_and_what_would_end_that_is_said(two: ChatLog) -> None:
    two.act("choice", "c", 1, better="a1", worse="a2")
    with pytest.warns(UserWarning, match=r"assumed, not estimated, for choice 0\.75 \(261 more\)"):
        result = pair_runs.run(two)
    assert result["calibration"].kept.to_pylist() == [
        {"recipe": "choice", "pairs": 1, "shared": 0.0, "agreement": None, "reliability": 0.75, "basis": "assumed", "missing": 261}
    ]


def test_words_that_say_nothing_leave_single_votes_assumed() -> None:
    result = made(World(items=600, overlap=0.0, judge=False, seed=3))
    assert pc.unique(result["pairs"].kept["confidence_basis"]).to_pylist() == ["assumed"]
    assert pc.unique(result["pairs"].kept["confidence"]).to_pylist() == pytest.approx([0.75], abs=1e-6)


def test_estimating_can_be_switched_off() -> None:
    result = run(rows_of(MADE), calibration=DEFAULTS["calibration"] | {"use": False})
    assert pc.unique(result["pairs"].kept["confidence_basis"]).to_pylist() == ["assumed"]
    assert len(result["calibration"].kept) == 0


# --- what is estimated --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", [0.65, 0.85])
@pytest.mark.parametrize(
    ("world", "most"),
    [
        (World(items=1500, overlap=0.1), 0.05),
        (World(items=1500, overlap=0.1, judge=False), 0.08),
        (World(items=300, votes=9, people=30, overlap=0.0, judge=False), 0.08),
        (World(items=500, votes=5, people=30, overlap=0.0, judge=False, difficulty=False, lazy=0.1, hostile=0.05), 0.07),
        (World(items=2500, overlap=0.05, thumbs="strangers"), 0.09),
    ],
    ids=["words", "mute", "nine votes", "lazy and hostile", "strangers' thumbs"],
)
def test_confidences_are_probabilities(world: World, most: float, right: float) -> None:
    assert calibration_error(*calibration.stated(calibration.make(replace(world, right=right, seed=11)))) <= most


def test_enough_second_opinions_make_an_estimate_without_words() -> None:
    result = made(World(items=600, overlap=0.9, right=0.85, judge=False, seed=5))
    (row,) = result["calibration"].kept.to_pylist()
    assert (row["basis"], row["missing"]) == ("overlap", 0)
    assert row["reliability"] == pytest.approx(0.85, abs=0.05)


def test_no_pair_is_turned_and_what_all_else_speaks_against_is_dropped() -> None:
    sure = World(items=1500, right=0.75, overlap=0.1, seed=2)
    result, before = made(sure), run(rows_of(sure), calibration=DEFAULTS["calibration"] | {"use": False})
    assert result["pairs"].reasons["low_confidence"] > 0
    ids = {name: set(getattr(before["pairs"], name)["pair_id"].to_pylist()) for name in ("kept", "dropped")}
    assert set(result["pairs"].kept["pair_id"].to_pylist()) <= ids["kept"] | ids["dropped"], "an id names chosen and rejected in this order"
    assert pc.min(result["pairs"].kept["confidence"]).as_py() > PARAMS.confidence.min - 1e-9
    assert len(result["votes"].kept) + len(result["votes"].dropped) == sum(len(row["votes"]) for row in rows_of(sure))


def test_held_out_pairs_are_not_judged_by_words() -> None:
    kept = made(World(items=1500, overlap=0.0, seed=2))["pairs"].kept
    held, train = (pc.unique(kept.filter(pc.equal(kept["split"], pa.scalar(split)))["confidence"]) for split in ("test", "train"))
    assert len(held) <= 2 < len(train), "all are single choices, shown first or second"


def test_words_are_never_judged_by_those_that_learnt_from_their_own_cluster() -> None:
    rows = rows_of(World(items=400, judge=False, seed=1))
    for row in rows[:40]:
        row["cluster_id"] = "one"
        for answer in row["responses"]:
            answer["content"] = "zebra" if answer["response_id"] == row["votes"][0]["better"] else "giraffe"
    evidence = flatten.read(frame(rows))
    proposals = propose(evidence, {name: getattr(PARAMS, name) for name in NAMES}, judges=False)
    told = comparisons.read_comparisons(evidence, proposals)
    side = np.zeros(len(told.low), np.int64)
    side[told.opinions.couple] = told.opinions.side
    everything = np.ones(len(told.low), bool)
    found = word_judge.judge(evidence, word_judge.Couples(told.low, told.high, side, everything), np.arange(len(told.low)), 6000)
    cluster = np.array(evidence.prompts["cluster_id"].to_pylist())[evidence.home[told.low]]
    assert (cluster == "one").sum() == 40
    assert not found.margins[cluster == "one"].any(), "the two words stand in this cluster alone"
    assert found.margins[cluster != "one"].any()


def test_words_are_never_judged_by_those_that_learnt_from_the_same_persons_chats() -> None:
    rows = rows_of(World(items=400, judge=False, seed=1))
    for number, row in enumerate(rows):
        row["parts"] = [{"conversation": row["prompt_id"], "user": "one" if number < 40 else f"p{number // 2}", "origin": None}]
        for answer in row["responses"] if number < 40 else ():
            answer["content"] = "zebra" if answer["response_id"] == row["votes"][0]["better"] else "giraffe"
    evidence = flatten.read(frame(rows))
    low = np.arange(len(evidence.home))
    mine = np.isin(cast("list[str]", evidence.prompts["prompt_id"].to_pylist()), [row["prompt_id"] for row in rows[:40]])[evidence.home]
    fold = word_judge.folds(evidence, low)
    assert len(set(fold[mine].tolist())) == 1
    assert len(set(fold.tolist())) == word_judge.FOLDS


def test_people_who_chat_everywhere_leave_folds() -> None:
    rank, person = np.tile(np.arange(100), 2), np.repeat([0, 1], 100)
    assert word_judge.together(100, rank, person).tolist() == list(range(100)), "each of all chats"
    chain = np.repeat(np.arange(99), 2), np.repeat(np.arange(99), 2)
    linked = word_judge.together(100, chain[0] + np.tile([0, 1], 99), chain[1])
    assert np.bincount(linked).max() <= 100 // word_judge.FOLDS, "each ties two, and so all"


# --- the same everywhere ------------------------------------------------------------------------------------------------


def test_order_of_rows_changes_no_byte() -> None:
    shuffled = [rows_of(MADE)[place] for place in np.random.default_rng(1).permutation(len(rows_of(MADE)))]
    one, other = made(MADE)["pairs"].kept.sort_by("pair_id"), run(shuffled)["pairs"].kept.sort_by("pair_id")
    assert one.select(["pair_id", "confidence", "confidence_basis"]).equals(other.select(["pair_id", "confidence", "confidence_basis"]))


def data_of(world: World) -> tuple[Data, int]:
    """Choices of a world as the model is fitted to them, words' margins made of the truth."""
    log = calibration.make(world)
    order = np.lexsort((log.person, log.item))
    zeros = np.zeros(len(order), np.int64)
    told = Opinions(
        log.item[order], log.item[order], zeros + CHOICE, np.where(log.first, 1, -1)[order], np.ones(len(order)), log.person[order],
        np.where(log.shown, 1, -1)[order], np.zeros(len(order)),
    )  # fmt: skip
    noise = np.random.default_rng(5).normal(size=len(log.margin))
    return Data.of(told, np.round((np.sign(log.margin) + noise) / 2, 2)), int(log.person.max()) + 1


PRIOR = item_response.prior_ways([0.75] * len(WAYS))


@pytest.mark.parametrize(
    "world", [World(items=500, overlap=0.2, seed=8), World(items=200, votes=5, people=20, seed=8)], ids=["single", "panel"]
)
def test_last_bits_of_sums_change_no_parameter(world: World) -> None:
    data, people = data_of(world)
    bits = 1 + 1e-12 * np.random.default_rng(2).normal(size=(2, len(data.item)))
    noisy = replace(data, opinions=replace(data.opinions, weight=data.opinions.weight * bits[0]), scale=data.scale * bits[1])
    one, other = (item_response.fit(given, PRIOR, words=True, people=people) for given in (data, noisy))
    assert one.common.tolist() == other.common.tolist()
    assert one.ways.tolist() == other.ways.tolist()
    assert one.ability.tolist() == other.ability.tolist()


def test_gradient_is_that_of_the_loss() -> None:
    data, people = data_of(World(items=60, overlap=0.3, seed=4))
    values = np.concatenate([item_response.CENTRE, PRIOR]) + 0.1
    width = np.ones(len(values))
    model = Model(item_response.CENTRE, PRIOR, words=True, ability=np.linspace(0.5, 1.5, people))

    def loss(at: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        return item_response.loss(item_response.parted(model, at), data, values * 0, width)[0]

    slope = item_response.loss(item_response.parted(model, values), data, values * 0, width)[1]
    assert slope == pytest.approx(approx_fprime(values, loss, 1e-6), abs=1e-3)


# --- what the model finds -----------------------------------------------------------------------------------------------


def test_who_says_the_opposite_is_found_out_and_so_is_who_answers_at_random() -> None:
    world = World(items=600, votes=5, people=30, right=0.85, difficulty=False, overlap=0.0, lazy=0.2, hostile=0.2, seed=6)
    log = calibration.make(world)
    data, people = data_of(world)
    ability = item_response.fit(data, PRIOR, words=False, people=people).ability
    agrees = np.array([(log.first == (log.margin[log.item] > 0))[log.person == person].mean() for person in range(people)])
    assert ability[agrees < 0.35].max() < 0 < ability[agrees > 0.75].min()
    assert np.abs(ability[(agrees > 0.4) & (agrees < 0.6)]).mean() < 0.5


def test_people_who_are_all_alike_are_not_told_apart_by_the_luck_of_their_votes() -> None:
    data, people = data_of(World(items=1000, votes=5, people=60, right=0.85, overlap=0.0, judge=False, difficulty=False, seed=4))
    assert item_response.fit(data, PRIOR, words=False, people=people).ability.std() < 0.05


def test_the_place_on_the_screen_is_told_from_quality() -> None:
    data, people = data_of(World(items=3000, overlap=0.1, position=0.8, seed=7))
    assert item_response.fit(data, PRIOR, words=True, people=people).values()[3] == pytest.approx(0.8, abs=0.3)


def test_one_opinion_is_as_sure_as_its_recipe_is_assumed_to_be() -> None:
    ways = item_response.prior_ways([0.6 + 0.03 * place for place in range(len(WAYS))])
    model = Model(item_response.CENTRE, ways, words=False)
    alone = of_people(len(NAMES), person=list(range(len(NAMES))), side=[1] * len(NAMES), couple=list(range(len(NAMES))))
    found = item_response.sure(model, replace(alone, way=np.arange(len(NAMES))), np.full(len(NAMES), np.nan))
    assert found.tolist() == pytest.approx([0.6 + 0.03 * place for place in range(len(NAMES))], abs=1e-3)
