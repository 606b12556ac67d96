"""Claims about the library: it is the stages' own code, takes rows of any kind, and says why what is gone is gone."""

from __future__ import annotations

import doctest
import functools
import importlib
import itertools
import json
import math
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import crowdkit.aggregation as crowdkit
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import pairwright
from pairwright import UserError
from tasks.aggregate import dawid_skene
from tasks.core import engine
from tasks.core.tables import TABLES
from tasks.dedupe import stage as dedupe
from tasks.release import files as layout
from tests.builders import simulated
from tests.builders.projects import digests, make_project
from tests.builders.simulated import Crowd
from tests.conftest import ROOT

MODULES = ["pairwright", *(f"pairwright.{found.name}" for found in pkgutil.iter_modules(pairwright.__path__) if not found.ispkg)]
PATH = ("ingest", "clean", "dedupe", "validate", "aggregate", "split", "pair")
RUN = "import sys; from tasks.core import shell, table_io; [shell.run_stage(name, table_io.run) for name in sys.argv[1:]]"
KINDS: dict[str, Callable[[pa.Table], Any]] = {"list": pa.Table.to_pylist, "pandas": pa.Table.to_pandas, "arrow": lambda rows: rows}
STEPS: dict[str, Callable[..., Any]] = {
    "clean": pairwright.clean,
    "deduplicate": pairwright.deduplicate,
    "split": pairwright.split,
    "build_pairs": pairwright.build_pairs,
}


def message(role: str, text: str, **more: object) -> dict[str, Any]:
    return {"role": role, "content": text, **more}


def chat(name: str, question: str, answer: str, **more: object) -> dict[str, Any]:
    return {"id": name, "messages": [message("user", question), message("assistant", answer)], **more}


def battle(question: str, better: str, worse: str, who: str = "ann") -> dict[str, Any]:
    sides = {
        f"conversation_{side}": [message("user", question), message("assistant", text)]
        for side, text in zip("ab", (better, worse), strict=True)
    }
    return {"question_id": question, "model_a": "m1", "model_b": "m2", "winner": "model_a", "judge": who, **sides}


