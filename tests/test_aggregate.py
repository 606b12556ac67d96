"""Claims about `aggregate`: what becomes a candidate, what becomes a vote, and why the rest does not."""

from __future__ import annotations

import json
import re
import unicodedata
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.aggregate import prompt_ids
from tasks.aggregate import stage as aggregate
from tasks.common import arrays
from tasks.common.text_identity import same_answer, same_question
from tasks.common.vocabulary.kinds import VOTED
from tasks.core.ledger import Account
from tasks.core.tables import TEXT, TEXTS
from tests.builders.chatlog import AGGREGATE, UNTOLD, ChatLog, accounts, dropped


def run(log: ChatLog, unjudged: str = "none", shuffle: int | None = None) -> dict[str, Account]:
    tables = log.tables(shuffle)
    return accounts("aggregate", aggregate.run(tables, aggregate.Params.model_validate(AGGREGATE | {"unjudged": unjudged})), tables)


def candidates(log: ChatLog, unjudged: str = "none") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = run(log, unjudged)["candidates"].kept.to_pylist()
    return rows


def reasons(log: ChatLog) -> dict[str, str]:
    return dropped(run(log)["feedback"])


@pytest.fixture
def two_answers() -> ChatLog:
    """One question with two answers, a1 and a2, and the question after the first."""
    log = ChatLog()
    log.say("c/u0", "How long do I boil rice?")
    log.say("c/a1", "Twelve minutes.", after="u0", model="m1")
    log.say("c/a2", "An hour.", after="u0", model="m2")
    log.say("c/u3", "Thanks! And pasta?", after="a1")
    log.say("c/a4", "Ten minutes.", after="u3")
    return log


def test_prompt_goes_from_the_root_to_the_turn_before_the_answer(two_answers: ChatLog) -> None:
    two_answers.act("thumb", "c/a4", 1)
    (row,) = candidates(two_answers)
    assert [message["content"] for message in row["prompt"]] == ["How long do I boil rice?", "Twelve minutes.", "Thanks! And pasta?"]
    assert [message["role"] for message in row["prompt"]] == ["user", "assistant", "user"]
    assert row["prompt_id"] == prompt_ids.prompt_id(row["prompt"])
    assert (row["split"], row["cluster_id"], row["weight"], row["augmented_from"]) == ("", "", 1.0, None)


def test_system_turn_belongs_to_the_prompt() -> None:
    log = ChatLog()
    log.say("c/s0", "Be brief.")
    log.say("c/u1", "Hi", after="s0")
    log.say("c/a2", "Hello", after="u1")
    log.act("thumb", "c/a2", 1)
    assert [message["role"] for message in candidates(log)[0]["prompt"]] == ["system", "user"]


def test_answer_after_a_tool_has_the_tool_in_its_prompt() -> None:
    log = ChatLog()
    log.say("c/u0", "Weather?")
    log.say("c/a1", "calling", after="u0")
    log.say("c/t2", "sunny", after="a1")
    log.say("c/a3", "It is sunny.", after="t2")
    log.act("thumb", "c/a3", 1)
    (row,) = candidates(log)
    assert row["prompt"][-1] == {"role": "tool", "content": "sunny", **UNTOLD}


def test_equal_prompts_and_equal_answers_of_several_conversations_are_one() -> None:
    log = ChatLog()
    log.chat("c1", "Hello  there", "Hi!", user_id="p1")
    log.chat("c2", "hello there ", "Hi! ", user_id="p2")
    log.act("thumb", "c1/a1", 1, annotator="p1")
    log.act("thumb", "c2/a1", -1, annotator="p3")
    (row,) = candidates(log)
    (response,) = row["responses"]
    assert response["turns"] == ["c1/a1", "c2/a1"]
    assert (response["ups"], response["downs"]) == (1, 1)
    assert row["conversations"] == ["c1", "c2"]
    assert row["users"] == ["p1", "p2", "p3"]
    assert row["prompt"][0]["content"] == "Hello  there", "as the first conversation spells it"
    assert response["content"] == "Hi!", "the first spelling by byte order"
    assert response["response_id"] == prompt_ids.response_id(row["prompt_id"], "Hi!")


