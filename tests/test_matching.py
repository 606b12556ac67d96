"""Matched sampling: length alone must not tell which answer was chosen, at a stated price, whatever the order of the rows."""

from __future__ import annotations

import random
import warnings
from collections import Counter
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.lengths import length
from tasks.core import ids
from tasks.core.tables import Pairs
from tasks.pair import length_matching
from tasks.pair.length_matching import Matching
from tests.builders import releases
from tests.builders.chatlog import ChatLog, frame
from tests.builders.pair_runs import candidates, settled

SETTINGS = Matching(use=True, feature="characters", by=[], splits=["train"], tolerance=0.0)


def made(number: int, chosen: int, rejected: int, **more: Any) -> dict[str, Any]:
    """A pair whose answers have so many characters."""
    return releases.row(f"Question {number}", "x" * chosen, "y" * rejected, **{"split": "train", **more})


def planted(count: int, share: float, seed: int = 0) -> pa.Table:
    """Pairs of which the chosen answer is the longer one in `share`; the more so, the more the lengths differ."""
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        short, gap = chance.randint(5, 300), int(2 ** chance.uniform(0, 9))
        wins = chance.random() < share + (0.2 if gap > 22 else -0.2) * min(share, 1 - share)
        rows.append(made(number, *((short + gap, short) if wins else (short, short + gap))))
    return table(rows)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=Pairs.schema())


def kept(pairs: pa.Table, settings: Matching = SETTINGS) -> pa.Table:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pairs.filter(length_matching.reasons(pairs, settings).is_null())


def ahead(pairs: pa.Table) -> np.ndarray[Any, Any]:
    chosen, rejected = (length(pairs[side]) for side in ("chosen", "rejected"))
    return chosen - rejected


def test_a_planted_length_bias_of_60_percent_goes_and_the_price_is_told() -> None:
    pairs = planted(8000, 0.6)
    before = float(np.mean(ahead(pairs) > 0))
    assert 0.59 < before < 0.61
    with pytest.warns(UserWarning, match="share of longer chosen") as heard:
        reasons = length_matching.reasons(pairs, SETTINGS)
    left = ahead(pairs.filter(reasons.is_null()))
    assert abs(np.mean(left > 0) - 0.5) <= 0.02
    assert set(reasons.drop_null().to_pylist()) == {"unmatched"}
    given_up = len(pairs) - len(left)
    assert str(heard[0].message) == (
        f"share of longer chosen {100 * before:.1f} % -> 50.0 %; {given_up:,} of {len(pairs):,} pairs given up to match lengths"
    )
    assert given_up < 0.3 * len(pairs)
    for power in range(9):  # nor does length tell anything among the pairs that differ by much, or by little
        size = np.abs(left)
        assert abs(np.mean(left[(size >= 2**power) & (size < 2 ** (power + 1))] > 0) - 0.5) <= 0.02


def test_a_side_that_is_shorter_too_often_is_thinned_as_well() -> None:
    assert np.mean(ahead(kept(planted(2000, 0.3))) > 0) == pytest.approx(0.5)


def test_off_gives_up_nothing_and_says_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert length_matching.reasons(planted(50, 0.9), SETTINGS.model_copy(update={"use": False})).null_count == 50


def test_other_splits_and_equal_lengths_are_left_alone() -> None:
    rows = [made(number, 20, 10, split="test") for number in range(9)] + [made(number, 10, 10) for number in range(9)]
    assert len(kept(table(rows))) == 18


def test_what_predicts_alone_goes_altogether() -> None:
    assert len(kept(table([made(number, 20, 10) for number in range(9)]))) == 0


def test_tolerance_gives_up_fewer_pairs_and_keeps_the_share_inside() -> None:
    pairs = planted(4000, 0.6)
    loose = kept(pairs, SETTINGS.model_copy(update={"tolerance": 0.02}))
    assert len(loose) > len(kept(pairs))
    assert 0.5 < np.mean(ahead(loose) > 0) <= 0.52


def test_strata_are_matched_each_in_itself() -> None:
    counts = {"one": (40, 20), "two": (10, 30)}
    rows = [
        made(1000 * place + number, *((20, 10) if number < longer else (10, 20)), source=name)
        for place, (name, (longer, shorter)) in enumerate(counts.items())
        for number in range(longer + shorter)
    ]
    left = kept(table(rows), SETTINGS.model_copy(update={"by": ["source"]}))
    sides = Counter(zip(left["source"].to_pylist(), ahead(left) > 0, strict=True))
    assert sides == {("one", True): 20, ("one", False): 20, ("two", True): 10, ("two", False): 10}


