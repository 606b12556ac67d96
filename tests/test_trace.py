"""Claims about traces: a row leads back to its votes, answers and raw records, and on to the versions and models that have it."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.versions import record
from tasks.core.ids import stable_id
from tests.builders import shelves
from tests.builders.shelves import Shelf, pair, table, vote
from tests.builders.stores import said

V1, V2, V3 = (record.tag(number) for number in (1, 2, 3))
LOG = "a" * 16
WHEN = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
ORIGINS = [f"{LOG}:4:0", f"{LOG}:4:1"]
PAIR = pair("How?", "So.", "No.", votes=("v1", "v2"), origins=ORIGINS, chosen_model="m1", rejected_model="m2")
VARIANT = pair("How then?", "So.", "No.", votes=("v1",), augmented_from=PAIR["prompt_id"], augmenter="rephrase", origins=ORIGINS)
SHARED = "0123"  # beginning of two ids
for number, one in enumerate((PAIR, VARIANT)):
    one["pair_id"] = f"{SHARED}{number}{one['pair_id'][5:]}"
ODD = pair("Why?", "Thus.", "Eh.", "test", votes=("v4",), origins=["0" * 16 + ":0:0"])
SINGLE = {
    "example_id": "e1",
    "prompt_id": PAIR["prompt_id"],
    "completion": PAIR["chosen"],
    "label": True,
    "split": "train",
    "origins": ORIGINS,
}


def on_pair(name: str, **more: object) -> dict[str, Any]:
    return {**vote(name, "How?"), "raw": "1", "annotator_kind": "person", "created_at": WHEN, "origin": f"{LOG}:5:-1", **more}


VOTES = [
    on_pair("v1", better="r1", worse="r2", annotator="ann", reliability=0.75),
    on_pair("v2", response_id="r1", kind="thumb", example_id="e1"),
    on_pair("v3", response_id="r2"),
    vote("v4", "Why?"),
]
R1 = {"response_id": "r1", "content": "So.", "model": "m1", "turns": ["t1"], "ups": 2, "downs": 0, "ratings": 1}
R2 = {"response_id": "r2", "content": "No.", "model": "m2", "turns": ["t2"], "ups": 0, "downs": 1, "ratings": 0, "written_by": "person"}


def turn(position: int, content: str) -> dict[str, Any]:
    return {"turn_id": f"t{position}", "content": content, "origin": {"file": LOG, "record": 4, "position": position}}


def tables(*pairs: dict[str, Any]) -> dict[str, Any]:
    return {
        "10_pair/pairs": table("pairs", pairs),
        "10_pair/unpaired": table("unpaired", [SINGLE]),
        "10_pair/prompts": table("prompts", [{"prompt_id": one["prompt_id"], "split": one["split"], "origins": ORIGINS} for one in pairs]),
        "10_pair/votes": table("votes", VOTES),
        "05_aggregate/candidates": table("candidates", [{"prompt_id": PAIR["prompt_id"], "responses": [R1, R2]}]),
        "02_clean/turns": table("turns", [turn(0, "I am [EMAIL_1], [EMAIL_2] of [NAME_1]"), turn(1, "So."), turn(2, "[EMAIL_9]")]),
        "02_clean/files": table("files", [{"file": LOG, "name": "desk/monday.jsonl"}]),
        "01_ingest/turns": table("turns", [turn(0, "I am a@b.org, c@d.org of Joe"), turn(1, "So\u200b."), turn(2, "x@y.org")]),
        "01_ingest/files": table("files", [{"file": LOG, "name": "desk/monday.jsonl"}]),
    }


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Three versions: the pair to train on, and with a model; not there; in another split."""
    made = shelves.make(tmp_path_factory.mktemp("shelf") / "traced")
    made.put(tables(PAIR, VARIANT, ODD), model="weights")
    made.put(tables(ODD))
    made.put(tables(PAIR | {"split": "validation"}, VARIANT, ODD), model="others")
    return made