def test_all_answers_to_a_judged_prompt_are_candidates(two_answers: ChatLog) -> None:
    two_answers.act("thumb", "c/a1", 1)
    (row,) = candidates(two_answers)
    assert sorted((r["content"], r["model"], r["written_by"]) for r in row["responses"]) == [
        ("An hour.", "m2", "model"),
        ("Twelve minutes.", "m1", "model"),
    ]


def test_ratings_are_put_on_one_scale(two_answers: ChatLog) -> None:
    two_answers.act("rating", "c/a1", 5)
    two_answers.act("rating", "c/a1", 4, scale_min=0.0, scale_max=10.0)
    two_answers.act("rating", "c/a2", 1)
    (row,) = candidates(two_answers)
    scores = {response["content"]: (response["score"], response["ratings"]) for response in row["responses"]}
    assert scores == {"Twelve minutes.": (0.7, 2), "An hour.": (0.0, 1)}
    assert sorted(vote["value"] for vote in row["votes"]) == [0.0, 0.4, 1.0]


@pytest.mark.parametrize(
    ("value", "ends", "grade"),
    [(5, (1, 5), 1.0), (1, (1, 5), 0.0), (1, (5, 1), 1.0), (4, (5, 1), 0.25), (0, (-3, 3), 0.5), (-3, (3, -3), 1.0), (0.2, (0, 1), 0.2)],
)
def test_a_rating_runs_from_the_worst_to_the_best_end_of_its_scale(
    two_answers: ChatLog, value: float, ends: tuple[float, float], grade: float
) -> None:
    two_answers.act("rating", "c/a1", value, scale_min=ends[0], scale_max=ends[1])
    (vote,) = candidates(two_answers)[0]["votes"]
    assert (vote["value"], vote["scale_min"], vote["scale_max"], float(vote["raw"])) == (pytest.approx(grade), *ends, value)


@pytest.mark.parametrize(("value", "ends", "grade"), [(1, (0, 1), 1.0), (0, (0, 1), -1.0), (1, (2, 1), 1.0), (-1, (None, None), -1.0)])
def test_a_thumb_may_come_on_a_scale_of_two(two_answers: ChatLog, value: float, ends: tuple[Any, Any], grade: float) -> None:
    two_answers.act("thumb", "c/a1", value, scale_min=ends[0], scale_max=ends[1])
    assert [vote["value"] for vote in candidates(two_answers)[0]["votes"]] == [grade]


def test_words_stay_beside_the_value(two_answers: ChatLog) -> None:
    two_answers.act("rating", "c/a1", 3, label="Good", scale_min=0.0, scale_max=4.0)
    (vote,) = candidates(two_answers)[0]["votes"]
    assert (vote["raw"], vote["value"]) == ("Good", 0.75)


def test_a_correction_is_kept_apart_from_an_edit(two_answers: ChatLog) -> None:
    two_answers.act("edit", "c/a2", text="Thirteen minutes.", annotator="p", minute=1)
    two_answers.act("correction", "c/a2", text="Fourteen minutes.", annotator="p", minute=2)
    (row,) = candidates(two_answers)
    assert sorted(vote["kind"] for vote in row["votes"]) == ["correction", "edit"], "neither supersedes the other"
    assert sum(response["written_by"] == "person" for response in row["responses"]) == 2
    assert row["evidence"] == "correction"


def test_unrated_answer_has_no_score(two_answers: ChatLog) -> None:
    two_answers.act("thumb", "c/a1", 1)
    assert {response["score"] for response in candidates(two_answers)[0]["responses"]} == {None}


def test_edit_becomes_an_answer_written_by_a_person(two_answers: ChatLog) -> None:
    two_answers.act("edit", "c/a2", text="Twelve to fifteen minutes.")
    (row,) = candidates(two_answers)
    names = {response["content"]: response for response in row["responses"]}
    mine = names["Twelve to fifteen minutes."]
    assert (mine["written_by"], mine["turns"], mine["model"]) == ("person", [], None)
    (vote,) = row["votes"]
    assert (vote["better"], vote["worse"]) == (mine["response_id"], names["An hour."]["response_id"])


def test_edit_to_what_a_model_said_is_that_answer(two_answers: ChatLog) -> None:
    two_answers.act("edit", "c/a2", text=" Twelve minutes. ")
    (row,) = candidates(two_answers)
    assert sorted(response["written_by"] for response in row["responses"]) == ["model", "model"]


