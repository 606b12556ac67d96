"""Claims about the difference of two versions: every pair is accounted for, and each change has its reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.changes import difference, lines, page
from flows.changes.causes import ORDER
from flows.changes.evidence import FATE, Evidence, Settings
from tasks.core.ids import stable_id
from tasks.core.tables import TABLES, TEXT
from tests.builders.releases import row

Rows = list[dict[str, Any]]
STAGES = ("ingest", "clean", "split", "rebalance", "pair", "release")
FILE = "f" * 16


def pair(prompt: str, chosen: str, rejected: str, split: str = "train", votes: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return row(prompt, chosen, rejected, split) | {"votes": list(votes), "conversations": [f"jsonl:{prompt}"], "weight": 1.0} | more


def vote(name: str, prompt: str, value: float = 1.0, file: str = FILE, person: str | None = None) -> dict[str, Any]:
    return {
        "feedback_id": name,
        "prompt_id": stable_id(prompt),
        "kind": "choice",
        "value": value,
        "annotator": person,
        "origin": f"{file}:0:-1",
    }


def table(name: str, rows: Rows, *more: pa.Field[Any]) -> pa.Table:
    schema = pa.schema([*TABLES[name].schema(), *more])
    return pa.Table.from_pylist([{column: given.get(column) for column in schema.names} for given in rows], schema=schema)


def version(
    name: str, pairs: Rows, votes: Sequence[Any] = (), proposed: Sequence[Any] = (), prompts: Sequence[Any] = (), **more: Any
) -> Evidence:
    ids = pa.array([given["feedback_id"] for given in votes], TEXT)
    conversations = pa.array([given["conversations"][0] for given in pairs], TEXT)
    code = {stage: {f"tasks/{stage}": "1"} for stage in STAGES}
    made = Evidence(
        name,
        table("pairs", list(pairs)),
        table("pairs", list(proposed), pa.field("dropped", TEXT)),
        table("votes", list(votes)),
        ids,
        conversations,
        {FILE: "log.jsonl"},
        pa.Table.from_pylist(list(prompts), schema=pa.schema([(column, TEXT) for column in FATE])),
        Settings({stage: {} for stage in STAGES}, code, {}),
    )
    return dataclasses.replace(made, **more)


def reasons(before: Evidence, after: Evidence) -> dict[str, dict[str, int]]:
    """Kinds of change with their reasons; kinds that did not happen are left out."""
    return {kind: found for kind, found in difference.compare(before, after).kinds.items() if found}


def of_parameters(made: Evidence, **values: Any) -> Evidence:
    settings = dataclasses.replace(made.settings, parameters={**made.settings.parameters, **values})
    return dataclasses.replace(made, settings=settings)


def of_code(made: Evidence, *stages: str) -> Evidence:
    code = {stage: {"x": "2"} if stage in stages else found for stage, found in made.settings.code.items()}
    return dataclasses.replace(made, settings=dataclasses.replace(made.settings, code=code))


SPLIT = st.sampled_from(["train", "validation", "test"])
PAIRS = st.lists(
    st.tuples(
        st.sampled_from("pqr"), st.permutations(["a", "b", "c"]), SPLIT, st.sampled_from(["choice", "edit"]), st.sampled_from([0.6, 0.9])
    ),
    max_size=12,
)


def made_of(drawn: list[Any]) -> Rows:
    """Pairs of a draw, each id once, though answers may be paired twice by two recipes and both ways round."""
    rows = [
        pair(prompt, sides[0], sides[1], split, recipe=recipe, confidence=sure, pair_id=stable_id(prompt, *sides[:2], recipe))
        for prompt, sides, split, recipe, sure in drawn
    ]
    return list({one["pair_id"]: one for one in rows}.values())


@settings(max_examples=30)
@given(PAIRS, PAIRS)
def test_counts_add_up_whatever_changed(one: list[Any], two: list[Any]) -> None:
    before, after = version("a", made_of(one)), version("b", made_of(two))
    made = difference.compare(before, after)
    counts = {name: found["all"] for name, found in made.pairs.items()}
    assert counts["before"] - counts["gone"] + counts["added"] == counts["after"]
    assert counts["before"] == len(before.pairs)
    assert counts["after"] == len(after.pairs)
    names = [[identity(given) for given in of.pairs.to_pylist()] for of in (before, after)]
    for name in {*names[0], *names[1]}:  # as many are gone and added as cannot be matched, and no more
        gone = sum(identity(given) == name for given in _rows(before, made, "gone"))
        added = sum(identity(given) == name for given in _rows(after, made, "added"))
        assert gone == max(0, names[0].count(name) - names[1].count(name))
        assert added == max(0, names[1].count(name) - names[0].count(name))


def identity(given: dict[str, Any]) -> tuple[str, frozenset[str]]:
    return given["prompt_id"], frozenset(given[side][0]["content"] for side in ("chosen", "rejected"))


def _rows(of: Evidence, made: difference.Difference, kind: str) -> Rows:
    ids = {(given["after"] or given["before"])["pair_id"] for given in made.rows if kind in given["kinds"]}
    return [given for given in of.pairs.to_pylist() if given["pair_id"] in ids]


@settings(max_examples=10)
@given(PAIRS)
def test_a_version_differs_from_itself_in_nothing(drawn: list[Any]) -> None:
    made = difference.compare(version("a", made_of(drawn)), version("b", made_of(drawn)))
    assert made.rows == []


def test_an_unbalanced_difference_is_refused() -> None:
    made = difference.compare(version("a", [pair("p", "x", "y")]), version("b", []))
    made.pairs["gone"]["all"] = 0
    with pytest.raises(AssertionError, match="does not add up"):
        difference.demand_balance(made)


OLD = version("a", [pair("p", "x", "y", votes=("v1",))], [vote("v1", "p")])


def test_a_new_vote_flips_a_pair() -> None:
    after = version("b", [pair("p", "y", "x", votes=("v1", "v2", "v3"))], [vote(name, "p") for name in ("v1", "v2", "v3")])
    assert reasons(OLD, after) == {"flipped": {"new vote": 1}}


def test_a_vote_that_says_something_else_is_named_as_changed() -> None:
    after = version("b", [pair("p", "y", "x", votes=("v1",))], [vote("v1", "p", value=-1.0)])
    assert reasons(OLD, after) == {"flipped": {"vote changed": 1}}
    renewed = version("b", [pair("p", "y", "x", votes=("v9",))], [vote("v9", "p", person="ann")])
    of_ann = version("a", [pair("p", "x", "y", votes=("v1",))], [vote("v1", "p", person="ann")])
    assert reasons(of_ann, renewed) == {"flipped": {"vote changed": 1}}


def test_a_pair_whose_vote_is_withdrawn_is_gone_for_that() -> None:
    assert reasons(OLD, version("b", [], files={"e" * 16: "log.jsonl"})) == {"gone": {"vote withdrawn": 1}}


def test_a_log_that_came_or_went_is_named() -> None:
    more = [pair("q", "x", "y", votes=("v2",))]
    came = version(
        "b",
        [*OLD.pairs.to_pylist(), *more],
        [vote("v1", "p"), vote("v2", "q", file="e" * 16)],
        files={FILE: "log.jsonl", "e" * 16: "new.jsonl"},
    )
    assert reasons(OLD, came) == {"added": {"new log": 1}}
    assert reasons(came, OLD) == {"gone": {"log gone": 1}}
    told = "\n".join(lines.told(difference.compare(OLD, came), 9, {}))
    assert "new logs: new.jsonl" in told


def test_what_tombstones_take_away_is_named_as_erased() -> None:
    erased = version("b", [], settings=dataclasses.replace(OLD.settings, inputs={"data/erased": "2"}))
    assert reasons(OLD, erased) == {"gone": {"erased": 1}}


def test_a_parameter_that_weighs_anew_is_named() -> None:
    surer = [pair("p", "x", "y", votes=("v1",), confidence=0.7)]
    after = of_parameters(version("b", surer, [vote("v1", "p")]), pair={"reliability.choice": 0.7}, release={"late": 1})
    made = difference.compare(of_parameters(OLD, pair={"reliability.choice": 0.9}), after)
    assert made.kinds["re-weighed"] == {"parameter": 1}
    assert made.rows[0]["detail"] == "pair.reliability.choice"
    assert ("pair.reliability.choice", 0.9, 0.7) in made.between.parameters


def test_code_counts_where_no_vote_and_no_parameter_does() -> None:
    after = of_code(version("b", [pair("p", "x", "y", votes=("v1",), confidence=0.7)], [vote("v1", "p")]), "pair")
    made = difference.compare(OLD, after)
    assert made.kinds["re-weighed"] == {"code": 1}
    assert made.rows[0]["detail"] == "pair"


def test_code_after_the_stage_that_decides_is_no_reason() -> None:
    moved = version("b", [pair("p", "x", "y", "test", votes=("v1",))], [vote("v1", "p")])
    assert reasons(OLD, of_code(moved, "pair")) == {"moved": {"other": 1}}
    assert reasons(OLD, of_code(moved, "split")) == {"moved": {"code": 1}}


def test_why_a_stage_dropped_a_pair_is_told() -> None:
    rows = [pair("p", "x", "y", votes=("v1",), dropped="low_confidence")]
    after = of_parameters(version("b", [], [vote("v1", "p")], rows), pair={"min_confidence": 0.9})
    made = difference.compare(OLD, after)
    assert made.rows[0]["detail"] == "dropped by pair: low_confidence, pair.min_confidence"
    prompts = [{"prompt_id": stable_id("p"), "reason": "over_quota", "stage": "rebalance"}]
    assert (
        difference.compare(OLD, version("b", [], [vote("v1", "p")], prompts=prompts)).rows[0]["detail"]
        == "dropped by rebalance: over_quota"
    )


def test_a_vote_on_another_answer_of_the_prompt_counts_before_parameters() -> None:
    after = of_parameters(version("b", [], [vote("v1", "p"), vote("v2", "p")]), pair={"x": 1})
    assert reasons(OLD, after) == {"gone": {"new vote": 1}}


def test_small_changes_of_confidence_are_none() -> None:
    after = version("b", [pair("p", "x", "y", votes=("v1",), confidence=0.995)], [vote("v1", "p")])
    assert difference.compare(OLD, after).rows == []
    assert difference.compare(OLD, after, step=0.001).kinds["re-weighed"] == {"other": 1}


def test_texts_are_shown_on_request_only_and_escaped() -> None:
    before, after = version("a", [pair("p", "<script>x", "y")]), version("b", [])
    made = difference.compare(before, after)
    assert "script>x" not in page.render(made, 9, {}) + "\n".join(lines.told(made, 9, {}))
    texts = difference.texts(made, before, after, 9)
    assert "&lt;script&gt;x" in page.render(made, 9, texts)
    assert "  chosen:   <script>x" in lines.told(made, 9, texts)


def test_every_reason_of_a_page_is_one_of_the_order() -> None:
    made = difference.compare(OLD, version("b", []))
    assert all(reason in ORDER for found in made.kinds.values() for reason in found)
