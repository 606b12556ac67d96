"""Bad feedback, from a line of a log to the end: each act that is no vote has a reason word, a count, and its row as it was given."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from tasks.core.ledger import Account
from tests.builders import real_sets
from tests.builders.real_sets import Line

LIKED = {"conversation_id": "c", "kind": "thumb", "value": "up"}
ANSWER = LIKED | {"message_id": "a"}
RATED = {"conversation_id": "c", "kind": "rating", "message_id": "a"}
CHOSEN = {"conversation_id": "c", "kind": "choice", "better": "a", "worse": "b"}
# stage and reason, and the line
BAD: dict[str, tuple[str, str, Line]] = {
    "no message of this id": ("validate", "no_such_turn", LIKED | {"message_id": "nowhere"}),
    "no message at this place": ("validate", "no_such_turn", LIKED | {"message_index": 99}),
    "no such conversation": ("validate", "no_such_turn", ANSWER | {"conversation_id": "nowhere"}),
    "no message named": ("validate", "no_target", LIKED),
    "on a user's turn": ("validate", "not_an_answer", LIKED | {"message_id": "q"}),
    "on a deleted answer": ("clean", "deleted_branch", LIKED | {"message_id": "gone"}),
    "below a deleted answer": ("clean", "deleted_branch", LIKED | {"message_id": "below"}),
    "below a message that is lost": ("validate", "deleted_branch", LIKED | {"message_id": "stray"}),
    "on an answer that failed": ("clean", "turn_dropped", LIKED | {"message_id": "failed"}),
    "an unknown word for a thumb": ("validate", "unknown_label", ANSWER | {"value": "sideways"}),
    "an unknown word for a rating": ("validate", "unknown_label", RATED | {"value": "Splendid", "scale": ["Poor", "Good"]}),
    "a word without its scale": ("validate", "no_scale", RATED | {"value": "Good"}),
    "a scale that is none": ("validate", "no_scale", RATED | {"value": 4, "scale": "stars"}),
    "a scale without reach": ("validate", "no_scale", RATED | {"value": 4, "scale": [4, 4]}),
    "a 1 that became a 10": ("validate", "off_scale", RATED | {"value": 10}),
    "a 1 that became a 10, 1 being best": ("validate", "off_scale", RATED | {"value": 10, "scale": [5, 1]}),
    "a thumb in between": ("validate", "off_scale", ANSWER | {"value": 0}),
    "a rank before the first": ("validate", "off_scale", ANSWER | {"kind": "ranking", "value": -1, "group": "g"}),
    "no value": ("validate", "no_value", RATED | {"value": None}),
    "a choice of one answer": ("validate", "equal_sides", CHOSEN | {"worse": "a"}),
    "a choice of an unknown word": ("validate", "unknown_label", CHOSEN | {"value": "left"}),
    "answers to two questions": ("aggregate", "different_prompts", CHOSEN | {"worse": "later"}),
    "an edit without a text": ("validate", "no_text", ANSWER | {"kind": "edit", "value": None}),
    "a correction that corrects nothing": ("aggregate", "no_change", ANSWER | {"kind": "correction", "text": " Twelve minutes.\r\n"}),
    "before the answer": ("clean", "before_answer", ANSWER | {"created_at": "2026-02-27T00:00:00Z"}),
    "in the future": ("clean", "in_the_future", ANSWER | {"created_at": "2028-01-01T00:00:00Z"}),
    "taken back by the same person": ("aggregate", "superseded", ANSWER | {"user_id": "p", "created_at": "2026-03-01T13:00:00Z"}),
    "a share": ("aggregate", "not_used", ANSWER | {"kind": "share", "value": None}),
}
GOOD: dict[str, Line] = {
    "the last word of that person": ANSWER | {"value": "down", "user_id": "p", "created_at": "2026-03-02T13:00:00Z"},
    "at the edge of the scale, 1 being best": RATED | {"value": 1, "scale": [5, 1]},
    "a known word": RATED | {"value": "good", "scale": ["Poor", "Good"]},
    "a choice": CHOSEN | {"value": "tie", "shown_first": "b"},
    "a correction": ANSWER | {"kind": "correction", "text": "Eleven minutes."},
}
SAID = [
    ("q", None, "user", "How long do I boil rice?"),
    ("a", "q", "assistant", "Twelve minutes."),
    ("b", "q", "assistant", "An hour."),
    ("failed", "q", "assistant", "Inter"),
    ("gone", "q", "assistant", "Secret."),
    ("more", "gone", "user", "And pasta?"),
    ("below", "more", "assistant", "Nine."),
    ("next", "a", "user", "And pasta?"),
    ("later", "next", "assistant", "Ten minutes."),
    ("stray", "lost", "assistant", "Fifteen."),
]
STATUS = {"gone": "deleted", "failed": "error"}


def log() -> list[Line]:
    """One conversation, and all lines of feedback about it; the name of a line is the act's comment."""
    turns = [dict(zip(("id", "parent_id", "role", "content"), turn, strict=True)) for turn in SAID]
    messages: list[Line] = [turn | {"created_at": "2026-03-01T12:00:00Z", "status": STATUS.get(turn["id"] or "", "")} for turn in turns]
    acts = {name: line for name, (_, _, line) in BAD.items()} | GOOD
    return [
        {"id": "c", "messages": messages},
        *({"text": None if "edit" in name else name} | line | {"id": name} for name, line in acts.items()),
    ]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Account]]:
    root = tmp_path_factory.mktemp("bad")
    real_sets.write(log(), root / "raw" / "log.jsonl")
    return real_sets.run_path(root / "raw", root / "out")