def test_edit_kept_as_a_turn_of_its_own(two_answers: ChatLog) -> None:
    two_answers.act("edit", "c", better="a1", worse="a2")
    (row,) = candidates(two_answers)
    assert row["evidence"] == "edit"


EXAMPLES: dict[str, dict[str, Any]] = {
    "thumb": {"place": "c/a1", "value": -1},
    "rating": {"place": "c/a1", "value": 3},
    "ranking": {"place": "c/a1", "value": 0, "group": "g"},
    "choice": {"place": "c", "value": 0, "better": "a1", "worse": "a2"},
    "edit": {"place": "c/a1", "text": "Eleven minutes."},
    "correction": {"place": "c/a1", "text": "Eleven minutes."},
    "regenerate": {"place": "c", "better": "a2", "worse": "a1"},
}


@pytest.mark.parametrize("kind", VOTED)
def test_each_kind_becomes_a_vote(two_answers: ChatLog, kind: str) -> None:
    two_answers.act(kind, **EXAMPLES[kind])
    (row,) = candidates(two_answers)
    (vote,) = row["votes"]
    assert (vote["kind"], row["evidence"], vote["origin"]) == (kind, kind, "1111111111111111:0:-1")
    assert vote["group"] == EXAMPLES[kind].get("group", "f000")
    ids = {response["response_id"] for response in row["responses"]}
    assert {vote[name] for name in ("response_id", "better", "worse")} - {None} <= ids


@pytest.mark.parametrize(
    ("reason", "act"),
    [
        ("unknown_kind", {"kind": "applause", "place": "c/a1"}),
        ("not_used", {"kind": "report", "place": "c/a1"}),
        ("not_used", {"kind": "copy", "place": "c/nowhere"}),
        ("off_scale", {"kind": "thumb", "place": "c/a1", "value": 0}),
        ("off_scale", {"kind": "thumb", "place": "c/a1", "value": 0.5, "scale_min": 0.0, "scale_max": 1.0}),
        ("no_value", {"kind": "thumb", "place": "c/a1"}),
        ("no_value", {"kind": "rating", "place": "c/a1", "scale_max": None}),
        ("no_value", {"kind": "choice", "place": "c", "better": "a1", "worse": "a2"}),
        ("unknown_label", {"kind": "thumb", "place": "c/a1", "label": "sideways"}),
        ("unknown_label", {"kind": "rating", "place": "c/a1", "label": "Splendid"}),
        ("unknown_label", {"kind": "choice", "place": "c", "label": "left-ish", "better": "a1", "worse": "a2"}),
        ("off_scale", {"kind": "rating", "place": "c/a1", "value": 10}),
        ("off_scale", {"kind": "rating", "place": "c/a1", "value": 0.5, "scale_min": 5.0, "scale_max": 1.0}),
        ("off_scale", {"kind": "rating", "place": "c/a1", "value": float("inf"), "scale_max": 5.0}),
        ("no_scale", {"kind": "rating", "place": "c/a1", "value": 3, "scale_max": None}),
        ("no_scale", {"kind": "rating", "place": "c/a1", "value": 1, "scale_max": 1.0}),
        ("no_scale", {"kind": "rating", "place": "c/a1", "label": "Good", "scale_min": None, "scale_max": None}),
        ("no_scale", {"kind": "rating", "place": "c/a1", "value": 1, "scale_max": float("inf")}),
        ("off_scale", {"kind": "ranking", "place": "c/a1", "value": 4, "group": "g", "scale_min": 0.0, "scale_max": 3.0}),
        ("off_scale", {"kind": "ranking", "place": "c/a1", "value": 0.5, "group": "g"}),
        ("off_scale", {"kind": "choice", "place": "c", "value": 2, "better": "a1", "worse": "a2"}),
        ("no_such_turn", {"kind": "thumb", "place": "c/a9", "value": 1}),
        ("no_target", {"kind": "thumb", "place": "c", "value": 1}),
        ("no_such_turn", {"kind": "thumb", "place": "elsewhere/a1", "value": 1}),
        ("no_such_turn", {"kind": "choice", "place": "c", "value": 1, "better": "a1", "worse": "a9"}),
        ("no_target", {"kind": "choice", "place": "c", "value": 1, "better": "a1"}),
        ("no_target", {"kind": "edit", "place": "c", "text": "x"}),
        ("not_an_answer", {"kind": "thumb", "place": "c/u0", "value": 1}),
        ("no_text", {"kind": "thumb", "place": "c/a5", "value": 1}),
        ("no_text", {"kind": "edit", "place": "c/a1", "text": " \n"}),
        ("no_text", {"kind": "edit", "place": "c/a1"}),
        ("no_prompt", {"kind": "thumb", "place": "c/a6", "value": 1}),
        ("no_prompt", {"kind": "thumb", "place": "c/a8", "value": 1}),
        ("different_prompts", {"kind": "choice", "place": "c", "value": 1, "better": "a1", "worse": "a4"}),
        ("different_prompts", {"kind": "regenerate", "place": "c", "better": "a4", "worse": "a1"}),
        ("deleted_branch", {"kind": "thumb", "place": "c/a12", "value": 1}),
        ("deleted_branch", {"kind": "thumb", "place": "c/a14", "value": 1}),
        ("deleted_branch", {"kind": "correction", "place": "c/a14", "text": "Mend it."}),
        ("no_change", {"kind": "correction", "place": "c/a1", "text": "Twelve minutes.\r\n"}),
        ("no_change", {"kind": "edit", "place": "c/a1", "text": "Twelve minutes.\r\n"}),
        ("same_answer", {"kind": "choice", "place": "c", "value": 1, "better": "a1", "worse": "a1"}),
        ("same_answer", {"kind": "choice", "place": "c", "value": 1, "better": "a1", "worse": "a10"}),
    ],
)
def test_an_act_that_is_no_vote_is_dropped_with_the_reason(two_answers: ChatLog, reason: str, act: dict[str, Any]) -> None:
    two_answers.say("c/a5", " ", after="u0")
    two_answers.say("c/a6", "I go on.", after="a1")
    two_answers.say("c/s7", "Change your manners.", after="a1")
    two_answers.say("c/u7", "So?", after="s7")
    two_answers.say("c/a8", "So.", after="u7")
    two_answers.say("c/a10", "Twelve minutes. ", after="u0")
    two_answers.say("c/a12", "To what?", after="gone")
    two_answers.say("c/u13", "Go on.", after="a12")
    two_answers.say("c/a14", "On it goes.", after="u13")
    name = two_answers.act(**act)
    account = run(two_answers)["feedback"]
    assert (account.reasons, dropped(account)) == ({reason: 1}, {name: reason})
    (row,) = account.dropped.select(["kind", "value", "label", "scale_min", "scale_max"]).to_pylist()
    assert row == {key: two_answers.feedback[-1][key] for key in row}, "as it was given"


