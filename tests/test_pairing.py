"""Claims about which prompts and answers are one, how circles are cut, and that every vote's fate is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.ledger import Account
from tasks.pair.cycles import closing, leads
from tasks.pair.vote_counts import Acts, count_votes
from tests.builders.chatlog import ChatLog, Row, frame
from tests.builders.pair_runs import candidates, pairs, settled


@pytest.fixture
def two() -> ChatLog:
    """Two questions, p and q, with the answers A (a1), B (a2) and, only to the first one, C (a3)."""
    log = ChatLog()
    for conversation, question, answers in (("p", "How do I boil rice?", "ABC"), ("q", "How do I boil rice now?", "AB")):
        log.say(f"{conversation}/u0", question)
        for number, letter in enumerate(answers, 1):
            log.say(f"{conversation}/a{number}", letter, after="u0")
    return log


def result_of(log: ChatLog, cluster: str = "one", **changes: object) -> dict[str, Account]:
    """The stage's accounts where all prompts are near-equal; of all votes the recipe's own reliability holds."""
    rows: list[Row] = candidates(log).to_pylist()
    for row in rows:
        row["cluster_id"] = cluster
        row["votes"] = [vote | {"reliability": None} for vote in row["votes"]]
    return settled(frame(rows, "candidates"), **changes)


def choose(log: ChatLog, conversation: str, better: str, worse: str, **more: object) -> str:
    return log.act("choice", conversation, 1, better=better, worse=worse, **more)


def test_near_equal_prompts_pool_nothing(two: ChatLog) -> None:
    votes = [choose(two, "p", "a1", "a2"), choose(two, "q", "a2", "a1"), choose(two, "q", "a2", "a1")]
    rows = {row["prompt"][0]["content"]: row for row in result_of(two)["pairs"].kept.to_pylist()}
    found = {asked: (row["chosen"][0]["content"], row["votes_for"], row["votes"]) for asked, row in rows.items()}
    assert found == {"How do I boil rice?": ("A", 1, votes[:1]), "How do I boil rice now?": ("B", 2, votes[1:])}


def test_opposite_choices_under_a_template_stay_as_they_are() -> None:
    log = ChatLog()
    said = [
        ("do enable the old service", "a1"),
        ("do disable the old service", "a2"),
        ("solve 5\u00b2 + 10", "a1"),
        ("solve 52 + 10", "a2"),
    ]
    for number, (question, better) in enumerate(said):
        log.say(f"c{number}/u0", question)
        for answer in (1, 2):
            log.say(f"c{number}/a{answer}", ["Yes", "No"][answer - 1], after="u0")
        choose(log, f"c{number}", better, "a1" if better == "a2" else "a2")
    rows = result_of(log)["pairs"].kept.to_pylist()
    assert {row["prompt"][0]["content"]: row["chosen"][0]["content"] for row in rows} == {
        question: "Yes" if better == "a1" else "No" for question, better in said
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 5 mW in watts", "What is 5 MW in watts"),
        ("What is $x in bash", "What is $X in bash"),
        ("What does it print?\nif x:\n    y\nz", "What does it print?\nif x:\n    y\n    z"),
    ],
)
def test_questions_that_differ_in_case_or_layout_contradict_nothing(one: str, other: str) -> None:
    log = ChatLog()
    for number, question in enumerate((one, other), 1):
        log.say(f"c{number}/u0", question)
        for answer in (1, 2):
            log.say(f"c{number}/a{answer}", "AB"[answer - 1], after="u0")
        choose(log, f"c{number}", f"a{number}", f"a{3 - number}")
    assert pairs(result_of(log)) == [("choice", "A", "B"), ("choice", "B", "A")]


def test_one_question_after_two_calls_of_a_tool_contradicts_nothing() -> None:
    log = ChatLog()
    for number, city in enumerate(("Rome", "Oslo"), 1):
        log.say(f"c{number}/u0", "What is the weather?")
        log.say(f"c{number}/b1", "", role="assistant", after="u0", tool_calls=f'[{{"function":{{"arguments":"{city}"}}}}]')
        log.say(f"c{number}/t2", "18 degrees", after="b1")
        for answer in (1, 2):
            log.say(f"c{number}/a{answer}", "AB"[answer - 1], after="t2")
        choose(log, f"c{number}", f"a{number}", f"a{3 - number}")
    assert pairs(result_of(log)) == [("choice", "A", "B"), ("choice", "B", "A")]


@pytest.fixture
def links() -> ChatLog:
    """Two questions, p and q, that read the same and are about two pages, with the answers A and B each."""
    log = ChatLog()
    for conversation in "pq":
        log.say(f"{conversation}/u0", "Is [URL_1] any good?", redacted=conversation)
        for number, letter in enumerate("ABC", 1):
            log.say(f"{conversation}/a{number}", letter, after="u0")
    return log


def test_prompts_that_read_the_same_pool_nothing(links: ChatLog) -> None:
    links.act("thumb", "p/a1", 1)
    links.act("thumb", "q/a2", -1)
    assert pairs(result_of(links)) == []


def test_prompts_that_read_the_same_give_no_pair_and_its_reverse(links: ChatLog) -> None:
    choose(links, "p", "a1", "a2")
    links.act("regenerate", "q", better="a2", worse="a1")
    result = result_of(links)
    assert pairs(result) == [("choice", "A", "B")]
    assert result["pairs"].reasons == result["votes"].reasons == {"contradicted": 1}


def test_prompts_that_read_the_same_give_a_pair_once(links: ChatLog) -> None:
    for conversation in "pq":
        choose(links, conversation, "a1", "a2")
    result = result_of(links)
    assert pairs(result) == [("choice", "A", "B")]
    assert result["pairs"].reasons == {"repeated": 1}


def test_circle_over_prompts_that_read_the_same_is_cut(links: ChatLog) -> None:
    choose(links, "q", "a1", "a2")
    choose(links, "p", "a2", "a3")
    links.act("regenerate", "p", better="a3", worse="a1")
    result = result_of(links)
    assert pairs(result) == [("choice", "A", "B"), ("choice", "B", "C")]
    assert result["pairs"].reasons == {"cycle": 1}


@pytest.mark.parametrize(
    ("one", "other", "nearly"),
    [
        ("it costs 19 euros at the old harbour gate in the evening", "it costs 91 euros at the old harbour gate in the evening", False),
        ("one must not open the valve before the light is green", "one must now open the valve before the light is green", False),
        ("the area of the circle is then \u03c0 r\u00b2, as asked", "the area of the circle is then \u03c0 r2, as asked", False),
        ("an old silent pond\na frog jumps into the pond\nsplash", "an old silent pond a frog jumps into the pond splash", False),
        ("you can ask my colleague Anna at the desk", "you can ask my colleague Anne at the desk", False),
        ("please wait for the train at the old station", "please wait for the train at the old statoin", True),
    ],
)
def test_answers_are_nearly_equal_only_where_what_differs_says_nothing(one: str, other: str, nearly: bool) -> None:
    log = ChatLog()
    log.say("c/u0", "What now?")
    for number, text in enumerate((one, other), 1):
        log.say(f"c/a{number}", text, after="u0")
    choose(log, "c", "a1", "a2")
    assert result_of(log, nearly_equal=0.9)["pairs"].reasons == ({"nearly_equal": 1} if nearly else {})


def test_only_so_many_answers_of_one_prompt_are_compared(two: ChatLog) -> None:
    for number, value in ((1, 5), (1, 5), (2, 3), (2, 3), (3, 1)):
        two.act("rating", f"p/a{number}", value)
    result = settled(candidates(two), rating_margin={"compared": 2})
    assert pairs(result) == [("rating_margin", "A", "B")], "those with most ratings"


def test_fate_of_every_vote_is_told(two: ChatLog) -> None:
    fates: dict[str, Any] = {
        choose(two, "p", "a1", "a2"): "pair",
        two.act("thumb", "p/a1", 1): "unpaired",
        two.act("rating", "p/a2", 3): "middle",
        two.act("ranking", "p/a3", 0, group="g"): "alone",
        two.act("regenerate", "p", better="a1", worse="a2"): "repeated",
        two.act("choice", "q", 0, better="a1", worse="a2"): "tie",
        two.act("choice", "p", 1, better="a1", worse="a3", annotator_kind="model"): "judge",
    }
    votes = settled(candidates(two))["votes"]
    told = dict(zip(votes.dropped["feedback_id"].to_pylist(), votes.dropped["dropped"].to_pylist(), strict=True))
    for row in votes.kept.to_pylist():
        assert bool(row["pairs"]) != bool(row["example_id"])
        told[row["feedback_id"]] = "pair" if row["pairs"] else "unpaired"
    assert told == fates
    (rating,) = (row for row in votes.dropped.to_pylist() if row["kind"] == "rating")
    assert (rating["value"], rating["scale_min"], rating["scale_max"]) == (0.5, 1, 5), "the raw scale beside the normalised value"
    assert float(rating["raw"]) == 3


def test_rows_name_the_conversations_and_records_of_their_own_answers_and_votes() -> None:
    log = ChatLog()
    for conversation in ("a", "a/b", "c", "d"):  # ids may have slashes, in conversations and in turns
        log.say(f"{conversation.replace('/', '|')}/u0", "hi")
        log.say(f"{conversation.replace('/', '|')}/a1", conversation, after="u0")
    log.say("a/a2", "another", after="u0")
    for row in log.turns:
        row["conversation_id"] = row["conversation_id"].replace("|", "/")
        row["turn_id"] = f"t/{row['turn_id']}"
        row["parent_id"] = row["parent_id"] and f"t/{row['parent_id']}"
    log.act("choice", "a", 1, better="t/a1", worse="t/a2")
    log.act("thumb", "a/b/t/a1", 1)
    log.feedback[1].update(conversation_id="a/b", turn_id="t/a1")
    result = settled(candidates(log))
    records = {row["conversation_id"]: f"{'0' * 16}:{row['origin']['record']}:" for row in log.turns}
    (pair,) = result["pairs"].kept.to_pylist()
    assert pair["conversations"] == ["a"]
    assert {origin[:-1] for origin in pair["origins"]} == {records["a"], f"{'1' * 16}:0:-"}
    (example,) = result["unpaired"].kept.to_pylist()
    assert {origin[:-1] for origin in example["origins"]} == {records["a/b"], f"{'1' * 16}:1:-"}


def test_acts_about_two_answers_are_counted_together_whichever_comes_first() -> None:
    first, second, sign = np.array([0, 1, 0, 2]), np.array([1, 0, 1, 1]), np.array([1, -1, 0, 1])
    weight, apart, act = np.array([3, 2, 4, 1]), np.array([2, 3, 0, 1]), np.arange(4)
    found = count_votes(Acts(first, second, sign, weight, apart, (act, act)))
    assert list(zip(found.chosen.tolist(), found.rejected.tolist(), strict=True)) == [(0, 1), (2, 1)]
    assert found.reason.tolist() == [0, 0]
    assert (found.votes_for.tolist(), found.votes_against.tolist(), found.votes_tied.tolist()) == ([2, 1], [0, 0], [1, 0])
    assert found.margin.tolist() == [round(5 / 9, 9), 1]
    assert found.apart.tolist() == [round(5 / 3, 9), 1], "of all acts, that which ties them too"
    assert [part.tolist() for part in found.behind] == [[0, 0, 0, 1], [0, 1, 2, 3]]


EDGES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda edge: edge[0] != edge[1]), max_size=25, unique=True)


@given(EDGES)
def test_no_circle_is_left_and_every_edge_given_up_would_close_one(edges: list[tuple[int, int]]) -> None:
    arrays = np.array(edges, np.int64).reshape(-1, 2)
    gone = closing(arrays[:, 0], arrays[:, 1]).tolist()
    kept: set[tuple[int, int]] = set()
    for edge, closes in zip(edges, gone, strict=True):
        assert closes == (edge[0] in below(kept, edge[1])), "an edge goes exactly when the stronger ones lead back"
        if not closes:
            kept.add(edge)


def test_each_answer_is_walked_once_however_many_ways_lead_to_it() -> None:
    walked: list[int] = []

    class Below(dict[int, list[int]]):
        def get(self, node: int, default: Any = None) -> Any:
            walked.append(node)
            return super().get(node, default)

    rungs = Below()
    for node in range(0, 30, 3):
        rungs |= {node: [node + 1, node + 2], node + 1: [node + 3], node + 2: [node + 3]}
    assert not leads(rungs, 0, 99)
    assert sorted(walked) == list(range(31))


def below(edges: set[tuple[int, int]], start: int) -> set[int]:
    """All nodes that can be reached, and the start."""
    found = {start}
    while more := {other for one, other in edges if one in found} - found:
        found |= more
    return found