@pytest.fixture
def here(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.chdir(shelf.root)
    return shelf


def traced(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("\n".join(said("trace", name, "--json")))
    return found


def test_a_pair_leads_back_to_the_votes_behind_it_and_to_no_others(here: Shelf) -> None:
    found = traced(PAIR["pair_id"][:10])
    assert (found["id"], found["column"]) == (PAIR["pair_id"], "pair_id")
    assert [one["feedback_id"] for one in found["votes"]] == ["v1", "v2"]
    first = found["votes"][0]
    assert (first["better"], first["worse"], first["annotator"], first["reliability"]) == ("r1", "r2", "ann", 0.75)
    assert (first["created_at"], first["origin"]) == ("2026-05-01T12:00:00+00:00", f"{LOG}:5:-1")
    assert found["about"]["recipe"] == "choice"
    assert "pair_id" not in found["about"]


def test_each_answer_has_what_was_gathered_about_it(here: Shelf) -> None:
    chosen, rejected = traced(PAIR["pair_id"])["answers"]
    assert (chosen["side"], chosen["response_id"], chosen["model"], chosen["turns"], chosen["ups"]) == ("chosen", "r1", "m1", ["t1"], 2)
    assert (rejected["side"], rejected["response_id"], rejected["written_by"], rejected["downs"]) == ("rejected", "r2", "person", 1)


def test_a_variant_leads_to_the_votes_and_answers_of_what_it_was_made_from(here: Shelf) -> None:
    found = traced(VARIANT["pair_id"])
    assert [one["feedback_id"] for one in found["votes"]] == ["v1"]
    assert [one["response_id"] for one in found["answers"]] == ["r1", "r2"]
    assert found["about"]["augmented_from"] == PAIR["prompt_id"]


def test_the_raw_records_are_named_by_file_number_and_place(here: Shelf) -> None:
    assert traced(PAIR["pair_id"])["records"] == [
        {"file": "data/raw/desk/monday.jsonl", "digest": LOG, "record": 4, "position": position} for position in (0, 1)
    ]
    assert traced(ODD["pair_id"])["records"] == [{"file": None, "digest": "0" * 16, "record": 0, "position": 0}]
    assert "  from file 0000000000000000 (not among the files of the last ingest), record 0, position 0" in said("trace", ODD["pair_id"])


def test_what_cleaning_changed_is_counted_in_these_messages_alone(here: Shelf) -> None:
    assert traced(PAIR["pair_id"])["cleaning"] == {"messages": 2, "redacted": {"EMAIL": 2, "NAME": 1}, "repaired": 1}
    line = "  cleaning, in 2 messages: redacted 2 EMAIL, 1 NAME; 1 repaired"
    assert line in said("trace", PAIR["pair_id"])


def test_a_clone_without_the_raw_tables_says_that_repairs_are_unknown(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(shelf.root, tmp_path / "clone", symlinks=True)
    shutil.rmtree(tmp_path / "clone" / "data" / "01_ingest")
    monkeypatch.chdir(tmp_path / "clone")
    found = traced(PAIR["pair_id"])
    assert found["cleaning"] == {"messages": 2, "redacted": {"EMAIL": 2, "NAME": 1}, "repaired": None}
    assert found["records"][0]["file"] == "data/raw/desk/monday.jsonl", "the redacted table names the files too"
    assert any("repairs unknown" in line for line in said("trace", PAIR["pair_id"]))


def test_a_row_leads_on_to_each_version_that_holds_it_its_split_and_its_models(here: Shelf) -> None:
    assert traced(PAIR["pair_id"])["versions"] == [
        {"version": V1, "state": "holds it", "split": "train", "models": ["model@v1.0.0"]},
        {"version": V3, "state": "holds it", "split": "validation", "models": []},
        {"version": "workspace", "state": "holds it", "split": "validation", "models": []},
    ]
    assert [one["version"] for one in traced(ODD["pair_id"])["versions"]] == [V1, V2, V3, "workspace"]
    lines = said("trace", PAIR["pair_id"])
    assert [line for line in lines if V1 in line] == [f"  in {V1}: train, models model@v1.0.0"]
    assert not [line for line in lines if V2 in line]


def test_a_single_answer_and_a_prompt_are_traced_too(here: Shelf) -> None:
    single = traced("e1")
    assert (single["column"], [one["feedback_id"] for one in single["votes"]]) == ("example_id", ["v2"])
    assert [one["side"] for one in single["answers"]] == ["completion"]
    prompt = traced(stable_id("Why?"))
    assert (prompt["column"], prompt["id"]) == ("prompt_id", stable_id("Why?"))


def test_no_text_of_a_log_is_told(here: Shelf) -> None:
    lines = "\n".join(said("trace", PAIR["pair_id"])) + json.dumps(traced(PAIR["pair_id"]))
    assert not [text for text in ("How?", "So.", "No.", "a@b.org") if text in lines]


def test_an_id_of_nothing_or_of_several_is_one_line(here: Shelf) -> None:
    (line,) = said("trace", "nothing", fails=True)
    assert line.startswith("error: id 'nothing': found no such row; expected an id of pairs, unpaired, prompts; copy it")
    (line,) = said("trace", "", fails=True)
    assert line == "error: ID: found nothing; expected the id of a row; copy it from the release"
    (line,) = said("trace", SHARED, fails=True)
    assert line == f"error: id {SHARED!r}: found 2 rows of data/10_pair/pairs that begin so; expected one; give more of the id"


def test_a_version_whose_bytes_are_nowhere_is_named_and_the_others_are_told(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(shelf.root, tmp_path / "own", symlinks=True)
    monkeypatch.chdir(tmp_path / "own")
    own = Shelf(tmp_path / "own")
    shutil.rmtree(own.cache)
    assert traced(PAIR["pair_id"])["versions"] == [
        *({"version": tag, "state": "bytes away"} for tag in (V1, V2, V3)),
        {"version": "workspace", "state": "holds it", "split": "validation", "models": []},
    ]
    assert f"  {V1}: its bytes are neither in the cache nor in a remote" in said("trace", PAIR["pair_id"])
