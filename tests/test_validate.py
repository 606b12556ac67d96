"""Stage validate: which rows go and why, and what stops the pipeline."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core import engine, params
from tasks.core.tables import Feedback, Turns
from tasks.validate import stage as validate
from tasks.validate.stage import judge, run, with_orphans

ROOT = Path(__file__).parent.parent
ORIGIN = {"file": "0" * 16, "record": 0, "position": 0}
FILLER = 300  # good rows around the bad ones, so that no bound on their share is met
STAGE_PARAMS = params.load(ROOT / "params.yaml", "validate", validate.Params)


def turn(turn_id: str, parent: str | None = None, position: int = 0, role: str = "user", **more: object) -> dict[str, Any]:
    row = {"conversation_id": "c", "turn_id": turn_id, "parent_id": parent, "position": position, "role": role, "content": "Hello there."}
    return {**row, "status": "", "language": "en", "topic": "", "source": "jsonl", "origin": ORIGIN, **more}


def act(name: str, kind: str = "thumb", **more: object) -> dict[str, Any]:
    row = {"feedback_id": name, "conversation_id": "c", "turn_id": "a", "kind": kind, "value": 1.0, "annotator_kind": "person"}
    return {**row, "source": "jsonl", "origin": ORIGIN, **more}


GOOD_TURNS = [turn("q"), turn("a", "q", 1, "assistant"), turn("b", "q", 1, "assistant")]
GOOD_TURNS += [turn(f"x{number}", "q", 1, "assistant") for number in range(FILLER)]
GOOD_ACTS = [act(f"x{number}") for number in range(FILLER)]


def tables(turns: list[dict[str, Any]], acts: list[dict[str, Any]]) -> engine.Tables:
    return {
        "turns": engine.from_arrow(pa.Table.from_pylist(turns, schema=Turns.schema())),
        "feedback": engine.from_arrow(pa.Table.from_pylist(acts, schema=Feedback.schema())),
    }


def reasons(turns: list[dict[str, Any]], acts: list[dict[str, Any]]) -> tuple[dict[str, str], dict[str, str]]:
    result = run(tables(turns, acts), STAGE_PARAMS)
    actual = []
    for name, key, rows in (("turns", "turn_id", turns), ("feedback", "feedback_id", acts)):
        data = result[name].to_pydict()
        assert len(data[key]) == len(rows)
        actual.append({row: reason for row, reason in zip(data[key], data["dropped"], strict=True) if reason})
    return actual[0], actual[1]


def test_good_rows_all_stay_as_they_are() -> None:
    given_rows = tables(GOOD_TURNS, GOOD_ACTS)
    result = run(given_rows, STAGE_PARAMS)
    assert reasons(GOOD_TURNS, GOOD_ACTS) == ({}, {})
    for name, table in (("turns", Turns), ("feedback", Feedback)):
        before, after = (engine.sort(engine.to_arrow(frames[name], table.schema()), table.KEY) for frames in (given_rows, result))
        assert before.equals(after)


BAD_TURNS = [
    (turn(""), "no_id"),
    (turn("z1", role="robot"), "unknown_role"),
    (turn("z2", content=" \n\t "), "empty"),
    (turn("z3", content=None), "empty"),
    (turn("z4", content="x" * 200_001), "question_too_long"),
    (turn("z5", "q", 1, "assistant", content="x" * 200_001), "answer_too_long"),
    (turn("z6", position=-1), "negative_position"),
    (turn("z7", "nowhere", 1), "no_parent"),
    (turn("z8", "a", 1), "misplaced"),
    (turn("z9", created_at=datetime(1970, 1, 20, tzinfo=UTC)), "out_of_time"),
    (turn("z10", created_at=datetime(2300, 1, 20, tzinfo=UTC)), "out_of_time"),
]


def test_turn_that_breaks_a_rule_goes_with_its_name() -> None:
    gone, _ = reasons([*GOOD_TURNS, *(row for row, _ in BAD_TURNS)], GOOD_ACTS)
    assert gone == {row["turn_id"]: reason for row, reason in BAD_TURNS}


def test_what_hangs_below_a_dropped_turn_is_orphaned_at_any_depth_and_its_feedback_goes() -> None:
    chain = [turn("bad", "q", 1, "assistant", content="")]
    chain += [turn(f"d{depth}", chain[-1]["turn_id"] if depth == 0 else f"d{depth - 1}", depth + 2, "assistant") for depth in range(7)]
    turns_gone, acts_gone = reasons([*GOOD_TURNS, *chain], [*GOOD_ACTS, act("lost", turn_id="d6"), act("gone", turn_id="bad")])
    assert turns_gone == {"bad": "empty", **{f"d{depth}": "orphaned" for depth in range(7)}}
    assert acts_gone == {"lost": "deleted_branch", "gone": "turn_dropped"}


def test_a_ring_of_parents_does_not_survive() -> None:
    gone, _ = reasons([*GOOD_TURNS, turn("r1", "r2", 1), turn("r2", "r1", 2)], GOOD_ACTS)
    assert gone == {"r1": "misplaced", "r2": "orphaned"}


BAD_ACTS = [
    (act(" "), "no_id"),
    (act("z1", kind="shrug"), "unknown_kind"),
    (act("z2", annotator_kind=None), "unknown_annotator"),
    (act("z3", value=None), "no_value"),
    (act("z4", kind="rating", value=math.nan, scale_min=1.0, scale_max=5.0), "no_value"),
    (act("z5", kind="rating", value=6.0, scale_min=1.0, scale_max=5.0), "off_scale"),
    (act("z6", value=3.0), "off_scale"),
    (act("y1", value=None, label="sideways"), "unknown_label"),
    (act("y2", value=0.5, scale_min=0.0, scale_max=1.0), "off_scale"),
    (act("y3", kind="rating", value=None, label="Splendid", scale_min=0.0, scale_max=4.0), "unknown_label"),
    (act("y4", kind="rating", value=None, label="Good"), "no_scale"),
    (act("y5", kind="rating", value=4.0), "no_scale"),
    (act("y6", kind="rating", value=4.0, scale_min=4.0, scale_max=4.0), "no_scale"),
    (act("y7", kind="rating", value=10.0, scale_min=5.0, scale_max=1.0), "off_scale"),
    (act("y8", kind="correction", value=None), "no_text"),
    (act("z7", kind="ranking", value=-1.0), "off_scale"),
    (act("z8", kind="choice", turn_id=None, better="a"), "no_sides"),
    (act("z9", kind="choice", turn_id=None, better="a", worse="a"), "equal_sides"),
    (act("z10", turn_id=None), "no_target"),
    (act("z11", turn_id="nowhere"), "no_such_turn"),
    (act("z12", conversation_id="other"), "no_such_turn"),
    (act("z13", kind="choice", turn_id=None, better="a", worse="nowhere"), "no_such_turn"),
    (act("z14", turn_id="q"), "not_an_answer"),
    (act("z15", kind="edit", value=None, text=" "), "no_text"),
    (act("z16", created_at=datetime(1970, 1, 20, tzinfo=UTC)), "out_of_time"),
]


def test_feedback_that_breaks_a_rule_goes_with_its_name() -> None:
    _, gone = reasons(GOOD_TURNS, [*GOOD_ACTS, *(row for row, _ in BAD_ACTS)])
    assert gone == {row["feedback_id"]: reason for row, reason in BAD_ACTS}


def test_feedback_of_every_kind_can_stay() -> None:
    acts = [
        act("z1", kind="choice", turn_id=None, better="a", worse="b"),
        act("z2", kind="choice", value=0.0, turn_id=None, better="a", worse="b"),
        act("z3", kind="rating", value=5.0, scale_min=1.0, scale_max=5.0),
        act("z4", kind="edit", value=None, text="Better."),
        act("z5", kind="regenerate", value=None, turn_id=None, better="a", worse="b"),
        act("z6", kind="copy", value=None),
        act("z7", kind="share", value=None),
        act("z8", kind="correction", value=None, text="Best."),
        act("z9", kind="rating", value=2.0, scale_min=5.0, scale_max=1.0),
        act("z10", kind="rating", value=3.0, label="Good", scale_min=0.0, scale_max=4.0),
        act("z11", value=0.0, scale_min=0.0, scale_max=1.0),
    ]
    assert reasons(GOOD_TURNS, [*GOOD_ACTS, *acts])[1] == {}


@pytest.mark.parametrize(
    ("turns", "acts", "rule"),
    [
        ([], GOOD_ACTS, "too_few"),
        ([*GOOD_TURNS, turn("a", "q", 1, "assistant")], GOOD_ACTS, "copied_key"),
        (GOOD_TURNS, [*GOOD_ACTS, act("x0")], "copied_key"),
        ([*GOOD_TURNS, *(turn(f"y{n}", role="robot") for n in range(60))], GOOD_ACTS, "unknown_role"),
        (
            [*GOOD_TURNS, *(turn(f"y{n}", f"{'y' * (n > 0)}{n - 1 if n else 'lost'}", n, "user") for n in range(60))],
            GOOD_ACTS,
            "too_many_dropped",
        ),
        (GOOD_TURNS, [*GOOD_ACTS, *(act(f"y{n}", turn_id="nowhere") for n in range(240))], "too_few_targets"),
    ],
    ids=["no_turns", "turn_twice", "act_twice", "many_bad", "many_orphans", "many_lost_targets"],
)
def test_broken_table_rule_stops(turns: list[dict[str, Any]], acts: list[dict[str, Any]], rule: str) -> None:
    assert rule in [outcome.rule for outcome in judge(tables(turns, acts), STAGE_PARAMS).gate.broken]


def test_a_log_without_feedback_goes_on_unless_some_is_asked_for() -> None:
    asked = STAGE_PARAMS.model_copy(update={"feedback": STAGE_PARAMS.feedback.model_copy(update={"min_rows": 1})})
    for settings, broken in ((STAGE_PARAMS, []), (asked, ["too_few"])):
        assert [outcome.rule for outcome in judge(tables(GOOD_TURNS, []), settings).gate.broken] == broken


def test_missing_column_stops_before_anything_reads_it() -> None:
    given_rows = tables(GOOD_TURNS, GOOD_ACTS)
    broken = judge({**given_rows, "turns": given_rows["turns"].exclude("role")}, STAGE_PARAMS).gate.broken
    assert [(outcome.suite, outcome.rule) for outcome in broken] == [("turns_columns", "columns")]


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_orphans_are_exactly_those_with_a_dropped_ancestor(nodes: list[tuple[int, bool]], chance: Any) -> None:
    parents = [back % number if number else None for number, (back, _) in enumerate(nodes)]
    order = list(range(len(nodes)))
    chance.shuffle(order)
    flat = pa.table(
        {
            "conversation_id": pa.array(["c"] * len(nodes), pa.large_string()),
            "turn_id": pa.array([str(node) for node in order], pa.large_string()),
            "parent_id": pa.array([None if parents[node] is None else str(parents[node]) for node in order], pa.large_string()),
        }
    )
    dropped = pa.array(["bad" if nodes[node][1] else None for node in order], pa.large_string())
    expected = np.zeros(len(nodes), dtype=bool)
    for node, parent in enumerate(parents):
        expected[node] = nodes[node][1] or (parent is not None and expected[parent])
    result = with_orphans(flat, dropped).to_pylist()
    assert {node: value for node, value in zip(order, result, strict=True) if value} == {
        node: "bad" if nodes[node][1] else "orphaned" for node in range(len(nodes)) if expected[node]
    }


def test_a_call_of_a_tool_needs_no_text_nor_does_what_the_tool_gives_back() -> None:
    call = '[{"function": {"arguments": {}, "name": "f"}, "type": "function"}]'
    rows = [
        turn("c", "q", 1, "assistant", content="", tool_calls=call),
        turn("r", "c", 2, "tool", content=""),
        turn("s", "r", 3, "assistant"),
    ]
    assert reasons([*GOOD_TURNS, *rows], GOOD_ACTS) == ({}, {})