def test_later_act_of_the_same_person_supersedes_the_earlier(two_answers: ChatLog) -> None:
    first = two_answers.act("thumb", "c/a1", 1, annotator="p", minute=1)
    two_answers.act("thumb", "c/a1", -1, annotator="p", minute=5)
    two_answers.act("rating", "c/a1", 3, annotator="p", minute=2)
    two_answers.act("thumb", "c/a2", 1, annotator="p", minute=2)
    two_answers.act("thumb", "c/a1", 1, annotator="q", minute=0)
    assert reasons(two_answers) == {first: "superseded"}


def test_later_thumb_against_a_rating_of_the_same_person_supersedes_it(two_answers: ChatLog) -> None:
    rating = two_answers.act("rating", "c/a1", 5, annotator="p", minute=1)
    two_answers.act("thumb", "c/a1", -1, annotator="p", minute=5)
    thumb = two_answers.act("thumb", "c/a2", -1, annotator="p", minute=1)
    two_answers.act("rating", "c/a2", 5, annotator="p", minute=5)
    two_answers.act("rating", "c/a1", 4, annotator="q", minute=0)
    two_answers.act("thumb", "c/a1", -1, annotator="r", minute=9)
    for number in (3, 4):  # neither against it, nor known to be later
        two_answers.act("rating", f"c/a{number - 2}", number, annotator="s", minute=1)
        two_answers.act("thumb", f"c/a{number - 2}", 1, annotator="s", minute=2 if number == 3 else 0)
    assert reasons(two_answers) == {rating: "superseded", thumb: "superseded"}


def test_later_choice_between_the_same_two_supersedes_whichever_way_round(two_answers: ChatLog) -> None:
    two_answers.act("choice", "c", 1, better="a1", worse="a2", annotator="p", minute=9, feedback_id="f1")
    two_answers.act("choice", "c", 1, better="a2", worse="a1", annotator="p", minute=3, feedback_id="f2")
    assert reasons(two_answers) == {"f2": "superseded"}


