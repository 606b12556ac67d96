"""Claims about the table that sets who gives feedback against who chats."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.aggregate import stage as aggregate
from tests.builders.chatlog import AGGREGATE, SIGNALS, ChatLog, accounts

COUNTS = ("users", "judged_users", "answers", "judged", "acts", "ups", "downs", "signals")


def selection(log: ChatLog, shuffle: int | None = None) -> dict[tuple[str, str], tuple[Any, ...]]:
    tables = log.tables(shuffle)
    params = aggregate.Params.model_validate(AGGREGATE | {"signals": SIGNALS})
    rows = accounts("aggregate", aggregate.run(tables, params), tables)["selection"].kept.to_pylist()
    return {(row["dimension"], row["value"]): tuple(row[name] for name in COUNTS) for row in rows}


@pytest.fixture
def log() -> ChatLog:
    """One person has six answers by m1 about rice, one has one by m2 in German, and somebody unknown one."""
    log = ChatLog()
    log.chat("c", *[text for n in range(6) for text in (f"question {n}", f"answer {n}")], user_id="p", model="m1", topic="rice")
    log.chat("d", "Hallo", "Guten Tag", "Danke!", user_id="q", model="m2", language="de")
    log.chat("e", "Hi", "Hello")
    return log


def test_answers_given_are_set_against_answers_judged(log: ChatLog) -> None:
    log.act("thumb", "c/a1", 1, annotator="p")
    log.act("rating", "c/a1", 1, annotator="p")
    log.act("rating", "c/a3", 3, annotator="p")
    found = selection(log)
    assert found["all", ""] == (2, 1, 8, 2, 3, 1, 1, 1)
    assert found["model", "m1"] == found["topic", "rice"] == found["activity", "6-20"] == (1, 1, 6, 2, 3, 1, 1, 0)
    assert found["language", "de"] == found["model", "m2"] == found["activity", "1"] == (1, 0, 1, 0, 0, 0, 0, 1)
    assert found["activity", ""] == found["model", ""] == (0, 0, 1, 0, 0, 0, 0, 0)
    assert found["source", "jsonl"] == found["all", ""]


@pytest.mark.parametrize(
    ("value", "counts"),
    [(1, (2, 2, 1, 1)), (0, (2, 2, 0, 0)), (-1, (2, 2, 0, 2))],
)
def test_a_comparison_counts_for_each_of_its_answers(value: float, counts: tuple[int, ...]) -> None:
    log = ChatLog()
    log.chat("c", "Hi", "Hello")
    log.say("c/a2", "Hey", after="u0")
    log.act("choice", "c", value, better="a1", worse="a2")
    assert selection(log)["all", ""][3:7] == counts


def test_acts_that_do_not_count_and_judging_models_are_left_out(log: ChatLog) -> None:
    log.act("thumb", "c/a1", 7)
    log.act("thumb", "c/u0", 1)
    log.act("thumb", "c/a3", 1, annotator_kind="model")
    assert selection(log)["all", ""][3:7] == (0, 0, 0, 0)


def test_an_edit_speaks_against_the_answer_edited(log: ChatLog) -> None:
    log.act("edit", "c/a1", text="a better answer")
    assert selection(log)["all", ""][3:7] == (1, 1, 0, 1)


def test_every_dimension_adds_up_to_all_answers(log: ChatLog) -> None:
    log.act("thumb", "c/a1", 1)
    found = selection(log)
    for dimension in {dimension for dimension, _ in found}:
        sums = [sum(row[place] for (name, _), row in found.items() if name == dimension) for place in range(2, len(COUNTS))]
        assert sums == list(found["all", ""][2:]), dimension
    assert found == selection(log, shuffle=5)
