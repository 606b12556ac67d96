"""Claims about values that lie exactly at a bound: what `split` still lets in, and what is the first to stay out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks import split
from tasks.core.assignment import UNKNOWN
from tasks.evidence import following, placing, ties
from tasks.evidence.lists import Rows
from tasks.evidence.ties import Edges
from tests.builders.split_runs import DEFAULTS, answer, prompt, settled, text

SHARES = (0.8, 0.1, 0.1)
LIMITS = ties.Limits(popular=3, largest_user=1.0, largest_component=1.0)


def params(**changes: Any) -> split.Params:
    return split.Params.model_validate(DEFAULTS | changes)


def chained(*groups: range, shared_by: int = 2) -> Edges:
    """Ties that hold each of the groups together."""
    left = np.concatenate([np.arange(group.start, group.stop - 1) for group in groups])
    return Edges(left, left + 1, np.full(len(left), shared_by))


def test_a_draw_exactly_at_a_threshold_is_beyond_it() -> None:
    """So of thousand even draws exactly the shares are held out."""
    draws = np.arange(1000) / 1000
    placed = placing.place(draws, np.arange(1000), SHARES, 1.0)
    assert np.bincount(placed).tolist() == [800, 100, 100]
    assert placed[[99, 100, 199, 200]].tolist() == [2, 1, 1, 0]


@pytest.mark.parametrize("held", [1, 2])
@pytest.mark.parametrize(("size", "is_held"), [(5, True), (6, False)])
def test_a_component_exactly_as_large_as_a_held_out_split_may_take_is_held_out(held: int, size: int, is_held: bool) -> None:
    """Of 100 rows a split of a tenth has ten, and one component at most half of them."""
    labels = np.concatenate([np.zeros(size, np.int64), np.arange(1, 101 - size)])
    draws = np.where(labels == 0, 1e-9, 0.999)  # lower than any threshold
    shares = (0.9, 0.1, 0.0) if held == 1 else (0.9, 0.0, 0.1)
    assert (placing.place(draws, labels, shares, 0.5)[0] == held) == is_held


def test_as_many_components_as_splits_leave_none_empty() -> None:
    chosen = placing.fill(np.zeros(3, np.int64), np.ones(3, np.int64), np.arange(3.0), SHARES, np.zeros(3, bool))
    assert sorted(chosen.tolist()) == [0, 1, 2]
    chosen = placing.fill(np.zeros(2, np.int64), np.ones(2, np.int64), np.arange(2.0), SHARES, np.zeros(3, bool))
    assert chosen.tolist() == [0, 0], "two cannot fill three"


@pytest.mark.parametrize(("size", "parted"), [(30, False), (31, True)])
def test_a_component_exactly_at_the_largest_stays_whole(size: int, parted: bool) -> None:
    edges = {key: chained(range(size), shared_by=size) if key == "user" else chained(range(1)) for key in ties.KEYS}
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        left = split.settle_giants(edges, 60, params())
    assert (len(left["user"].left) < size - 1, bool(heard)) == (parted, parted)


@pytest.mark.parametrize(("size", "kept"), [(30, False), (31, True)])
def test_what_alone_holds_more_than_the_largest_together_is_firm(size: int, kept: bool) -> None:
    """A first user turn of exactly so many rows may be given up; one of more would cost them all."""
    assert split.loses_all(chained(range(size), shared_by=size), "opening", 30.0) is kept


def test_values_half_as_common_as_the_commonest_are_not_given_up_with_it() -> None:
    groups = {10: range(10), 5: range(9, 14), 6: range(13, 19)}
    parts = [chained(group, shared_by=many) for many, group in groups.items()]
    edges = {"user": Edges(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("left", "right", "shared_by")))}
    left, given_up = ties.untie(edges, "user", 19, 18)
    assert (set(left["user"].shared_by.tolist()), given_up) == ({5}, 14)


def test_a_component_that_giving_up_brings_exactly_to_the_limit_loses_no_more() -> None:
    edges = {"user": chained(range(10), shared_by=10), "conversation": chained(range(6))}
    left, given_up = ties.untie(edges, "user", 12, 10)
    assert (len(left["user"].left), given_up) == (9, 0)


@pytest.mark.parametrize(("count", "tied"), [(3, True), (4, False)])
@pytest.mark.parametrize("what", ["opening", "answer"])
def test_what_is_met_exactly_as_often_as_is_popular_still_ties(what: str, count: int, tied: bool) -> None:
    long = "An answer that is long enough to be told from what any model says to anybody."
    more = {"responses": [answer(long)]} if what == "answer" else {}
    said = ("hi there", "hello") if what == "opening" else ()
    rows = [prompt(number, *said, text(number), **more) for number in range(count)]
    assert (settled(rows, popular=3)[0]["common"].kept.num_rows == 0) == tied


@pytest.mark.parametrize(("count", "plain"), [(3, True), (4, False)])
def test_a_prompt_met_in_exactly_so_many_conversations_as_is_popular_still_ties(count: int, plain: bool) -> None:
    rows = [prompt(1, conversations=[f"c{number}" for number in range(count)]), *(prompt(number) for number in range(20, 30))]
    _, said = settled(rows, popular=3)
    assert any("1 prompts are met in more than 3 conversations" in line for line in said) != plain


def test_turns_beyond_those_compared_are_left_out_and_no_others() -> None:
    prompts = pa.array([[{"role": "user", "content": letter} for letter in letters] for letters in ("abc", "ab", "a")])
    for most, said in ((2, [["a", "b"], ["a", "b"], ["a"]]), (3, [["a", "b", "c"], ["a", "b"], ["a"]])):
        assert ties.first_user_turns(prompts, most)[0].to_pylist() == said


@pytest.mark.parametrize(("count", "warned"), [(split.FEW - 1, False), (split.FEW, True)])
def test_shares_are_told_of_from_so_many_rows_on(count: int, warned: bool) -> None:
    assert bool(told(np.zeros(count, np.int64), far_from_asked=0.1)) == warned


def test_shares_exactly_as_far_from_those_asked_as_they_may_be_are_not_told_of() -> None:
    placed, asked = np.repeat([0, 1, 2], [32, 16, 16]), {"train": 0.625, "validation": 0.125, "test": 0.25}  # an eighth each
    assert not told(placed, far_from_asked=0.125, **asked)
    assert told(placed, far_from_asked=0.1249, **asked)


def told(placed: Rows, **changes: Any) -> list[str]:
    """What is said of the shares of these rows."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        split.report_shares(placed, params(**changes))
    return [str(warning.message) for warning in heard]