def test_words_are_counted_where_asked() -> None:
    row = releases.row("Question", "one two three", "a-single-very-long-word", "train")
    assert length(table([row])["chosen"], "words").tolist() == [3]
    assert len(kept(table([row]), SETTINGS.model_copy(update={"feature": "words"}))) == 0


def test_a_pair_goes_together_with_its_variants_and_repeats() -> None:
    rows = []
    for number in range(60):
        parent = made(number, 20, 10) if number < 40 else made(number, 10, 20)
        rows += [parent, *(repeat(parent, times) for times in range(2))]
    reasons = kept(table(rows))
    roots = [row["augmented_from"] or row["prompt_id"] for row in reasons.to_pylist()]
    assert {roots.count(root) for root in roots} == {3}
    assert np.mean(ahead(reasons) > 0) == 0.5


def test_where_families_do_not_fit_single_pairs_make_up_the_rest() -> None:
    """Eight longer, of which six in two families of three that come first, against four shorter: a family and a single pair go."""
    parents = [made(number, 20, 10, pair_id=f"{number}") for number in range(4)]
    repeats = [repeat(parent, times) for parent in parents[:2] for times in range(2)]
    gaps = ahead(kept(table([*parents, *repeats, *(made(number, 10, 20) for number in range(4, 8))])))
    assert [int(np.sum(gaps > 0)), int(np.sum(gaps < 0))] == [4, 4]


def test_what_is_dropped_already_takes_no_part() -> None:
    pairs = table([made(number, 20, 10) for number in range(9)] + [made(number, 10, 20) for number in range(9, 13)])
    dropped = pa.array(["tie"] * 5 + [None] * 8, pa.large_string())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert length_matching.reasons(pairs.append_column("dropped", dropped), SETTINGS).null_count == 13


def repeat(parent: dict[str, Any], times: int) -> dict[str, Any]:
    prompt_id = ids.stable_id(parent["prompt_id"], str(times))
    changed = {"pair_id": ids.stable_id(prompt_id), "prompt_id": prompt_id, "augmented_from": parent["prompt_id"], "augmenter": "repeat"}
    return {**parent, **changed}


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_order_changes_nothing_and_every_bin_is_even(sizes: list[tuple[int, int]], chance: random.Random) -> None:
    rows = [made(number, *size) for number, size in enumerate(sizes)]
    left = kept(table(rows))
    chance.shuffle(rows)
    one, other = (cast("list[str]", pairs["pair_id"].to_pylist()) for pairs in (kept(table(rows)), left))
    assert sorted(one) == sorted(other)
    gaps = ahead(left)
    bins = np.floor(np.log2(np.abs(gaps[gaps != 0])))
    assert all(np.sum(np.sign(gaps[gaps != 0])[bins == one]) == 0 for one in np.unique(bins))


def test_rows_in_several_chunks_are_one_table() -> None:
    pairs = planted(300, 0.7)
    parts = pa.concat_tables([pairs.slice(0, 70), pairs.slice(70, 100), pairs.slice(170)])
    assert kept(parts)["pair_id"].to_pylist() == kept(pairs)["pair_id"].to_pylist()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"matching": {"use": True}}, "unmatched"), ({"trainability": {"tokenizer": "bytes", "max_length": 9}}, "prompt_fills_window")],
)
def test_the_stage_drops_what_is_found_with_its_reason_and_tells_the_votes_fate(changes: dict[str, Any], reason: str) -> None:
    log = ChatLog()
    log.say("c/u0", "Which one?")
    for number, text in enumerate(("A long answer", "Short"), 1):
        log.say(f"c/a{number}", text, after="u0")
    log.act("choice", "c", 1, better="a1", worse="a2")
    rows = [row | {"split": "train"} for row in candidates(log).to_pylist()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = settled(frame(rows, "candidates"), **changes)
        unchanged = settled(frame(rows, "candidates"))
    assert result["pairs"].reasons == result["votes"].reasons == {reason: 1}
    assert (len(unchanged["pairs"].kept), unchanged["votes"].reasons) == (1, {})