def test_act_that_cannot_count_supersedes_nothing(two_answers: ChatLog) -> None:
    two_answers.act("thumb", "c/a1", 1, annotator="p", minute=1, feedback_id="f1")
    two_answers.act("thumb", "c/a1", 7, annotator="p", minute=2, feedback_id="f2")
    assert reasons(two_answers) == {"f2": "off_scale"}


def test_acts_of_unknown_people_all_count(two_answers: ChatLog) -> None:
    two_answers.act("thumb", "c/a1", 1)
    two_answers.act("thumb", "c/a1", 1)
    assert reasons(two_answers) == {}
    assert max(response["ups"] for response in candidates(two_answers)[0]["responses"]) == 2


def test_one_ranking_places_an_answer_once(two_answers: ChatLog) -> None:
    two_answers.say("c/a9", "An hour. ", after="u0")
    two_answers.act("ranking", "c/a2", 0, group="g", feedback_id="x")
    two_answers.act("ranking", "c/a1", 1, group="g", feedback_id="y")
    two_answers.act("ranking", "c/a9", 2, group="g", feedback_id="z")
    assert reasons(two_answers) == {"z": "same_answer"}, "the better rank stays"


@pytest.mark.parametrize(("unjudged", "prompts"), [("none", 1), ("opening", 2), ("all", 3)])
def test_which_prompts_without_votes_are_kept(unjudged: str, prompts: int) -> None:
    log = ChatLog()
    log.chat("c1", "one", "1", "two", "2")
    log.chat("c2", "three", "3")
    log.act("thumb", "c1/a1", 1)
    rows = candidates(log, unjudged)
    assert len(rows) == prompts
    assert sorted({row["evidence"] for row in rows}) == (["thumb"] if prompts == 1 else ["none", "thumb"])


def test_turns_are_kept_where_a_candidate_holds_them(two_answers: ChatLog) -> None:
    two_answers.say("c/u5", "Bye", after="a4")
    two_answers.act("thumb", "c/a1", 1)
    account = run(two_answers)["turns"]
    assert account.kept["turn_id"].to_pylist() == ["u0", "a1", "a2"]
    gone = dict(zip(account.dropped["turn_id"].to_pylist(), account.dropped["dropped"].to_pylist(), strict=True))
    assert gone == {"u3": "no_evidence", "a4": "no_evidence", "u5": "not_an_answer_path"}


def test_strata_are_the_most_frequent_then_the_smallest() -> None:
    log = ChatLog()
    for number, (language, topic) in enumerate([("fr", "b"), ("de", "a"), ("de", "")]):
        log.chat(f"c{number}", "Hi", f"answer {number}", language=language, topic=topic)
        log.act("thumb", f"c{number}/a1", 1)
    (row,) = candidates(log)
    assert (row["language"], row["topic"], row["source"]) == ("de", "", "jsonl")


def test_unknown_language_is_und() -> None:
    log = ChatLog()
    log.chat("c", "Hi", "Hello", language=None)
    log.act("thumb", "c/a1", 1)
    assert candidates(log)[0]["language"] == "und"


def test_evidence_names_the_strongest_kind(two_answers: ChatLog) -> None:
    two_answers.act("thumb", "c/a1", 1)
    two_answers.act("choice", "c", 1, better="a1", worse="a2")
    two_answers.act("rating", "c/a1", 1)
    assert candidates(two_answers)[0]["evidence"] == "choice"


def test_missing_parent_breaks_the_path(two_answers: ChatLog) -> None:
    two_answers.turns = [row for row in two_answers.turns if row["turn_id"] != "a1"]
    name = two_answers.act("thumb", "c/a4", 1)
    assert reasons(two_answers) == {name: "deleted_branch"}


def test_empty_log_gives_empty_candidates() -> None:
    log = ChatLog()
    log.act("thumb", "c/a1", 1)
    result = run(log, "opening")
    assert len(result["candidates"].kept) == 0
    assert result["feedback"].reasons == {"no_such_turn": 1}


