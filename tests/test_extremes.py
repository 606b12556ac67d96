"""Claims about logs out of all proportion: right, told, and without work that grows with the square of the rows."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest

from tasks.common.similarity.ngrams import Hashes
from tasks.dedupe import snapshots
from tests.builders.chatlog import ChatLog, dropped
from tests.builders.dedupe_runs import rows
from tests.builders.dedupe_runs import settled as deduped
from tests.builders.pair_runs import run

VOTES = 10_000


def question(answers: int) -> ChatLog:
    """One question with so many answers: a1, a2, ..."""
    log = ChatLog()
    log.say("c/u0", "which of these is the best way to the harbour in the evening?")
    for number in range(1, answers + 1):
        log.say(f"c/a{number}", f"the {number}. way is {'x' * number} to go", after="u0")
    return log


def test_ten_thousand_votes_on_one_prompt_give_one_pair_and_the_fate_of_each() -> None:
    log = question(2)
    for number in range(VOTES):
        sides = ("a1", "a2") if number % 4 else ("a2", "a1")
        log.act("choice", "c", 1, better=sides[0], worse=sides[1], annotator=f"p{number}")
    result = run(log)
    (pair,) = result["pairs"].kept.to_pylist()
    assert (pair["votes_for"], pair["votes_against"], len(pair["votes"])) == (VOTES * 3 // 4, VOTES // 4, VOTES)
    assert (len(result["votes"].kept), len(result["votes"].dropped)) == (VOTES, 0)


def test_a_circle_through_hundreds_of_answers_loses_one_choice_and_says_what_the_cap_took() -> None:
    count = 300
    log = question(count)
    for number in range(1, count + 1):
        log.act("choice", "c", 1, better=f"a{number}", worse=f"a{number % count + 1}", annotator=f"p{number}")
    with pytest.warns(UserWarning, match="over_cap: 289 of 299 pairs"):
        result = run(log, nearly_equal=1.0)
    assert (len(result["pairs"].kept), result["pairs"].reasons) == (10, {"cycle": 1, "over_cap": 289})


def test_answers_that_are_the_same_are_no_pair() -> None:
    log = ChatLog()
    log.say("c/u0", "which of these is the best way?")
    for number in (1, 2):
        log.say(f"c/a{number}", "the same answer", after="u0")
    log.act("choice", "c", 1, better="a1", worse="a2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(run(log)["pairs"].kept) == 0


def test_of_two_prompts_of_a_megabyte_that_differ_in_a_word_one_goes() -> None:
    words = ["".join(chr(ord("a") + int(digit)) for digit in str(number)) for number in range(150_000)]
    log = ChatLog()
    log.chat("one", " ".join(words), "a long text about nothing in particular, it seems")
    log.chat("two", " ".join([*words[:-1], "other"]), "a long text about nothing in particular, it seems")
    assert set(rows(deduped(log)["turns"].dropped, "conversation_id", "dropped")) == {("two", "near_copy")}


def test_chats_that_all_end_alike_are_not_held_each_against_each(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    hold = snapshots._of_one_chat

    def counted(marks: list[tuple[Hashes, np.uint64]]) -> npt.NDArray[np.bool_]:
        asked.append(len(marks[0][0]))
        return hold(marks)

    monkeypatch.setattr(snapshots, "_of_one_chat", counted)
    log = ChatLog()
    for number in range(200):
        log.chat(f"c{number:03d}", "hello to you all", "hello and how can i help you today", user_id="p")
    log.chat("longer", "hello to you all", "hello and how can i help you today", "and then", "walk to the gate", user_id="p")
    result = deduped(log)["turns"]
    assert asked == [1] * 200, "each against the one that goes on"
    assert Counter(dropped(result).values()) == {"exact_copy": 199}, "what so many are told makes no chat an earlier state"
