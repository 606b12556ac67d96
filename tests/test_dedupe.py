"""Claims about the stage `dedupe`: copies go, and nothing that people said goes with them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core import engine
from tasks.core.ledger import Account
from tasks.dedupe import stage as dedupe
from tasks.dedupe.align import _Alignment
from tests.builders.chatlog import ChatLog, accounts, dropped
from tests.builders.dedupe_runs import PARAMS, SAME_CHAT, rows, settled

LONG = "please tell me how one comes by train from the old harbour to the new airport in the evening"
ANSWER = "take the blue line to the central station and change there to the airport express"


def test_an_exact_copy_goes_and_says_whose_it_is() -> None:
    log = ChatLog()
    log.chat("one", LONG, ANSWER)
    log.chat("two", LONG.upper().replace(" ", "\u00a0 "), ANSWER)
    log.chat("other", "what is the time", "half past nine")
    turns = settled(log)["turns"]
    assert set(rows(turns.kept, "conversation_id")) == {"one", "other"}
    assert set(rows(turns.dropped, "conversation_id", "dropped", "copy_of", "similarity")) == {("two", "exact_copy", "one", 1.0)}


def test_a_near_copy_goes_and_says_how_close_it_is() -> None:
    log = ChatLog()
    log.chat("one", "a b c d e f g", "h i")
    log.chat("two", "a b c d e f g", "h j")
    assert set(rows(settled(log)["turns"].dropped, "conversation_id", "dropped", "copy_of", "similarity")) == {
        ("two", "near_copy", "one", 7 / 9)
    }


def test_of_a_chain_only_copies_of_the_one_that_stays_go() -> None:
    log = ChatLog()
    log.chat("one", "a b c d e f", "g h")
    log.chat("two", "a b c d e f", "g x")  # 6 of 8 word pairs
    log.chat("three", "y b c d e f", "g x")  # 6 of 8 with `two`, 5 of 9 with `one`
    log.chat("four", "y b c d e z", "g x")  # 6 of 8 with `three`, 4 of 10 with `two`
    turns = settled(log)["turns"]
    assert set(rows(turns.dropped, "conversation_id", "copy_of", "similarity")) == {("one", "two", 6 / 8), ("three", "two", 6 / 8)}
    assert set(rows(turns.kept, "conversation_id")) == {"two", "four"}


def test_most_feedback_stays_then_the_earliest_then_the_smallest_id() -> None:
    def stays(*acts: str, **times: int) -> set[str]:
        log = ChatLog()
        for name in ("a", "b", "c"):
            log.chat(name, LONG, ANSWER, created_at=times.get(name))
        for number, name in enumerate(acts):
            log.act("thumb", f"{name}/a1", 1, annotator=f"p{number}")
        return set(rows(settled(log)["turns"].kept, "conversation_id"))

    assert stays("b", "c", "c", a=1, b=2, c=3) == {"c"}
    assert stays("b", "c", a=1, b=3, c=2) == {"c"}
    assert stays(b=1) == {"b"}
    assert stays() == {"a"}


def test_a_vote_moves_to_the_equal_answer() -> None:
    log = ChatLog()
    log.chat("one", LONG, ANSWER, "thanks", "you are welcome")
    log.chat("two", LONG.capitalize().replace(" ", "  "), ANSWER + " \n", "thanks", "you are very welcome")
    log.act("thumb", "one/a1", 1, annotator="p")
    log.act("thumb", "one/a3", 1, annotator="p")
    moved = log.act("thumb", "two/a1", -1, annotator="q")
    result = settled(log)
    assert (moved, "one", "a1", -1.0) in rows(result["feedback"].kept, "feedback_id", "conversation_id", "turn_id", "value")
    assert len(result["turns"].kept) == 4


def test_a_judged_answer_without_an_equal_moves_along_under_the_same_prompt() -> None:
    log = ChatLog()
    log.chat("one", LONG, ANSWER)
    log.chat("two", LONG, ANSWER + " again")
    log.act("thumb", "one/a1", 1)
    log.act("thumb", "one/a1", 1)
    act = log.act("edit", "two/a1", text="walk slowly")
    result = settled(log)
    (place,) = [row for row in result["turns"].kept.to_pylist() if row["content"] == ANSWER + " again"]
    assert (place["conversation_id"], place["parent_id"], place["position"]) == ("one", "u0", 1)
    assert (act, "one", place["turn_id"]) in rows(result["feedback"].kept, "feedback_id", "conversation_id", "turn_id")
    assert dropped(result["turns"]) == {"two": "near_copy"}


def prompts_of_votes(result: dict[str, Account]) -> dict[str, list[str]]:
    """What was said from the root down to each answer that an act names, by act."""
    turns = {(row["conversation_id"], row["turn_id"]): row for row in result["turns"].kept.to_pylist()}
    found: dict[str, list[str]] = {}
    for act in result["feedback"].kept.to_pylist():
        row: dict[str, Any] | None = turns[act["conversation_id"], act["turn_id"]]
        said: list[str] = []
        while row is not None:
            said.insert(0, row["content"])
            row = turns.get((row["conversation_id"], row["parent_id"]))
        found[act["feedback_id"]] = said
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"Translate into French please: {LONG}", f"Translate into German please: {LONG}"),
        (f"{LONG} on line 52", f"{LONG} on line 25"),
        (f"do enable it: {LONG}", f"do disable it: {LONG}"),
    ],
)
def test_an_answer_never_comes_under_another_question(one: str, other: str) -> None:
    log = ChatLog()
    log.chat("one", one, ANSWER)
    log.chat("two", other, ANSWER + " then")
    acts = [log.act("thumb", f"{name}/a1", value) for name, value in (("one", 1), ("one", 1), ("two", -1))]
    found = prompts_of_votes(settled(log))
    assert [found[act] for act in acts] == [[one, ANSWER], [one, ANSWER], [other, ANSWER + " then"]]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (LONG, LONG.replace("harbour", "harbor"), True),
        (LONG, f"{LONG} today", False),
        (f"{LONG} at 5", f"{LONG} at 6", False),
        (f"{LONG} not", f"{LONG} now", False),
        (f"in three points: {LONG}", f"in one sentence: {LONG}", False),
    ],
)
def test_a_question_with_one_letter_changed_is_one_where_its_long_answers_are_equal(one: str, other: str, same: bool) -> None:
    log = ChatLog()
    for name, question in (("one", one), ("two", other)):
        log.chat(name, question, ANSWER)
    acts = [log.act("thumb", f"{name}/a1", 1, annotator=f"p{number}") for number, name in enumerate(("one", "one", "two"))]
    found = prompts_of_votes(settled(log))
    assert found[acts[2]][0] == (one if same else other)


def test_the_stage_itself_refuses_to_move_an_answer_under_another_question(monkeypatch: pytest.MonkeyPatch) -> None:
    log = ChatLog()
    for name, language in (("one", "French"), ("two", "German")):
        log.chat(name, f"Translate into {language} please: {LONG}", ANSWER)
    for name in ("one", "one", "two"):
        log.act("thumb", f"{name}/a1", 1)
    monkeypatch.setattr(_Alignment, "_written", lambda self: np.zeros(len(self.turns), np.int64))  # a fault in the matching
    with pytest.raises(AssertionError, match="would come under another question"):
        settled(log)


def test_chats_of_one_system_prompt_or_template_are_no_copies() -> None:
    log = ChatLog()
    for name, question, answer in (
        ("one", "when do you open", "at nine in the morning"),
        ("two", "where are you", "at the old harbour gate"),
    ):
        log.say(f"{name}/s0", " ".join([LONG] * 5))
        log.say(f"{name}/u1", f"{' '.join([ANSWER] * 5)} {question}", after="s0")
        log.say(f"{name}/a2", answer, after="u1")
    assert not len(settled(log)["turns"].dropped)


@pytest.mark.parametrize(
    ("one", "other", "copies"),
    [
        (" who pays?", " how long?", 0),
        ("\nand which of the trains is it today?", "\nand which of the trains is it never today?", 0),
        (" at 5", " at 6", 0),
        ("", " thanks", 1),
        (" please tell me which train it is", " please tell me what train it is", 1),
        (" please tell me which train it is", " please tell me 2891 train it is", 1),
    ],
)
def test_short_questions_about_one_long_page_are_two_though_the_answer_is_one(one: str, other: str, copies: int) -> None:
    log = ChatLog()
    page = ". ".join(f"{LONG} {number}" for number in range(4)) + "."
    for name, question in (("one", one), ("two", other)):
        log.chat(name, page + question, ANSWER)
    assert len(dropped(settled(log)["turns"])) == copies


def test_answers_that_many_give_do_not_make_one_chat_of_two_questions() -> None:
    log = ChatLog()
    for number in range(8):
        log.chat(f"c{number}", f"is this a prime number please answer by yes or no and say nothing else than this number {number}", "yes")
    limits = SAME_CHAT.model_copy(update={"common": 5})
    tables = log.tables()
    assert not len(accounts("dedupe", dedupe.run(tables, PARAMS.model_copy(update={"same_chat": limits})), tables)["turns"].dropped)


def test_what_was_redacted_tells_questions_apart() -> None:
    log = ChatLog()
    for name, digest in (("one", "d1"), ("two", "d2"), ("three", "d1")):
        log.say(f"{name}/u0", f"{LONG} [URL_1]", redacted=digest)
        log.say(f"{name}/a1", "a good page", after="u0")
    tables = log.tables()
    limits = SAME_CHAT.model_copy(update={"min_answer_words": 8})
    turns = accounts("dedupe", dedupe.run(tables, PARAMS.model_copy(update={"same_chat": limits})), tables)["turns"]
    assert dropped(turns) == {"three": "exact_copy"}


def test_chats_about_two_pages_are_no_copies_though_their_long_answers_are_equal() -> None:
    log = ChatLog()
    for name, digest in (("one", "d1"), ("two", "d2"), ("three", "d1")):
        log.say(f"{name}/u0", f"{LONG} [URL_1]", redacted=digest)
        log.say(f"{name}/a1", ANSWER, after="u0")
    assert dropped(settled(log)["turns"]) == {"three": "exact_copy"}


def test_a_vote_about_another_page_stays_under_its_own_question() -> None:
    log = ChatLog()
    for name, digest, word in (("one", "d1", "look:"), ("two", "d2", "see:")):
        log.say(f"{name}/u0", f"{LONG} {word} [URL_1]", redacted=digest)
        log.say(f"{name}/a1", ANSWER, after="u0")
    for name in ("one", "one", "two"):
        log.act("thumb", f"{name}/a1", 1)
    result = settled(log)
    asked = {row["turn_id"]: row for row in result["turns"].kept.to_pylist()}
    answers = [asked[act["turn_id"]] for act in result["feedback"].kept.to_pylist()]
    assert [asked[answer["parent_id"]]["redacted"] for answer in answers] == ["d1", "d1", "d2"]


def test_both_sides_of_a_comparison_move() -> None:
    log = ChatLog()
    for name, sides in (("one", ("yes", "no")), ("two", ("no", "perhaps"))):
        log.say(f"{name}/u0", LONG)
        for number, side in enumerate(sides):
            log.say(f"{name}/a{number}", f"{ANSWER}: {side}", after="u0")
    log.act("choice", "one", 1, better="a0", worse="a1")
    log.act("rating", "one/a0", 4)
    moved = log.act("choice", "two", 1, better="a0", worse="a1")
    result = settled(log)
    texts = dict(rows(result["turns"].kept, "turn_id", "content"))
    (act,) = [row for row in result["feedback"].kept.to_pylist() if row["feedback_id"] == moved]
    assert (act["conversation_id"], texts[act["better"]], texts[act["worse"]]) == ("one", f"{ANSWER}: no", f"{ANSWER}: perhaps")
    assert sorted(texts.values()) == sorted([LONG, *(f"{ANSWER}: {side}" for side in ("yes", "no", "perhaps"))])


def test_answers_that_differ_in_case_only_keep_their_votes_apart() -> None:
    log = ChatLog()
    for name, sides in (("one", ("Yes", "yes")), ("two", ("yes", "Yes"))):
        log.say(f"{name}/u0", LONG)
        for number, side in enumerate(sides):
            log.say(f"{name}/a{number}", side, after="u0")
    for _ in range(2):
        log.act("thumb", "one/a0", 1)
    act = log.act("choice", "two", 1, better="a0", worse="a1")
    (row,) = [row for row in settled(log)["feedback"].kept.to_pylist() if row["feedback_id"] == act]
    assert (row["better"], row["worse"]) == ("a1", "a0")


def test_two_equal_answers_stay_two_when_they_are_compared() -> None:
    log = ChatLog()
    for name in ("one", "two"):
        log.say(f"{name}/u0", LONG)
        for number in range(2):
            log.say(f"{name}/a{number}", "ride", after="u0")
    for _ in range(2):
        log.act("thumb", "one/a0", 1)
    act = log.act("choice", "two", 1, better="a0", worse="a1")
    (row,) = [row for row in settled(log)["feedback"].kept.to_pylist() if row["feedback_id"] == act]
    assert (row["conversation_id"], row["better"], row["worse"]) == ("one", "a0", "a1")


def test_two_copies_bring_the_same_answer_once() -> None:
    log = ChatLog()
    log.chat("one", LONG, ANSWER)
    for _ in range(2):
        log.act("thumb", "one/a1", 1)
    for name in ("two", "three"):
        log.chat(name, LONG, ANSWER + " then")
        log.act("thumb", f"{name}/a1", 1, annotator=name)
    result = settled(log)
    assert sorted(rows(result["turns"].kept, "content")) == sorted([LONG, ANSWER, ANSWER + " then"])
    assert len(result["feedback"].kept) == 4


def test_the_context_of_a_judged_answer_moves_with_it_where_it_has_no_counterpart() -> None:
    log = ChatLog()
    log.chat("one", LONG, ANSWER, "now", "ride")
    log.chat("two", LONG, ANSWER, "then", "walk")
    for _ in range(2):
        log.act("thumb", "one/a1", 1)
    log.act("thumb", "two/a3", 1)
    turns = settled(log)["turns"]
    assert dropped(turns) == {"two": "near_copy"}
    path = {row["turn_id"]: row for row in turns.kept.to_pylist()}
    (row,) = [row for row in path.values() if row["content"] == "walk"]
    said = [row["content"]]
    while row["parent_id"] is not None:
        row = path[row["parent_id"]]
        said.append(row["content"])
    assert said == ["walk", "then", ANSWER, LONG]
    assert [row["position"] for row in turns.kept.to_pylist()] == [0, 1, 2, 2, 3, 3]


def test_an_act_told_twice_counts_once_and_two_people_count_twice() -> None:
    log = ChatLog()
    for name in ("one", "two"):
        log.chat(name, LONG, ANSWER)
        log.act("thumb", f"{name}/a1", 1, annotator="p", minute=3)
        log.act("thumb", f"{name}/a1", 1, annotator=f"q {name}", minute=3)
        log.act("thumb", f"{name}/a1", 1, minute=3)
        log.act("thumb", f"{name}/a1", 1, annotator="r", minute={"one": 4, "two": 5}[name])
        log.act("thumb", f"{name}/a1", -1)
    assert dropped(settled(log)["feedback"]) == {"f005": "repeated", "f007": "repeated"}, "one person's, and one moment's"


def test_an_earlier_state_of_a_chat_goes_and_its_votes_count_once() -> None:
    log = ChatLog()
    for name, length in (("early", 2), ("late", 6), ("middle", 4)):
        log.chat(name, *(LONG, ANSWER, "and then", "walk to the gate", "how far", "a mile")[:length], user_id="p")
        log.act("thumb", f"{name}/a1", 1, annotator="p", minute=3)
    log.chat("another", LONG, ANSWER, user_id="q")
    tables = log.tables()
    result = accounts("dedupe", dedupe.run(tables, PARAMS.model_copy(update={"threshold": 0.95})), tables)
    goes = set(rows(result["turns"].dropped, "conversation_id", "dropped", "copy_of"))
    assert goes == {("early", "earlier_copy", "late"), ("middle", "earlier_copy", "late")}
    assert sorted(dropped(result["feedback"]).values()) == ["repeated", "repeated"]
    assert set(rows(result["feedback"].kept, "conversation_id", "turn_id")) == {("late", "a1")}


def test_a_chat_whose_last_question_was_answered_twice_since_is_the_later_state() -> None:
    log = ChatLog()
    for name in ("early", "late"):
        log.chat(name, LONG, ANSWER, "and then", user_id="p")
    for turn, answer in (("a3", "walk to the gate"), ("a4", "take the bus")):
        log.say(f"late/{turn}", answer, after="u2", user_id="p")
    tables = log.tables()
    turns = accounts("dedupe", dedupe.run(tables, PARAMS.model_copy(update={"threshold": 0.95})), tables)["turns"]
    assert set(rows(turns.dropped, "conversation_id", "dropped", "copy_of")) == {("early", "earlier_copy", "late")}


def test_a_chat_that_only_begins_like_another_is_no_earlier_state() -> None:
    log = ChatLog()
    log.chat("whole", LONG, ANSWER, "and then", "walk to the gate", "how far", "a mile", user_id="p", created_at=1)
    for name, more in (("c1", {}), ("c2", {"user_id": "q"}), ("c3", {"user_id": "p", "created_at": 9})):
        log.chat(name, LONG, ANSWER, **more)
    tables = log.tables()
    turns = accounts("dedupe", dedupe.run(tables, PARAMS.model_copy(update={"threshold": 0.95})), tables)["turns"]
    assert "earlier_copy" not in turns.reasons, "unknown people, another person, another time"


def test_a_greeting_that_many_begin_with_is_no_earlier_state() -> None:
    log = ChatLog()
    for number in range(7):
        log.chat(
            f"c{number}", "hello", "hello and how can i help you today my dear friend", *(["how far", "a mile"] if number == 3 else [])
        )
    limits = SAME_CHAT.model_copy(update={"common": 5})
    tables = log.tables()
    turns = accounts("dedupe", dedupe.run(tables, PARAMS.model_copy(update={"same_chat": limits})), tables)["turns"]
    assert "earlier_copy" not in turns.reasons


def test_an_act_about_a_turn_that_is_not_there_says_so() -> None:
    log = ChatLog()
    log.chat("one", LONG, ANSWER)
    log.chat("two", LONG, ANSWER)
    for _ in range(2):
        log.act("thumb", "one/a1", 1)
    gone = log.act("thumb", "two/a9", 1)
    feedback = settled(log)["feedback"]
    assert dropped(feedback) == {gone: "no_turn"}
    assert rows(feedback.dropped, "conversation_id", "turn_id") == [("two", "a9")]


def test_answers_to_one_prompt_are_never_copies_of_each_other() -> None:
    log = ChatLog()
    log.say("one/u0", LONG)
    for number in range(3):
        log.say(f"one/a{number}", ANSWER, after="u0")
    assert not len(settled(log)["turns"].dropped)


def test_an_empty_log_stays_empty() -> None:
    result = settled(ChatLog())
    assert [len(account.kept) for account in result.values()] == [0, 0]


WORDS = st.sampled_from(["walk", "Walk", "take the train", "swim there now"])
TREE = st.lists(st.tuples(st.integers(0, 6), WORDS, st.booleans()), min_size=1, max_size=7)


@st.composite
def logs(draw: st.DrawFn) -> ChatLog:
    """A few trees of turns that start with one long prompt, so that many are copies, with votes on their answers."""
    log = ChatLog()
    for name in ("c0", "c1", "c2", "c3")[: draw(st.integers(1, 4))]:
        first = draw(st.sampled_from([LONG, LONG + " Now", "hello"]))
        turns = [log.say(f"{name}/u0", first, created_at=draw(st.integers(0, 2)))]
        for number, (after, words, person) in enumerate(draw(TREE), 1):
            turns.append(log.say(f"{name}/{'ua'[not person]}{number}", words, after=turns[after % len(turns)]))
        for turn in draw(st.lists(st.sampled_from(turns), max_size=4)):
            log.act("thumb", f"{name}/{turn}", draw(st.sampled_from([-1, 1])), annotator=draw(st.sampled_from(["p", "q", None])))
        if len(turns) > 2 and draw(st.booleans()):
            log.act("choice", name, 1, better=turns[-1], worse=turns[-2])
    return log


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(logs(), st.integers(0, 3))
def test_nothing_that_was_said_is_lost(log: ChatLog, shuffle: int) -> None:
    result = settled(log, shuffle)
    before = {(row["conversation_id"], row["turn_id"]): row for row in log.turns}
    after = {(row["conversation_id"], row["turn_id"]): row for row in result["turns"].kept.to_pylist()}
    assert len(after) == len(result["turns"].kept)
    for row in after.values():  # the trees are whole
        above = after[row["conversation_id"], row["parent_id"]] if row["parent_id"] else {"position": -1}
        assert row["position"] == above["position"] + 1
    told = {row["feedback_id"]: row for row in log.feedback}
    for row in result["feedback"].kept.to_pylist():
        was = told.pop(row["feedback_id"])
        for name in dedupe.REFERENCES:
            if was[name]:
                old, new = before[was["conversation_id"], was[name]], after[row["conversation_id"], row[name]]
                assert (old["content"].lower(), old["role"], old["position"]) == (new["content"].lower(), new["role"], new["position"])
        assert row["better"] is None or row["better"] != row["worse"]
    assert set(told) == set(dropped(result["feedback"]))
    assert set(result["feedback"].reasons) <= {"repeated"}


@settings(max_examples=30, deadline=None)
@given(logs())
def test_the_order_of_the_rows_changes_nothing(log: ChatLog) -> None:
    straight, shuffled = settled(log), settled(log, 1)
    for name, account in straight.items():
        assert account.kept.equals(shuffled[name].kept)
        assert account.dropped.equals(shuffled[name].dropped)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(logs())
def test_the_short_way_finds_what_the_long_way_finds(log: ChatLog) -> None:
    short = settled(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.dedupe.align._Alignment.plain", lambda *_: {})
        long = settled(log)
    assert all(short[name].kept.equals(long[name].kept) for name in short)


@settings(max_examples=30, deadline=None)
@given(logs())
def test_a_second_pass_finds_nothing_new_said(log: ChatLog) -> None:
    tables = log.tables()
    once = accounts("dedupe", dedupe.run(tables, PARAMS), tables)
    again = {name: engine.from_arrow(account.kept) for name, account in once.items()}
    twice = accounts("dedupe", dedupe.run(again, PARAMS), again)
    assert Counter(answers_or_sides(twice)) == Counter(answers_or_sides(once))


def answers_or_sides(result: dict[str, Account]) -> list[tuple[str, ...]]:
    """Each kept act with the texts that it is about."""
    texts = {(row["conversation_id"], row["turn_id"]): row["content"].lower() for row in result["turns"].kept.to_pylist()}
    acts = result["feedback"].kept.to_pylist()
    return [(act["feedback_id"], *(texts.get((act["conversation_id"], act[name]), "") for name in dedupe.REFERENCES)) for act in acts]