@pytest.mark.parametrize(("judges", "users"), [(2, ["p0", "p1", "u"]), (3, ["u"])])
def test_a_panel_is_none_of_the_people_behind_a_prompt(judges: int, users: list[str]) -> None:
    log = ChatLog()
    log.chat("c", "hello there", "good day", user_id="u")
    log.chat("d", "hello there", "good day", user_id="u")
    for number in range(judges):
        log.act("thumb", "c/a1", 1, annotator=f"p{number}")
    log.act("thumb", "d/a1", 1, annotator="u")
    assert [row["users"] for row in candidates(log)] == [users]


@pytest.mark.parametrize(("others", "users"), [(5, ["rater", "u0"]), (6, ["u0"])])
def test_who_rates_many_chats_of_others_is_no_user_of_theirs_and_stays_one_of_their_own(others: int, users: list[str]) -> None:
    log = ChatLog()
    for number in range(others):
        log.chat(f"c{number}", f"hello there {number}", "good day", user_id=f"u{number}")
        log.act("thumb", f"c{number}/a1", 1, annotator="rater")
    log.chat("own", "my own question", "good day", user_id="rater")
    log.act("thumb", "own/a1", 1, annotator="rater")
    found = {row["conversations"][0]: row["users"] for row in candidates(log)}
    assert (found["c0"], found["own"]) == (users, ["rater"])


def test_a_judging_model_is_none_of_the_people_behind_a_prompt() -> None:
    log = ChatLog()
    log.chat("c", "hello there", "good day", user_id="u")
    log.act("thumb", "c/a1", 1, annotator="judge", annotator_kind="model")
    log.act("thumb", "c/a1", -1, annotator="v")
    assert [row["users"] for row in candidates(log)] == [["u", "v"]]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Caf\u00e9  one", "cafe\u0301 one\n", True),
        ("How do I pay?", "how do I pay?", True),
        ("\uff28\uff4f\uff57 do I pay?", "How do I pay?", True),
        ("Is it on?\r\nYes", "Is it on?\nYes", True),
        ("\u200fIs it on?\u202c", "Is it on?", True),
        ("What is IT?", "what is it?", False),
        ("Solve 5\u00b2 + 10", "Solve 52 + 10", False),
        ("What is new in the US?", "What is new in the us?", False),
        ("def f():\n  x\n  y", "def f():\n  x\n    y", False),
        ("run `Make`", "run `make`", False),
        ("Where are you?", "Where are you", False),
    ],
)
def test_which_prompts_are_equal(one: str, other: str, same: bool) -> None:
    first, second = ([{"role": "user", "content": text}] for text in (one, other))
    assert (prompt_ids.prompt_id(first) == prompt_ids.prompt_id(second)) is same
    assert prompt_ids.prompt_id(first) != prompt_ids.prompt_id([{"role": "system", "content": one}])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Yes.", " Yes. \n", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("a\r\nb", "a\nb", True),
        ("Yes", "yes", False),
        ("\u03c0 r\u00b2", "\u03c0 r2", False),
        ("an old pond\na frog", "an old pond a frog", False),
        ("if x:\n    y\nz", "if x:\n    y\n    z", False),
        ("write to [EMAIL_1]", "write to [EMAIL_2]", True),
    ],
)
def test_which_answers_are_equal(one: str, other: str, same: bool) -> None:
    assert (prompt_ids.response_id("p", one) == prompt_ids.response_id("p", other)) is same


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    for fold in (same_question, same_answer):
        assert fold(fold(text)) == fold(text)


PIECES = ["Word", "word", "IT", "I", *"A_ \n\t\r\x0b\x0c.?`", " \n", "? ", ". ", "\u0130", "\ufb01", "\u200b"]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
def test_ascii_and_first_words_take_a_short_way_that_changes_nothing(text: str) -> None:
    lines = re.sub(r"\r\n?|[\u2028\u2029\x0b\x0c\x85]", "\n", text).replace("\u200b", "")
    ended = re.sub(r"[^\S\n]+$", "", unicodedata.normalize("NFC", lines), flags=re.MULTILINE).strip("\n")
    assert same_answer(text) == (ended if "\n" in ended else ended.strip())
    plain = same_answer(text.replace("\ufb01", "fi"))
    if not re.search(r"[\n\t`]", plain):
        sentences = re.finditer(r"(?:^|(?<=[.!?] ))[^\W\d_]+", line := " ".join(plain.split()))
        for word in [found for found in sentences if found[0][1:].islower() or len(found[0]) == 1][::-1]:
            line = line[: word.start()] + word[0].lower() + line[word.end() :]
        plain = line
    assert same_question(text) == plain


