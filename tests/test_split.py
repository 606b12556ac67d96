"""Claims about `split`: what stays together, what is said when it cannot, and that nothing else moves."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import yaml

from tasks.core.errors import UserError
from tasks.core.ids import stable_id
from tasks.core.params import load
from tasks.split import assignment
from tasks.split import stage as split
from tests.builders.chatlog import Row
from tests.builders.split_runs import DEFAULTS, MANY, WORDS, prompt, settled, text


def run(rows: list[Row], **changes: object) -> tuple[dict[str, Row], list[str]]:
    """Rows that stay, by prompt id, and what the stage said."""
    result, said = settled(rows, **changes)
    return {row["prompt_id"]: row for row in result["candidates"].kept.to_pylist()}, said


def sides(rows: list[Row], *numbers: int, **changes: object) -> set[str]:
    """The splits in which the prompts with these numbers lie."""
    placed, _ = run(rows, **changes)
    return {placed[stable_id("p", str(number))]["split"] for number in numbers}


@pytest.mark.parametrize(
    "ties",
    [
        {"users": ["someone"]},
        {"conversations": ["shared"]},
        {"said": ("An opening that is shared", "answer", "and more")},
        {"near": "the quick brown fox jumps over the lazy dog near the river bank every single morning before sunrise number"},
    ],
    ids=["user", "conversation", "opening", "near"],
)
def test_what_is_tied_stays_together(ties: Row) -> None:
    rows = list(MANY)
    for number in range(12):
        chain = ties.get("near")
        said = (f"{chain} {WORDS[number]}",) if chain else (*ties["said"], text(number)) if "said" in ties else ()
        rows.append(prompt(number, *said, **{key: value for key, value in ties.items() if key not in ("said", "near")}))
    assert len(sides(rows, *range(12), popular=50)) == 1
    assert len(sides([*MANY, *(prompt(number) for number in range(12))], *range(12))) > 1, "untied they would lie apart"


def test_ties_reach_over_others() -> None:
    rows = [*MANY, *(prompt(number, users=[f"p{number}", f"p{number + 1}"]) for number in range(12))]
    assert len(sides(rows, *range(12))) == 1


def test_near_equal_prompts_share_a_cluster_and_others_do_not() -> None:
    base = "how do I reset the password of my account when the old mail address is gone for good"
    placed, _ = run([*MANY, prompt(1, base), prompt(2, base + " please"), prompt(3, text(3))])
    clusters = [placed[stable_id("p", str(number))]["cluster_id"] for number in (1, 2, 3)]
    assert clusters[0] == clusters[1] != clusters[2]
    assert clusters[0] == min(stable_id("p", "1"), stable_id("p", "2"))


@pytest.mark.parametrize("other", ["How long do moths live", "how long do moths live, please?", "Hi! How long do moths live?"])
def test_a_question_stays_with_itself_whatever_its_signs_and_courtesies(other: str) -> None:
    rows = [prompt(0, "How long do moths live?"), prompt(1, other), *(prompt(number) for number in range(2, 30))]
    result, _ = settled(rows)
    places = {row["prompt"][0]["content"]: (row["cluster_id"], row["split"]) for row in result["candidates"].kept.to_pylist()}
    assert places["How long do moths live?"] == places[other]


def test_prompts_that_read_the_same_stay_together_whatever_is_given_up() -> None:
    rows = [prompt(number, "See [URL_1]", users=[f"u{number % 2}"]) for number in range(20)]
    result, said = settled(rows, largest_component=0.1, popular=1)
    assert any("one component" in line for line in said)
    assert len(set(result["candidates"].kept["split"].to_pylist())) == 1


def test_a_long_system_prompt_does_not_make_prompts_near_equal() -> None:
    system = {"role": "system", "content": " ".join(WORDS) * 5}
    rows = [prompt(number, prompt=[system, {"role": "user", "content": text(number)}]) for number in range(60)]
    placed, _ = run(rows)
    assert len({row["cluster_id"] for row in placed.values()}) == 60


def test_popular_first_turn_does_not_glue_conversations() -> None:
    rows = [prompt(number, "hi", "hello", text(number)) for number in range(60)]
    rows.append(prompt(99, "hi", conversations=[f"c{number}" for number in range(60)]))
    placed, said = run(rows)
    assert len({row["split"] for row in placed.values()}) == 3
    assert "1 first user turns and 1 prompts are met in more than 3 conversations and do not link them" in said


def test_shares_are_met_and_no_component_is_larger_than_its_split() -> None:
    big = [prompt(number, conversations=["big"]) for number in range(1000, 1040)]
    placed, _ = run([*big, *(prompt(number) for number in range(160))])
    counts = Counter(row["split"] for row in placed.values())
    assert counts["train"] > counts["validation"] > 15
    assert counts["test"] > 15
    many = [prompt(number, conversations=["big"]) for number in range(1000, 1060)]
    assert sides([*many, *(prompt(number) for number in range(140))], *range(1000, 1060)) == {"train"}


@pytest.mark.parametrize("count", [3, 4, 7])
def test_no_split_is_empty_where_there_are_three_components(count: int) -> None:
    placed, _ = run([prompt(number) for number in range(count)], train=0.98, validation=0.01, test=0.01)
    assert {row["split"] for row in placed.values()} == {"train", "validation", "test"}


def test_a_split_that_is_to_have_nothing_has_nothing() -> None:
    placed, _ = run(MANY, train=0.8, validation=0.0, test=0.2)
    assert {row["split"] for row in placed.values()} == {"train", "test"}


def test_two_components_fill_what_they_can() -> None:
    placed, _ = run([prompt(1), prompt(2)], largest_component=1.0)
    assert set(placed) == {stable_id("p", "1"), stable_id("p", "2")}


def test_no_candidates_no_splits() -> None:
    assert run([]) == ({}, [])


def test_more_data_moves_no_component() -> None:
    rows = [prompt(number) for number in range(200)]
    before, _ = run(rows)
    after, _ = run([*rows, *(prompt(number) for number in range(500, 700))])
    assert all(after[name]["split"] == row["split"] for name, row in before.items())


GIANT = [prompt(number, users=["hub"]) for number in range(40)] + [prompt(number, users=[f"p{number // 2}"]) for number in range(40, 60)]


def test_giant_component_is_named_and_untied() -> None:
    placed, said = run(GIANT)
    assert said[0] == "one component with 40 of 60 rows, linked by user (39 links); 39 of them given up, those of the commonest first"
    hub = {placed[stable_id("p", str(number))]["split"] for number in range(40) if stable_id("p", str(number)) in placed}
    assert len(hub) == 1, "where the user belongs"
    assert len(placed) < 60
    assert said[1].startswith(f"users, conversations or answers lay in two splits: {60 - len(placed)} rows dropped")
    for number in range(40, 60, 2):
        assert len({placed[stable_id("p", str(one))]["split"] for one in (number, number + 1)}) == 1, "other users stay whole"


def test_who_stands_behind_a_large_share_is_named_and_ties_nothing() -> None:
    placed, said = run(GIANT, largest_user=0.5)
    assert len(placed) == len(GIANT), "nothing is lost"
    assert {placed[stable_id("p", str(number))]["split"] for number in range(40)} == {"train", "validation", "test"}
    assert [line[:57] for line in said] == ["1 users stand behind more than 50% of the prompts (an own"]
    for number in range(40, 60, 2):
        assert len({placed[stable_id("p", str(one))]["split"] for one in (number, number + 1)}) == 1, "other users stay whole"


@pytest.mark.parametrize("count", [20, 10])
def test_one_persons_small_log_loses_nothing_and_lies_in_several_splits(count: int) -> None:
    placed, _ = run([prompt(number, users=["me"]) for number in range(count)], largest_user=0.2, largest_component=0.8)
    assert len(placed) == count
    assert len({row["split"] for row in placed.values()}) > 1


def test_only_common_values_are_untied_where_that_is_enough() -> None:
    rows = [prompt(number, users=["hub", f"p{number // 2}"]) for number in range(60)]
    placed, said = run(rows)
    assert said[0].endswith("59 of them given up, those of the commonest first")
    for number in range(0, 60, 2):
        assert len({stable_id("p", str(one)) in placed for one in (number, number + 1)}) == 1, "a pair stays, or goes, together"


def test_a_log_of_one_template_loses_nothing() -> None:
    template = text(1) + text(2) + text(3)
    placed, said = run([prompt(number, f"{template} {number}", users=[f"p{number // 3}"]) for number in range(30)])
    assert len(placed) == 30
    assert {row["split"] for row in placed.values()} == {"train"}
    assert [line[:70] for line in said] == ["one component with 30 of 30 rows, linked by near, is kept: parted, it "]
    assert run([prompt(1)])[1] == []


def test_one_long_conversation_loses_nothing() -> None:
    placed, _ = run([prompt(number, conversations=["c"], users=["p"]) for number in range(30)])
    assert {row["split"] for row in placed.values()} == {"train"}
    assert len(placed) == 30


def test_giant_that_is_kept_goes_to_one_split() -> None:
    placed, said = run(GIANT, on_giant="keep")
    assert {placed[stable_id("p", str(number))]["split"] for number in range(40)} == {"train"}
    assert said == ["one component with 40 of 60 rows, linked by user (39 links); kept"]


def test_giant_can_be_an_error() -> None:
    with pytest.raises(UserError, match=r"linked by user .39 links.*split.largest_component.*drop_weakest_links or keep"):
        run(GIANT, on_giant="error")


def test_users_are_given_up_before_conversations() -> None:
    rows = [prompt(number, users=["hub"], conversations=[f"c{number // 4}"]) for number in range(60)]
    placed, _ = run(rows, popular=10)
    for number in range(0, 60, 4):
        assert len({stable_id("p", str(one)) in placed for one in range(number, number + 4)}) == 1, "they stay, or go, together"


def test_order_of_rows_changes_nothing() -> None:
    assert run(GIANT) == run(GIANT[::-1])


def test_shares_must_sum_to_one(tmp_path: Any) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"split": DEFAULTS | {"test": 0.3}}), encoding="utf-8")
    with pytest.raises(UserError, match="must sum to 1"):
        load(path, "split", split.Params)


def grown(days: int) -> list[Row]:
    """A log that grows from the front: users with one to many conversations, one in ten of whom comes back with a later day."""
    rows = []
    for number in range(days):
        user = int(stable_id("user", str(number)), 16) % (200 + number // 2)
        rows.append(prompt(5000 + number, users=[f"p{user}"]))
    return rows


def test_more_data_of_known_users_takes_few_rows_out_of_test() -> None:
    log = grown(2100)
    before, _ = run(log[:2000], largest_held_out=0.25)
    after, _ = run(log, largest_held_out=0.25)
    test = [name for name, row in before.items() if row["split"] == "test"]
    left = sum(after[name]["split"] != "test" for name in test)
    assert len(test) > 250
    assert left <= 0.12 * len(test), "at most what one step of the threshold sends on"
    held = [name for name, row in before.items() if row["split"] == "validation"]
    assert sum(after[name]["split"] == "train" for name in held) <= 0.25 * len(held)


def test_thresholds_do_not_move_where_the_sizes_of_components_stay() -> None:
    sizes = np.repeat([1, 2, 5, 40], [3000, 800, 200, 20])
    more = np.repeat([1, 2, 5, 40], [3150, 840, 210, 21])
    assert assignment.threshold(sizes, 0.1, int(sizes.sum())) == assignment.threshold(more, 0.1, int(more.sum()))


def test_growth_moves_rows_only_where_a_threshold_takes_a_step_of_its_grid() -> None:
    """New components of other sizes shift the exact thresholds a little each time; on the grid, nearly all growths move no row."""
    draw = np.random.default_rng(1)
    many = np.concatenate([draw.choice([1, 1, 1, 2, 3], 16000), draw.choice([1, 2, 4], 1500)])
    labels = np.repeat(np.arange(len(many)), many)
    draws, sizes = draw.random(len(labels)), range(25000, 28000, 100)
    placed = [assignment.assign_splits(draws[:rows], labels[:rows], (0.8, 0.1, 0.1), 1.0) for rows in sizes]
    moves = [(before[: rows - 4] != after[: rows - 4]).any() for rows, before, after in zip(sizes, placed, placed[1:], strict=False)]
    assert sum(moves) <= 3, "exact thresholds move rows 28 times of 29"
    found = np.array([assignment.threshold(np.unique(labels[:rows], return_counts=True)[1], 0.1, rows) for rows in sizes])
    steps = np.log2(found / 0.1) * assignment.STEPS
    assert np.abs(steps - steps.round()).max() < 1e-9
    assert len(set(found)) == 2, "the growth is long enough to cross one line of the grid"


@pytest.mark.parametrize("step", range(-24, 1))
def test_a_value_on_the_grid_stays_and_one_just_below_a_line_goes_to_the_line_under_it(step: int) -> None:
    line, under = (0.1 * 2 ** (at / assignment.STEPS) for at in (step, step - 1))
    assert assignment.on_grid(line, 0.1) == pytest.approx(line, rel=1e-12)
    assert assignment.on_grid(line * (1 - 1e-6), 0.1) == pytest.approx(under, rel=1e-12)


@pytest.mark.parametrize("sizes", [[1], [3], [1, 1, 1, 20], [50, 2, 1]])
def test_expected_shares_are_the_wanted_ones_less_a_step_at_most(sizes: list[int]) -> None:
    every = np.repeat(sizes, 500)
    rows = int(every.sum())
    first = assignment.threshold(every, 0.1, rows)
    second = assignment.threshold(every, 0.2, rows, first)
    test = (every * (1 - (1 - first) ** every)).sum() / rows
    validation = (every * ((1 - first) ** every - (1 - second) ** every)).sum() / rows
    assert 0.1 / 2 ** (1 / assignment.STEPS) <= test <= 0.1 + 1e-9
    assert 0.2 / 2 ** (1 / assignment.STEPS) <= validation <= 0.2 + 1e-9


def test_a_test_row_stays_one_when_components_grow_together() -> None:
    draws = np.random.default_rng(3).random(400)
    apart = assignment.assign_splits(draws, np.arange(400), (0.8, 0.1, 0.1), 1.0)
    labels = np.arange(400) // 2 * 2
    first, second = 0.1, 0.2
    assert (apart[draws < first] == 2).all()
    assert (apart[(draws >= first) & (draws < second)] == 1).all()
    together = assignment.assign_splits(draws, labels, (0.8, 0.1, 0.1), 1.0)
    assert (together[0::2] == together[1::2]).all()
    lower = assignment.threshold(np.full(200, 2), 0.1, 400)
    assert (together[draws < lower] == 2).all()
