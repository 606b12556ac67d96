"""Who said what, when, and what votes are called: names of roles, spellings of times, words and signs for votes, sets of pairs."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.common.raw_files.files import Unreadable
from tasks.core.errors import UserError
from tasks.ingest.formats import FORMATS, recognise
from tasks.ingest.formats.roles import UNKNOWN, role_of
from tasks.ingest.formats.times import moment, unread_shapes
from tests.builders.format_examples import read_all
from tests.builders.raw_logs import GOOD, chat, lines, read
from tests.conftest import ROOT

NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


def named(role: object, name: str = "n") -> dict[str, Any]:
    """A conversation of three messages, the middle one by this role."""
    messages = [("user", "Hi"), (role, "Psst"), ("assistant", "Hello")]
    return {"id": name, "messages": [{"role": role, "content": text} for role, text in messages]}


ROLE_TABLE = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["ingest"]["roles"]


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, names in ROLE_TABLE.items() for name in [role, *names]])
@pytest.mark.parametrize("spell", [str, str.upper, str.title, lambda name: f" {name}: "])
def test_roles_are_known_under_all_names_of_the_table(role: str, name: str, spell: Any) -> None:
    assert role_of(spell(name)) == role


@pytest.mark.parametrize("name", ["end_user", "endUser", "End User", "HumanAgent", "tool-call", "AIMessage"])
def test_spelling_does_not_make_another_role(name: str) -> None:
    assert not role_of(name).startswith(UNKNOWN)


@pytest.mark.parametrize("role", ["narrator", "", None, 7, ["user"]])
def test_an_unknown_role_costs_its_messages_only_and_what_follows_hangs_on_what_came_before(tmp_path: Path, role: object) -> None:
    result = read(tmp_path, {"a": lines(GOOD, named(role))})
    turns = [(row["turn_id"], row["parent_id"], row["content"]) for row in result.table("turns") if row["conversation_id"] == "jsonl:n"]
    assert turns == [("0000", None, "Hi"), ("0002", "0000", "Hello")]
    assert [reason for _, _, reason in result.faults()] == ["unknown_role"]


def test_an_unknown_role_is_named_once_with_its_count_and_can_be_mapped(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    log = lines(*(named("narrator", f"n{at}") for at in range(7)), named("jane@example.org"))
    result = read(tmp_path / "a", {"a": log})
    findings = [row["detail"] for row in result.table("quarantine")]
    assert any("`narrator`" in text and "7 times" in text and "ingest.roles" in text for text in findings)
    assert len([warning for warning in recwarn if "narrator" in str(warning.message)]) == 1
    assert "jane" not in str(findings) + str([str(warning.message) for warning in recwarn])
    table = {**ROLE_TABLE, "assistant": [*ROLE_TABLE["assistant"], "Narrator"]}
    texts = read(tmp_path / "b", {"a": log}, roles=table).contents()
    assert sum("Psst" in text for text in texts) == 7, "one answer with the assistant's next message"


def test_places_count_messages_of_unknown_roles_too(tmp_path: Path) -> None:
    vote = {"conversation_id": "n", "kind": "thumb", "value": 1, "message_index": 2}
    assert [row["turn_id"] for row in read(tmp_path, {"a": lines(named("narrator"), vote)}).table("feedback")] == ["0002"]


@pytest.mark.parametrize(
    ("name", "record"),
    [
        (
            "sharegpt",
            {"conversations": [{"from": "customer", "value": "Hi"}, {"from": "narrator", "value": "x"}, {"from": "agent", "value": "Yo"}]},
        ),
        (
            "openai",
            {"messages": [{"role": "visitor", "content": "Hi"}, {"role": "narrator", "content": "x"}, {"role": "bot", "content": "Yo"}]},
        ),
    ],
)
def test_every_reader_takes_the_table_and_drops_strangers(name: str, record: dict[str, Any]) -> None:
    turns, _, notes = read_all(name, record)
    assert [(turn["role"], turn["content"]) for turn in turns] == [("user", "Hi"), ("assistant", "Yo")]
    assert notes == ["unknown_role"]


def test_a_record_that_is_one_message_of_an_unknown_role_is_not_read() -> None:
    with pytest.raises(Unreadable, match=r"unknown_role.*narrator"):
        read_all("oasst", {"message_id": "m", "message_tree_id": "t", "text": "x", "role": "narrator"})


SPELLINGS = [
    1769860800,
    1769860800.0,
    1769860800000,
    1769860800000000,
    1769860800000000000,
    "1769860800",
    "1769860800.0",
    "1.7698608e9",
    "2026-01-31T12:00:00Z",
    "2026-01-31 12:00:00.000",
    "2026-01-31T13:00:00+01:00",
    "2026-01-31T12:00:00.000000000Z",
    "2026-01-31 12:00:00 UTC",
    "2026-01-31 12:00:00 +0000 UTC",
    "2026-01-31T07:00:00-0500",
    "2026-01-31T13:00:00+01:00[Europe/Berlin]",
    "2026-01-31 12:00:00,000",
    "Sat, 31 Jan 2026 12:00:00 GMT",
    "Sat, 31 Jan 2026 13:00:00 +0100",
    "31 Jan 2026 07:00:00 EST",
    "Sat Jan 31 12:00:00 2026",
    "Sat Jan 31 12:00:00 UTC 2026",
    "Sat Jan 31 2026 13:00:00 GMT+0100 (Central European Standard Time)",
    "2026/01/31 12:00:00",
    "2026/1/31 12:00",
    "31.01.2026 12:00",
    "31/01/2026, 12:00:00",
    "1/31/2026, 12:00:00 PM",
    "Jan 31, 2026, 12:00 PM",
    "January 31st, 2026 at 12:00 PM",
    "31/Jan/2026:12:00:00 +0000",
    "/Date(1769860800000)/",
    "20260131120000",
    "20260131T120000Z",
    {"$date": "2026-01-31T12:00:00Z"},
    {"$date": 1769860800000},
    {"$date": {"$numberLong": "1769860800000"}},
    {"seconds": 1769860800, "nanos": 0},
    {"_seconds": 1769860800, "_nanoseconds": 0},
]


@pytest.mark.parametrize("value", SPELLINGS, ids=str)
def test_a_time_is_read_in_every_usual_spelling(value: object) -> None:
    assert moment(value) == NOON.timestamp() * 1e6
    assert unread_shapes() == []


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("03/04/2026", "99/99/9999"),
        ("3/4/2026, 5:00 PM", "9/9/9999, 9:99 a"),
        ("03.04.2026 10:00", "99.99.9999 99:99"),
        ("01/31/26", "99/99/99"),
        ("Sat Jan 31 12:00:00 CST 2026", "a a 99 99:99:99 a 9999"),
        ("2026-02-31", "9999-99-99"),
        ("last Tuesday", "a a"),
        (46053, "a number that is no time of a chat"),
        ([2026, 1, 31], "a list"),
    ],
)
def test_a_time_that_may_be_another_is_reported_and_null(tmp_path: Path, value: object, shape: str) -> None:
    with pytest.warns(UserWarning, match=re.escape(f"times of the form {shape} are not read")):
        result = read(tmp_path, {"a": lines(GOOD | {"created_at": value}, chat("d", "x") | {"created_at": value})})
    assert {row["created_at"] for row in result.table("turns")} == {None}
    assert [reason for _, _, reason in result.faults()] == ["unread_time"]


@pytest.mark.parametrize("value", ["03/03/2026", "13/03/2026", "03/13/2026"])
def test_a_date_that_can_mean_one_day_only_is_read(value: str) -> None:
    assert datetime.datetime.fromtimestamp((moment(value) or 0) / 1e6, datetime.UTC).date() in {
        datetime.date(2026, 3, 3),
        datetime.date(2026, 3, 13),
    }


@pytest.mark.parametrize("value", [None, "", 0, "0", "NaT", "nan", "null", float("nan"), True, [], {}, -1])
def test_no_time_is_no_fault(value: object) -> None:
    assert moment(value) is None
    assert unread_shapes() == []


@given(st.one_of(st.text(max_size=40), st.integers(), st.floats(), st.recursive(st.none(), st.lists)))
def test_no_value_is_a_crash(value: object) -> None:
    assert moment(value) is None or isinstance(moment(value), int)


def thumb(value: object, **more: object) -> tuple[float | None, float | None]:
    _, (act,), _ = read_all("jsonl", {"conversation_id": "c", "kind": "thumb", "message_index": 1, "value": value, **more})
    return act["value"], act["scale_min"]


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("up", "down"),
        ("👍", "👎"),
        ("👍🏽", "👎🏿"),
        ("👍️", "👎️"),
        ("like", "dislike"),
        ("Liked", "Disliked"),
        ("good", "bad"),
        ("yes", "no"),
        ("TRUE", "False"),
        (True, False),
        ("positive", "Negative"),
        ("thumbs-up", "thumbs_down"),
        ("Helpful", "not helpful"),
        (1, -1),
        ("+1", "-1"),
        (":+1:", ":-1:"),
        ("upvote", "downvote"),
    ],
)
def test_words_and_signs_for_thumbs_have_a_direction(up: object, down: object) -> None:
    assert (thumb(up), thumb(down)) == ((1.0, -1.0), (-1.0, -1.0))


@pytest.mark.parametrize("word", ["maybe", "neutral", "ok", "left", "A", "report", "love-hate", ""])
def test_words_without_a_direction_are_no_vote(word: str) -> None:
    assert thumb(word)[0] is None


@pytest.mark.parametrize(
    ("values", "scale"),
    [([1, 0, 1], 0.0), (["1", "0"], 0.0), ([1, 0, -1], -1.0), ([0, 0], -1.0), ([1, 1], -1.0), ([1, 0, "down"], -1.0)],
)
@pytest.mark.parametrize("files", [1, 2])
def test_thumbs_of_1_and_0_only_are_up_and_down(tmp_path: Path, values: list[Any], scale: float, files: int) -> None:
    votes = [{"conversation_id": f"c{at}", "kind": "thumb", "message_index": 1, "value": value} for at, value in enumerate(values)]
    parts = {str(at): lines(*votes[at::files], chat(f"c{at}", "Hi", str(at))) for at in range(files)}
    assert {row["scale_min"] for row in read(tmp_path, parts).table("feedback") if row["label"] is None} == {scale}


@pytest.mark.parametrize(
    ("value", "scale", "said"),
    [
        ("4/5", None, (4.0, 1.0, 5.0)),
        ("4 out of 5", None, (4.0, 1.0, 5.0)),
        ("8/10", None, (8.0, 1.0, 10.0)),
        ("4/5", [1, 5], (4.0, 1.0, 5.0)),
        ("4/5", [1, 10], (None, 1.0, 10.0)),
        ("4,5", None, (4.5, 1.0, 5.0)),
        ("★★★★☆", None, (4.0, 1.0, 5.0)),
        ("⭐⭐⭐", None, (3.0, 1.0, 5.0)),
        ("5 stars", None, (5.0, 1.0, 5.0)),
        ("80%", [0, 100], (80.0, 0.0, 100.0)),
        ("80 %", None, (80.0, 0.0, 100.0)),
        ("80%", [1, 5], (None, 1.0, 5.0)),
        ("N/A", None, (None, None, None)),
        ("1/2", None, (None, None, None)),
        ("4-5", None, (None, None, None)),
    ],
)
def test_ratings_are_read_in_their_spellings_and_never_on_another_scale(value: str, scale: object, said: tuple[Any, ...]) -> None:
    line = {"conversation_id": "c", "kind": "rating", "message_index": 1, "value": value} | ({"scale": scale} if scale else {})
    _, (act,), _ = read_all("jsonl", line)
    assert (act["value"], act["scale_min"], act["scale_max"]) == said


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"prompt": "x", "chosen": "a", "rejected": "a"}, "identical_pair"),
        ({"prompt": "x", "chosen": "a", "rejected": " "}, "empty_answer"),
        ({"prompt": "x", "chosen": "a", "rejected": "b", "score_chosen": 1, "score_rejected": 2}, "scores_contradict"),
        ({"prompt": "", "chosen": "a", "rejected": "b"}, "no_prompt"),
        ({"prompt": "x", "chosen": [{"role": "user", "content": "x"}], "rejected": "b"}, "no_answer"),
        ({"prompt": "x", "chosen": [], "rejected": "b"}, "no_messages"),
    ],
)
def test_what_is_no_preference_says_why(record: dict[str, Any], reason: str) -> None:
    assert recognise(record) == "preference"
    with pytest.raises(Unreadable) as error:
        read_all("preference", record)
    assert error.value.fault.reason == reason


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("openai", {"messages": [{"role": "user", "content": "x"}], "preferred_output": []}),
        ("arena", {"winner": "model_a", "tstamp": 1, "type": "chat", "state": {}}),
    ],
)
def test_a_record_that_is_half_there_is_no_crash(name: str, record: dict[str, Any]) -> None:
    assert recognise(record) == name
    if name == "arena":
        with pytest.raises(Unreadable, match="no_messages"):
            read_all(name, record)
    else:
        assert [turn["content"] for turn in read_all(name, record)[0]] == ["x"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_forced_format_on_foreign_records_is_a_reason(tmp_path: Path, name: str) -> None:
    foreign = [json.loads((ROOT / "tests" / "examples" / f"{other}.json").read_text())["records"] for other in FORMATS if other != name]
    records = [record for group in foreign for record in group] + [{}, {"messages": 3, "chat": 4, "prompt": None, "mapping": []}]
    try:
        read(tmp_path, {"a": lines(*[GOOD] * 200), "b": lines(*records)}, {"b": name})
    except UserError as error:
        assert "b: found" in str(error)  # noqa: PT017  (either is right: told, or too much of it)