ROWS = st.lists(st.none() | st.lists(st.none() | st.sampled_from(["", "a", "b", "\u00e4"]), max_size=5), max_size=4)


@given(ROWS, st.randoms(use_true_random=False))
def test_lists_handled_whole_are_as_if_handled_one_by_one(rows: list[list[str | None] | None], chance: Random) -> None:
    texts = [[word for word in row or () if word is not None] for row in rows]
    column = pa.array(rows, TEXTS)
    assert arrays.most_frequent(column).to_pylist() == [min(row, key=lambda word: (-row.count(word), word), default=None) for row in texts]
    loose = [(owner, word) for owner, row in enumerate(rows) for word in row or ()]
    chance.shuffle(loose)
    owner, words = np.array([owner for owner, _ in loose], np.int64), pa.array([word for _, word in loose], TEXT)
    said: pa.Array[Any] = arrays.distinct(owner, len(rows), words)
    assert said.to_pylist() == [sorted(set(row)) for row in texts]


@pytest.mark.parametrize(("media", "prompts"), [("drop", 0), ("keep", 2)])
def test_what_needs_a_picture_is_no_candidate_unless_asked_for(media: str, prompts: int) -> None:
    log = ChatLog()
    for name in ("c1", "c2"):
        log.say(f"{name}/u0", "What is shown in this picture?", attachments=[name])
        log.say(f"{name}/a1", f"A {name}.", after="u0")
        log.say(f"{name}/u2", "And behind it?", after="a1")
        log.say(f"{name}/a3", "A wall.", after="u2")
        log.act("thumb", f"{name}/a3", 1)
    tables = log.tables()
    result = accounts("aggregate", aggregate.run(tables, aggregate.Params.model_validate(AGGREGATE | {"media": media})), tables)
    votes = [row for row in result["candidates"].kept.to_pylist() if row["votes"]]
    assert len(votes) == prompts
    if media == "drop":
        assert result["feedback"].reasons == {"needs_media": 2}
        assert result["turns"].reasons == {"needs_media": 8}


@pytest.mark.parametrize("hidden", ["redacted", "attachments", "tool_calls"])
def test_prompts_that_only_read_alike_are_two(hidden: str) -> None:
    def told(value: str, number: int) -> Any:
        call = {"id": f"call_{number}", "type": "function", "function": {"name": value, "arguments": {}}}
        values: dict[str, Any] = {"redacted": value, "attachments": [value], "tool_calls": json.dumps([call])}
        return values[hidden]

    log = ChatLog()
    keep = AGGREGATE | {"unjudged": "none", "media": "keep"}
    for number, (name, value) in enumerate((("c1", "x"), ("c2", "y"), ("c3", "x"))):
        log.say(f"{name}/u0", "Summarise this page: [URL_1]", **{hidden: told(value, number)})
        log.say(f"{name}/a1", f"It is about {name}.", after="u0")
        log.act("thumb", f"{name}/a1", 1)
    tables = log.tables()
    found = accounts("aggregate", aggregate.run(tables, aggregate.Params.model_validate(keep)), tables)["candidates"].kept.to_pylist()
    assert sorted(row["conversations"] for row in found) == [["c1", "c3"], ["c2"]]


def test_parts_say_which_conversation_each_person_and_record_belongs_to() -> None:
    log = ChatLog()
    log.chat("c1", "Hello", "Hi!", user_id="p1")
    log.chat("c2", "hello", "Hello!", user_id="p2")
    log.act("thumb", "c1/a1", 1, annotator="p3")
    log.act("thumb", "c2/a1", 1, annotator="p4")
    (row,) = candidates(log)
    assert {(part["conversation"], part["user"]) for part in row["parts"] if part["user"]} == {("c1", "p1"), ("c2", "p2")}, (
        "others only voted"
    )
    records = [(part["conversation"], part["origin"]) for part in row["parts"] if part["origin"]]
    assert sorted(talk for talk, _ in records) == ["c1", "c2"]
    assert {(vote["annotator"], vote["conversation"]) for vote in row["votes"]} == {("p3", "c1"), ("p4", "c2")}
    assert row["origins"] == sorted({*(origin for _, origin in records), *(vote["origin"] for vote in row["votes"])})