def test_every_bad_act_is_dropped_where_and_why_it_should_be_and_counted(walked: dict[str, dict[str, Account]]) -> None:
    records = {row["feedback_id"]: row["origin"]["record"] for row in walked["ingest"]["feedback"].kept.to_pylist()}
    names = list(BAD) + list(GOOD)
    result = {
        names[records[row["feedback_id"]] - 1]: (stage, row["dropped"])
        for stage in ("ingest", "clean", "dedupe", "validate", "aggregate")
        for row in walked[stage]["feedback"].dropped.to_pylist()
    }
    assert result == {name: (stage, reason) for name, (stage, reason, _) in BAD.items()}
    for stage in ("clean", "validate", "aggregate"):
        assert walked[stage]["feedback"].reasons == Counter(reason for where, reason, _ in BAD.values() if where == stage)


def test_the_dropped_rows_hold_what_was_said_as_it_was_said(walked: dict[str, dict[str, Account]]) -> None:
    given = {row["feedback_id"]: row for row in walked["ingest"]["feedback"].kept.to_pylist()}
    same = ("kind", "value", "label", "scale_min", "scale_max", "created_at", "annotator", "origin")
    dropped = [row for stage in walked if "feedback" in walked[stage] for row in walked[stage]["feedback"].dropped.to_pylist()]
    assert len(dropped) == len(BAD)
    for row in dropped:
        assert [row[name] for name in same] == [given[row["feedback_id"]][name] for name in same]
    assert {"sideways", "Splendid", "Good", "left"} <= {row["label"] for row in dropped}


def test_the_others_are_votes_with_their_raw_value_beside_the_normalised_one(walked: dict[str, dict[str, Account]]) -> None:
    lists = cast("list[list[dict[str, Any]]]", walked["aggregate"]["candidates"].kept["votes"].to_pylist())
    votes = [vote for row in lists for vote in row]
    assert sorted((vote["kind"], vote["value"], vote["raw"]) for vote in votes if vote["kind"] != "correction") == [
        ("choice", 0.0, "tie"),
        ("rating", 1.0, "1.0"),
        ("rating", 1.0, "good"),
        ("thumb", -1.0, "down"),
    ]
    assert len(votes) == len(GOOD)
    (choice,) = [vote for vote in votes if vote["kind"] == "choice"]
    assert choice["shown_first"] in (choice["better"], choice["worse"])