@pytest.mark.parametrize(("crowd", "along"), [(5, 5), (6, 0)])
def test_a_crowd_exactly_as_large_as_a_held_out_split_may_take_comes_along_whole(crowd: int, along: int) -> None:
    """Tied to one row of test over what many share, which takes part of a crowd or, as weak a tie as this, nothing."""
    rows = crowd + 1
    side = np.array([2] + [UNKNOWN] * crowd)
    placed = following.spread(side, np.ones(rows, bool), {"user": chained(range(rows))}, np.array([99.0, 5.0, 5.0]))
    assert (placed[1:] == 2).sum() == along


@pytest.mark.parametrize(("joining", "along"), [(3, True), (4, False)])
def test_the_last_part_that_a_held_out_split_has_room_for_comes_along(joining: int, along: bool) -> None:
    """A part of two rows has joined; a second one fills the five, or is one too many. What is tied to train too makes it go tie by tie."""
    side = np.array([2, -1, -1, *[-1] * joining, 0])
    inner = {
        "opening": chained(range(1, 3), range(3, 3 + joining)),
        "conversation": Edges(np.array([0, 0]), np.array([1, 3]), np.array([2, 3])),
        "user": Edges(np.array([0]), np.array([3 + joining]), np.array([2])),
    }
    placed = following.spread(side, np.ones(len(side), bool), inner, np.array([99.0, 5.0, 5.0]))
    assert (placed[3 : 3 + joining] == (2 if along else 0)).all()
    assert (placed[1:3] == 2).all()