def sample_lines(name: str, count: int) -> bytes:
    return b"".join((ROOT / "data" / "raw" / "sample" / name).read_bytes().splitlines(keepends=True)[:count])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace over some real logs in which the stages ran, `pair` right after `split`, as the library does it."""
    root = make_project(tmp_path_factory.mktemp("library") / "project")
    raw = root / "data" / "raw"
    raw.mkdir()
    for name, count in (("battles.jsonl", 60), ("desk.jsonl", 250)):
        (raw / name).write_bytes(sample_lines(name, count))
    path = yaml.safe_load((root / "dvc.yaml").read_text())
    deps = path["stages"]["pair"]["deps"]
    path["stages"]["pair"]["deps"] = [dep.replace("09_rebalance", "06_split") for dep in deps]
    (root / "dvc.yaml").write_text(yaml.safe_dump(path, sort_keys=False))
    done = subprocess.run([sys.executable, "-c", RUN, *PATH], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def built(project: Path) -> pairwright.Pairs:
    return pairwright.pairs(project / "data" / "raw")


# --- the stages' own code --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_table_has_the_bytes_that_the_stages_write(project: Path, built: pairwright.Pairs, tmp_path: Path) -> None:
    outputs = {path.name[3:]: path for path in (project / "data").glob("[0-9]*")}
    for step in built.steps:
        for folder, tables in (("", step.kept), ("dropped", step.dropped)):
            for name, rows in tables.items():
                engine.write_sorted(rows, TABLES[name].KEY, tmp_path / step.stage / folder / name, 250_000)
        assert digests(tmp_path / step.stage) == digests(outputs[step.stage]), step.stage
    assert [step.stage for step in built.steps] == list(PATH)
    assert built.pairs.num_rows > 30, "or nothing is shown"


def test_the_ledgers_are_those_of_the_stages(project: Path, built: pairwright.Pairs) -> None:
    for step, folder in zip(built.steps, sorted((project / "data").glob("[0-9]*")), strict=True):
        assert json.loads((folder / "ledger.json").read_text()) == step.counts


def test_the_library_leaves_nothing_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PAIRWRIGHT_SALT")
    pairwright.pairs([chat("a", "Who is there?", "Nobody.", user_id="ann")])
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_parameters_are_those_of_the_project() -> None:
    shipped = Path(pairwright.__file__).with_name("workspace") / "params.yaml"
    assert shipped.read_bytes() == (ROOT / "params.yaml").read_bytes()


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_are_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0
    assert found.attempted or name.rsplit(".", 1)[-1] in ("_defaults", "_tables")


def test_every_function_says_what_goes_in_and_out() -> None:
    for name in pairwright.__all__:
        if not name[0].isupper():
            doc = getattr(pairwright, name).__doc__
            assert all(f"{part}\n    {'-' * len(part)}" in doc for part in ("Parameters", "Returns", "Raises", "Examples")), name


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_tutorial_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = ROOT / "docs" / "tutorial" / "from-python.md"
    blocks = "\n".join(re.findall(r"```pycon\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    said = doctest.DocTestRunner(verbose=False).run(doctest.DocTestParser().get_doctest(blocks, {}, page.name, str(page), 0))
    assert said.attempted > 20
    assert said.failed == 0


# --- rows of any kind ------------------------------------------------------------------------------------------------


LOG = [
    chat("c1", "Which river flows through Vienna?", "The Danube flows through Vienna.", user_id="ann"),
    chat("c2", "Which river flows through Vienna?", "I think it is the Rhine.", user_id="bob"),
    chat("c3", "Which river flows through Vienna?", "I think it is the Rhine.", user_id="cat"),
    {"conversation_id": "c1", "message_index": 1, "kind": "thumb", "value": 1, "user_id": "ann"},
    {"conversation_id": "c2", "message_index": 1, "kind": "thumb", "value": -1, "user_id": "bob"},
    battle("Name a noble gas.", "Neon is a noble gas.", "Iron is a noble gas."),
]


@pytest.mark.parametrize("kind", KINDS)
def test_logs_are_read_from_rows_of_any_kind(kind: str) -> None:
    told = [
        {"id": f"c{at}", "messages": [message("user", f"Who is number {at}?"), message("assistant", "Me.")], "user_id": "u"}
        for at in range(3)
    ]
    del told[1]["user_id"]
    read = pairwright.read_logs(KINDS[kind](pa.Table.from_pylist(told)))
    same = [name for name in read.turns.column_names if (name, kind) != ("origin", "list")]  # a list says null where a table lacks a value
    assert read.turns.select(same).equals(pairwright.read_logs(told).turns.select(same))


def test_logs_are_read_from_files_and_folders_alike(tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in LOG))
    read = [pairwright.read_logs(source) for source in (file, str(tmp_path), [file])]
    assert all(logs.turns.equals(read[0].turns) and logs.feedback.equals(read[0].feedback) for logs in read)
    assert read[0].files["name"].to_pylist() == ["chats.jsonl"]


def test_records_in_memory_are_what_the_same_lines_in_a_file_are(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text("".join(json.dumps(record, separators=(",", ":")) + "\n" for record in LOG))
    assert pairwright.read_logs(LOG).turns.equals(pairwright.read_logs(tmp_path).turns)


@functools.cache
def whole(step: str) -> Any:
    """What a step makes of LOG."""
    return STEPS[step](pairwright.read_logs(LOG))


@pytest.mark.parametrize("step", ["clean", "deduplicate", "split"])
@pytest.mark.parametrize("kind", KINDS)
def test_turns_of_any_kind_give_the_same(kind: str, step: str) -> None:
    logs = pairwright.read_logs(LOG)
    apart = STEPS[step](KINDS[kind](logs.turns), KINDS[kind](logs.feedback))
    for one, other in zip(whole(step).steps, apart.steps, strict=True):
        assert all(rows.equals(one.kept[name]) for name, rows in other.kept.items())
        assert {name: len(rows) for name, rows in one.dropped.items()} == {name: len(rows) for name, rows in other.dropped.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_candidates_of_any_kind_give_the_same(kind: str) -> None:
    parts = whole("split")
    assert pairwright.build_pairs(KINDS[kind](parts.candidates)).pairs.equals(pairwright.build_pairs(parts).pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_votes_of_any_kind_give_the_same(kind: str) -> None:
    votes = pa.Table.from_pylist([{"item": str(at % 4), "annotator": f"p{at % 3}", "label": at % 2} for at in range(12)])
    assert np.array_equal(pairwright.confidence(KINDS[kind](votes)).matrix, pairwright.confidence(votes).matrix)


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_of_any_kind_give_the_same_certificate(kind: str) -> None:
    pairs = pa.Table.from_pylist([{"prompt": "Who?", "chosen": "I.", "rejected": "You.", "split": split} for split in ("train", "test")])
    assert pairwright.certify(KINDS[kind](pairs)).crossing.equals(pairwright.certify(pairs).crossing)


@pytest.mark.parametrize("empty", [[], pa.table({}), pd.DataFrame()], ids=["list", "arrow", "pandas"])
def test_nothing_gives_nothing(empty: Any) -> None:
    result = pairwright.pairs(empty)
    assert {name: len(rows) for name, rows in result.steps[-1].kept.items()} == dict.fromkeys(
        ("pairs", "unpaired", "prompts", "votes", "calibration"), 0
    )
    assert len(result.dropped) == 0
    assert len(pairwright.confidence(empty).matrix) == 0
    assert pairwright.certify(empty).holds


# --- a user's mistake is one line that says what to do ---------------------------------------------------------------


NUMBER: Any = 7
MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "no such file": (lambda: pairwright.read_logs("nowhere.jsonl"), "nowhere.jsonl: found no such file; expected a file or a folder"),
    "no logs": (lambda: pairwright.read_logs([{"colour": "red"}]), "expected logs in one of the formats"),
    "one dict": (lambda: pairwright.read_logs({"id": "a"}), "found a dict; expected a list of dicts"),
    "a number": (lambda: pairwright.clean(NUMBER), "found a int; expected a list of dicts"),
    "no JSON": (lambda: pairwright.read_logs([{"id": 1j}]), "read_logs: record 0: found"),
    "unknown parameter": (
        lambda: pairwright.deduplicate(LOG, treshold=0.9),
        "parameters: dedupe.treshold: found an unknown key; expected one of",
    ),
    "unknown stage": (lambda: pairwright.clean(LOG, params={"cleaning": {}}), "params: cleaning: found no such stage; expected one of"),
    "flat parameters": (lambda: pairwright.clean(LOG, params={"clean": 3}), "params: clean: found a int; expected a mapping"),
    "value out of bounds": (lambda: pairwright.deduplicate(LOG).rethreshold(1.5), "parameters: dedupe.threshold: found 1.5"),
    "unknown format": (lambda: pairwright.read_logs(LOG, formats={"*": "chatgtp"}), "found 'chatgtp'; expected one of"),
    "missing column": (
        lambda: pairwright.clean(pairwright.read_logs(LOG).turns.drop_columns(["model"]), []),
        "clean: turns: found no column model",
    ),
    "odd column": (
        lambda: pairwright.clean(pairwright.read_logs(LOG).turns, [{"colour": 1}]),
        "clean: feedback: found no column feedback_id",
    ),
    "a later result": (lambda: pairwright.clean(whole("split")), "clean: found the result of a later step (Split)"),
    "no such pair": (lambda: pairwright.build_pairs(whole("split")).explain("x"), "explain: x: found no pair of that id"),
    "no such copy": (lambda: pairwright.deduplicate(LOG).explain("x"), "explain: x: found no copy of that id"),
    "no such split": (
        lambda: pairwright.build_pairs(whole("split")).for_trainers("dev"),
        "for_trainers: found 'dev'; expected one of test",
    ),
    "no votes": (lambda: pairwright.confidence([{"item": 1, "label": 2}]), "expected a column annotator"),
    "a vote without a label": (
        lambda: pairwright.confidence([{"item": 1, "annotator": 2, "label": None}]),
        "column label: found a vote without",
    ),
    "sides that nobody chose": (
        lambda: pairwright.confidence([{"item": 1, "annotator": 2, "label": label} for label in "a"], sides="xy"),
        "confidence: sides: found ['x', 'y']",
    ),
    "a pair without a split": (
        lambda: pairwright.certify([{"prompt": "a", "chosen": "b", "rejected": "c"}]),
        "certify: row 0: found no split",
    ),
    "a pair without a prompt": (
        lambda: pairwright.certify([{"chosen": "b", "rejected": "c", "split": "test"}]),
        "certify: row 0: found no_prompt",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    work, line = MISTAKES[name]
    with pytest.raises(UserError) as caught:
        work()
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_broken_rows_stop_and_say_where_the_bound_is() -> None:
    with pytest.raises(UserError, match=r"split: turns: rule .* params=\{'validate': \{'turns': \.\.\.\}\}"):
        pairwright.split(LOG, params={"validate": {"turns": {"min_rows": 1000}}})


# --- what is dropped, and why ----------------------------------------------------------------------------------------


def test_every_dropped_row_has_its_reason() -> None:
    log = [*LOG, chat("broken", "Are you there?", ""), {"conversation_id": "broken", "message_index": 1, "kind": "thumb", "value": 1}]
    result = pairwright.pairs(log)
    told = {(row["stage"], row["table"], row["id"]): row["reason"] for row in result.dropped.to_pylist()}
    assert told["clean", "turns", "jsonl:broken/0001"] == "empty"
    assert told["dedupe", "turns", "jsonl:c3/0001"] == "exact_copy"
    assert "turn_dropped" in [reason for (stage, _, _), reason in told.items() if stage == "clean"]
    counts = [entry for step in result.steps for name, entry in step.counts.items() if name != "records"]
    assert len(result.dropped) == sum(int(str(entry["dropped"])) for entry in counts)
    assert "exact_copy 2" in repr(result)


def test_explain_says_whose_copy_a_conversation_is() -> None:
    unique = pairwright.deduplicate(LOG)
    assert unique.explain("jsonl:c3") == pairwright.Copy("jsonl:c3", "jsonl:c2", 1.0, "exact_copy")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_explain_names_the_votes_behind_every_pair(built: pairwright.Pairs) -> None:
    for row in built.pairs.to_pylist():
        told = built.explain(row["pair_id"])
        assert [vote.feedback_id for vote in told.votes] == row["votes"]
        assert (told.dropped, told.confidence) == (None, row["confidence"])
        if row["recipe"] not in ("rating_margin", "ranking", "thumb_contrast"):
            said = [vote.says for vote in told.votes]
            assert [said.count(says) for says in ("for", "against", "tied")] == [row["votes_for"], row["votes_against"], row["votes_tied"]]


def test_weights_add_up_to_the_log_odds_of_the_pair() -> None:
    log = [
        {**battle("Name a noble gas.", "Neon is one.", "Iron is one.", who), "winner": winner}
        for who, winner in zip("abcd", ["model_a"] * 3 + ["model_b"], strict=True)
    ]
    result = pairwright.build_pairs(log)
    [pair] = result.pairs.to_pylist()
    sign = {"for": 1, "against": -1, "tied": 0}
    odds = sum(sign[vote.says or ""] * (vote.weight or 0) for vote in result.explain(pair["pair_id"]).votes)
    assert [vote.says for vote in result.explain(pair["pair_id"]).votes].count("against") == 1
    assert pair["confidence"] == pytest.approx(1 / (1 + math.exp(-odds)), abs=1e-6)


def test_a_vote_for_neither_is_told_as_tied() -> None:
    winners = {"a": "model_a", "b": "model_a", "c": "tie"}
    result = pairwright.build_pairs(
        [{**battle("Name a noble gas.", "Neon is one.", "Iron is one.", who), "winner": winners[who]} for who in winners]
    )
    [pair] = result.pairs.to_pylist()
    assert sorted(vote.says or "" for vote in result.explain(pair["pair_id"]).votes) == ["for", "for", "tied"]
    assert (pair["votes_for"], pair["votes_tied"]) == (2, 1)


def test_explain_knows_what_was_proposed_and_dropped_too() -> None:
    result = pairwright.build_pairs([battle("Name a noble gas.", "Neon is one.", "Iron is one.")], confidence={"min": 0.9})
    [row] = result.dropped_rows("pairs").to_pylist()
    told = result.explain(row["pair_id"])
    assert told.dropped == "low_confidence"
    assert str(told).splitlines()[1].startswith("  for     choice 1, reliability 0.75, weight 1.10, by ")


def test_trainers_get_the_pairs_of_a_split_as_the_release_has_them() -> None:
    result = pairwright.build_pairs(whole("split"))
    split = result.pairs["split"][0].as_py()
    rows = result.for_trainers(split)
    assert rows["pair_id"].to_pylist() == [row["pair_id"] for row in result.pairs.to_pylist() if row["split"] == split]
    files = layout.files({name: result.steps[-1].kept[name] for name in ("pairs", "unpaired", "prompts")})
    released = pq.read_table(pa.BufferReader(files[f"preference/{split}-00000.parquet"]))
    hidden = released.column_names.index("conversations")  # a release has digests in the place of their ids
    assert rows.remove_column(hidden).equals(released.remove_column(hidden))


# --- other thresholds ------------------------------------------------------------------------------------------------


def test_rethreshold_of_copies_is_a_fresh_run_with_that_threshold() -> None:
    long = "The Danube flows through Vienna, then on to Bratislava, Budapest and Belgrade, and at last into the Black Sea near Sulina"
    log = [
        chat("a", "Which river flows through Vienna?", f"{long}."),
        chat("b", "Which river flows through Vienna?", f"{long} in the far east of Romania."),
    ]
    strict, loose = pairwright.deduplicate(log), pairwright.deduplicate(log, threshold=0.6)
    assert (len(strict.copies), len(loose.copies)) == (0, 1)
    again = strict.rethreshold(0.6)
    assert again.turns.equals(loose.turns)
    assert again.copies.equals(loose.copies)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_rethreshold_of_pairs_is_a_fresh_run_with_that_confidence(built: pairwright.Pairs) -> None:
    assert built.parts
    level = float(np.median(built.pairs["confidence"].to_numpy()))
    again, fresh = built.rethreshold(level), pairwright.build_pairs(built.parts, confidence={"min": level})
    assert again.pairs.equals(fresh.pairs)
    assert again.dropped.equals(fresh.dropped)
    assert 0 < len(again.pairs) < len(built.pairs)


def test_parameters_come_by_keyword_or_by_stage_and_keywords_win() -> None:
    by_name = pairwright.deduplicate(LOG, threshold=0.5)
    by_stage = pairwright.deduplicate(LOG, params={"dedupe": {"threshold": 0.5}})
    assert by_name == by_stage
    assert pairwright.deduplicate(LOG, params={"dedupe": {"threshold": 7.0}}, threshold=0.5) == by_name
    assert by_name._params == dedupe.Params.model_validate({**pairwright.deduplicate(LOG)._params.model_dump(), "threshold": 0.5})  # type: ignore[union-attr]


def test_ids_of_people_hang_on_the_salt_alone() -> None:
    users = [set(pairwright.read_logs(LOG, salt=salt).turns["user_id"].to_pylist()) for salt in ("one", "one", "two")]
    assert users[0] == users[1]
    assert not (users[0] & users[2]) - {None}


# --- votes -----------------------------------------------------------------------------------------------------------


def ballots(crowd: Crowd) -> tuple[simulated.Ballots, pd.DataFrame]:
    told = simulated.ballots(crowd)
    rows = simulated.acts(told, "choice").to_pandas()
    first = rows[["better_id", "worse_id"]].min(axis=1)
    label = np.where(rows["grade"] > 0, np.where(rows["better_id"] == first, "first", "second"), "tie")
    return told, pd.DataFrame({"task": rows["prompt_id"], "worker": rows["annotator"], "label": label})


def test_sides_give_the_reliabilities_that_the_stage_gives() -> None:
    told, votes = ballots(Crowd())
    found = pairwright.confidence(votes, sides=("first", "second"))
    stage = dawid_skene.find(simulated.acts(told, "choice"), dawid_skene.Consensus.model_validate(_shipped()))
    theirs = dict(zip(stage.annotators["annotator"].to_pylist(), stage.annotators["reliability"].to_pylist(), strict=True))
    ours = dict(zip(found.annotators["annotator"].to_pylist(), found.annotators["reliability"].to_pylist(), strict=True))
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert found.estimated


def _shipped() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    return dict(document["aggregate"]["consensus"])


@pytest.mark.parametrize("labels", [2, 3, 5])
def test_with_many_votes_labels_are_those_of_crowd_kit(labels: int) -> None:
    draw = np.random.default_rng(labels)
    truth = draw.integers(labels, size=300)
    skill = draw.uniform(0.55, 0.95, 20)
    rows = [(at, who) for at in range(300) for who in draw.choice(20, 6, replace=False)]
    right = draw.uniform(size=len(rows)) < skill[[who for _, who in rows]]
    label = [
        int(truth[at]) if hit else int((truth[at] + draw.integers(1, labels)) % labels) for (at, _), hit in zip(rows, right, strict=True)
    ]
    votes = pd.DataFrame({"task": [f"{at:03d}" for at, _ in rows], "worker": [f"w{who:02d}" for _, who in rows], "label": label})
    found = pairwright.confidence(votes)
    theirs = crowdkit.DawidSkene(n_iter=100).fit_predict(votes)
    ours = dict(zip(found.probabilities["item"].to_pylist(), found.probabilities["label"].to_pylist(), strict=True))
    assert np.mean([ours[item] == said for item, said in theirs.items()]) >= 0.97
    assert (
        np.mean([ours[f"{at:03d}"] == truth[at] for at in range(300)])
        >= np.mean([theirs[f"{at:03d}"] == truth[at] for at in range(300)]) - 0.01
    )
    assert np.corrcoef(found.annotators["reliability"].to_numpy(), skill)[0, 1] > 0.8
    assert found.matrix.sum(axis=1) == pytest.approx(1)


def test_sides_are_named_as_the_votes_name_them() -> None:
    votes = [
        {"item": item, "annotator": who, "label": label}
        for item, label in {"p": "left", "q": "right", "r": "same"}.items()
        for who in "abc"
    ]
    found = pairwright.confidence(votes, sides=("left", "right"))
    assert found.labels == ("right", "same", "left")
    assert found.probabilities["label"].to_pylist() == ["left", "right", "same"]
    assert found.matrix.argmax(axis=1).tolist() == [2, 0, 1]


def test_whose_votes_nobody_shares_is_right_as_often_as_is_assumed() -> None:
    votes = [{"item": label, "annotator": label, "label": label} for label in "yn"]
    assert pairwright.confidence(votes).probabilities["confidence"].to_pylist() == pytest.approx([0.75, 0.75])
    assert pairwright.confidence(votes, accuracy=0.9).probabilities["confidence"].to_pylist() == pytest.approx([0.9, 0.9])
    assert not pairwright.confidence(votes).estimated


def test_the_last_vote_of_an_annotator_on_an_item_counts() -> None:
    votes = [{"item": "a", "annotator": "ann", "label": label} for label in "xyz"]
    found = pairwright.confidence(votes)
    assert [(said.annotator, said.label) for said in found.explain("a")] == [("ann", "z")]
    assert found.probabilities["votes"].to_pylist() == [1]


def test_a_single_vote_is_as_good_as_its_annotator() -> None:
    votes = [{"item": f"{at}", "annotator": who, "label": at % 2} for at in range(40) for who in ("good", "well")]
    votes += [{"item": f"{at}", "annotator": "coin", "label": at // 2 % 2} for at in range(40)]
    votes += [{"item": "alone 1", "annotator": "good", "label": 1}, {"item": "alone 2", "annotator": "coin", "label": 1}]
    found = pairwright.confidence(votes)
    sure = {row["item"]: row["confidence"] for row in found.probabilities.to_pylist()}
    assert sure["alone 1"] > 0.9 > 0.65 > sure["alone 2"] >= 0.5
    assert [said.annotator for said in found.explain("0")][-1] == "coin"


# --- certificates ----------------------------------------------------------------------------------------------------


def row(prompt: object, split: str, **more: object) -> dict[str, Any]:
    return {"prompt": prompt, "chosen": "One answer.", "rejected": "Another answer.", "split": split, **more}


CROSSES: dict[str, tuple[Sequence[dict[str, Any]], str]] = {
    "equal prompts": ([row("Who built the tower of Pisa?", "train"), row("Who built the tower of Pisa?", "test")], "prompts"),
    "near-equal prompts": (
        [
            row("Tell me who built the leaning tower of Pisa and when they did", "train"),
            row("Please tell me who built the leaning tower of Pisa and when they did!", "test"),
        ],
        "prompt_clusters",
    ),
    "messages": ([row("Why is the sky blue?", "train"), row([message("user", "Why is the sky blue?")], "test")], "prompts"),
    "people": ([row("Why is it raining?", "train", user="ann"), row("How tall are giraffes?", "test", user="ann")], "users"),
    "conversations": ([row("Why is it raining?", "train", conversation="c"), row("And now?", "test", conversation="c")], "conversations"),
    "long answers": (
        [row("Why is it raining?", "train", chosen="a" * 300), row("How tall are giraffes?", "test", chosen="a" * 300)],
        "answers",
    ),
    "openings": (
        [row("Hear me", "train"), row([message("user", "Hear me"), message("assistant", "Yes?"), message("user", "Sing")], "validation")],
        "first_user_turns",
    ),
}


@pytest.mark.parametrize("name", CROSSES)
def test_what_lies_in_two_splits_is_named_with_its_rows(name: str) -> None:
    rows, key = CROSSES[name]
    found = pairwright.certify([{**one, "pair_id": f"p{at}"} for at, one in enumerate(rows)])
    assert not found.holds
    assert key in found.crossing["key"].to_pylist()
    assert found.document["shared"][key] == 1
    assert [one["rows"] for one in found.crossing.to_pylist()] == [["p0", "p1"]] * len(found.crossing)


def test_other_prompts_of_other_people_cross_nothing() -> None:
    rows = [
        row("Why is it raining?", "train", user="ann"),
        row("How tall are giraffes?", "test", user="bob"),
        row("Why is it raining?", "train"),
    ]
    assert pairwright.certify(rows).holds


def test_a_text_that_many_write_may_lie_anywhere_and_is_counted() -> None:
    greeting = [
        row([message("user", "hi"), message("assistant", "Hello?"), message("user", f"Tell me of {at}")], split)
        for at, split in zip(range(30), itertools.cycle(["train", "test"]), strict=False)
    ]
    found = pairwright.certify(greeting)
    assert "first_user_turns" not in found.crossing["key"].to_pylist()
    assert found.document["boilerplate"]["first_user_turns"]["shared"] == 1
    assert "first_user_turns" in pairwright.certify(greeting, popular=30).crossing["key"].to_pylist()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_the_library_split_crosses_nothing(built: pairwright.Pairs) -> None:
    found = pairwright.certify(built)
    assert found.holds
    assert found.document["checked"]["prompts"] > 30
    assert repr(found) == "<Certificate: nothing in two splits>"
