"""Claims about what `split` takes out: whatever the log, nothing crosses, and no vote is lost unsaid."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tasks.common.links import Keyed
from tasks.core.ids import stable_id
from tasks.split.leakage_removal import home_splits
from tests.builders.chatlog import Row
from tests.builders.split_runs import MANY, answer, parts, prompt, settled, text
from tests.builders.tied_logs import logs, places, too_common, vote

HI = stable_id("p", "99")


def sample() -> tuple[list[Row], Row]:
    """Sixty users with a prompt of their own each, and one ("hi") that all meet, each with a thumb; two get answers of their own."""
    talks, people = [f"c{number}" for number in range(60)], [f"p{number}" for number in range(60)]
    answers = [answer("hello", *talks), answer("only here", "c7"), answer("only there", "c8")]
    said = [part for talk, person in zip(talks, people, strict=True) for part in parts(talk, person)]
    votes = [vote(f"f{number:02d}", f"c{number}", f"p{number}", answers[0]) for number in range(60)]
    hi = prompt(99, "hi", conversations=talks, users=people, responses=answers, parts=said, votes=votes)
    return [*(prompt(number, "hi", "hello", text(number), users=[f"p{number}"]) for number in range(60)), hi], hi


def test_a_prompt_that_many_meet_keeps_what_belongs_to_its_split() -> None:
    rows, _ = sample()
    result, said = settled(rows)
    kept = {row["prompt_id"]: row for row in result["candidates"].kept.to_pylist()}
    here = {row["users"][0] for name, row in kept.items() if name != HI and row["split"] == kept[HI]["split"]}
    assert 0 < len(here) < 60
    hi = kept[HI]
    assert set(hi["users"]) == here
    assert {talk.replace("c", "p") for talk in hi["conversations"]} == here
    assert {one["annotator"] for one in hi["votes"]} == here
    assert {turn.split("/")[0].replace("c", "p") for one in hi["responses"] for turn in one["turns"]} == here
    contents = {one["content"] for one in hi["responses"]}
    assert ("only here" in contents, "only there" in contents) == ("p7" in here, "p8" in here)
    (hello,) = (one for one in hi["responses"] if one["content"] == "hello")
    assert hello["ups"] == len(here), "counted anew"
    assert len(hi["origins"]) == 2 * len(here), "a record and a vote of each"
    dropped = result["votes"].dropped.to_pylist()
    assert {one["dropped"] for one in dropped} == {"crosses_split"}
    assert all(one["pairs"] == [] and one["example_id"] is None for one in dropped)
    assert {one["annotator"] for one in dropped} == {f"p{number}" for number in range(60)} - here
    assert f"{60 - len(here)} votes went with it" in said[-1]


def test_rows_that_nobody_disputes_come_back_as_they_were() -> None:
    rows, _ = sample()
    kept = {row["prompt_id"]: row for row in settled(rows)[0]["candidates"].kept.to_pylist()}
    for row in rows[:60]:
        assert {key: value for key, value in kept[row["prompt_id"]].items() if key not in ("cluster_id", "split")} == {
            key: value for key, value in row.items() if key not in ("cluster_id", "split")
        }


def test_an_edit_goes_with_its_author_and_votes_about_it_go_too() -> None:
    rows, hi = sample()
    base = hi["responses"][0]
    for number in range(60):
        edit = answer(f"edited by {number}", written_by="person", model=None)
        hi["responses"].append(edit | {"turns": []})
        better, worse = edit["response_id"], base["response_id"]
        hi["votes"].append(
            vote(f"e{number:02d}", f"c{number}", f"p{number}", base, kind="edit", response_id=None, better=better, worse=worse)
        )
        hi["votes"].append(vote(f"x{number:02d}", f"c{number}", None, edit))
    result, _ = settled(rows)
    (kept,) = (row for row in result["candidates"].kept.to_pylist() if row["prompt_id"] == HI)
    here = {user.removeprefix("p") for user in kept["users"]}
    assert {one["content"].removeprefix("edited by ") for one in kept["responses"] if one["written_by"] == "person"} == here
    assert len(kept["votes"]) == 3 * len(here)
    assert all(one["ups"] == 1 for one in kept["responses"] if one["written_by"] == "person")


def test_turn_ids_and_conversations_may_hold_slashes() -> None:
    rows, _ = sample()
    for row in rows:
        row["conversations"] = [f"log:a/{talk}" for talk in row["conversations"]]
        row["parts"] = [part | {"conversation": f"log:a/{part['conversation']}"} for part in row["parts"]]
        row["responses"] = [one | {"turns": [f"log:a/{turn}/1" for turn in one["turns"]]} for one in row["responses"]]
        row["votes"] = [one | {"conversation": f"log:a/{one['conversation']}"} for one in row["votes"]]
    (kept,) = (row for row in settled(rows)[0]["candidates"].kept.to_pylist() if row["prompt_id"] == HI)
    assert len(kept["votes"]) == len(kept["responses"][0]["turns"] or kept["responses"][1]["turns"]) == len(kept["users"]) < 60


def test_shared_long_answers_tie_and_short_or_common_ones_do_not() -> None:
    long = "An answer that is long enough to be told from what any model says to anybody."
    for content, count, held in ((long, 3, 1), ("Yes.", 12, 3), (long, 12, 3)):
        rows = [*MANY, *(prompt(number, responses=[answer(content, f"c{number}")]) for number in range(count))]
        kept = {row["prompt_id"]: row["split"] for row in settled(rows, popular=5)[0]["candidates"].kept.to_pylist()}
        assert len({kept[stable_id("p", str(number))] for number in range(count)}) == min(held, 3)


def test_what_is_too_common_is_written_down() -> None:
    rows, _ = sample()
    common = settled(rows)[0]["common"].kept.to_pylist()
    assert [(row["kind"], row["met"], row["prompt_id"]) for row in common] == [
        ("first_user_turn", 60, min(row["prompt_id"] for row in rows))
    ]


def test_a_value_as_often_in_two_splits_is_at_home_in_either_by_its_name_alone() -> None:
    names = [f"person {number}" for number in range(40)]
    found = []
    for order in (names, names[::-1]):
        values = Keyed(np.repeat(np.arange(40), 2), np.arange(80), pa.array(order))
        counted, common = np.ones(80, bool), np.zeros(80, bool)
        home = home_splits(values, np.tile([0, 2], 40), common, counted)
        found.append(dict(zip(order, home.of_value.tolist(), strict=True)))
    assert found[0] == found[1]
    assert set(found[0].values()) == {0, 2}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(logs(), some.sampled_from(["drop_weakest_links", "keep"]), some.integers(1, 8))
def test_whatever_the_log_nothing_crosses_and_votes_add_up(rows: list[Row], on_giant: str, popular: int) -> None:
    result, _ = settled(rows, on_giant=on_giant, popular=popular, largest_component=0.2)
    kept = result["candidates"].kept.to_pylist()
    crossing = {value for value, splits in places(kept).items() if len(splits) > 1}
    assert crossing <= too_common(rows, popular)
    assert len(result["common"].kept) == len(too_common(rows, popular))
    for row in kept:
        ups = Counter(one["response_id"] for one in row["votes"])
        assert set(ups) <= {one["response_id"] for one in row["responses"]}, "no vote about an answer that went"
        assert row["conversations"]
        assert row["responses"]
        assert all(one["ups"] == ups[one["response_id"]] for one in row["responses"])
    left = [(one["feedback_id"], row["prompt_id"]) for row in kept for one in row["votes"]]
    gone = [(one["feedback_id"], one["prompt_id"]) for one in result["votes"].dropped.to_pylist()]
    assert sorted(left + gone) == sorted((one["feedback_id"], row["prompt_id"]) for row in rows for one in row["votes"])
