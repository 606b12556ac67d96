"""Claims about the plumbing: accounting, parameters, ids, and writes that are whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import daft
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core import engine, ids, params, pipeline
from tasks.core.engine import Ids
from tasks.core.errors import UserError
from tasks.core.ledger import AccountError, declare, ids_of, reconcile
from tasks.core.shell import atomic_output
from tasks.core.table_io import write_tables
from tasks.core.tables import TABLES, Prompts, Turns
from tests.conftest import ROOT

declare("toy", {"prompts": ["empty"]})
TOY = """
import daft
from daft.functions import when
from tasks.core.ledger import declare
from tasks.core.params import StageParams
WRITES = ("prompts",)
declare("toy", {"prompts": ["unwanted"]})
class Params(StageParams):
    drop: str
def run(tables, params):
    rows = tables["prompts"]
    unwanted = daft.col("language") == params.drop
    gone = when(unwanted, daft.lit("unwanted")).otherwise(daft.lit(None).cast(daft.DataType.string()))
    return {"prompts": rows.with_column("dropped", gone)}
"""
PATH = """
stages:
  toy:
    desc: Drop a language
    cmd: python -m toys toy
    deps: [data/in/prompts]
    params: [toy]
    outs: [data/out: {persist: true}]
"""


def prompts(count: int) -> pa.Table:
    """Rows of the smallest table."""
    rows = [
        {
            "prompt_id": f"{at:03d}",
            "prompt": [{"role": "user", "content": "x" * 50}],
            "language": "en" if at % 2 else "de",
            "topic": "",
            "source": "jsonl",
            "split": "train",
            "origins": [],
        }
        for at in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=Prompts.schema())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one stage, `toy`, with ten rows to work on."""
    (tmp_path / "dvc.yaml").write_text(PATH, encoding="utf-8")
    (tmp_path / "params.yaml").write_text("toy: {drop: de}\n", encoding="utf-8")
    (tmp_path / "toys").mkdir()
    (tmp_path / "toys" / "__init__.py").touch()
    (tmp_path / "toys" / "toy.py").write_text(TOY, encoding="utf-8")
    (tmp_path / "toys" / "__main__.py").write_text(
        "import sys\nfrom tasks.core import shell, table_io\nshell.leave(shell.main('toys', sys.argv[1:], table_io.run))\n",
        encoding="utf-8",
    )
    engine.write_sorted(prompts(10), Prompts.KEY, tmp_path / "data" / "in" / "prompts", 4)
    return tmp_path


def run(project: Path, *prefix: str, stage: str = "toy") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": f"{project}:{ROOT}"}
    return subprocess.run(
        [*prefix, sys.executable, "-m", "toys", stage], cwd=project, env=environment, capture_output=True, text=True, check=False
    )


def test_a_stage_splits_kept_from_dropped_and_writes_the_ledger(project: Path) -> None:
    done = run(project)
    assert done.returncode == 0, done.stderr
    assert "toy: prompts: 10 in = 5 kept + 5 dropped (unwanted 5)" in done.stdout
    dropped = pq.read_table(project / "data/out/dropped/prompts")
    assert set(dropped["dropped"].to_pylist()) == {"unwanted"}
    assert '"kept": 5' in (project / "data/out/ledger.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("toy: {drop: 3}", "params.yaml: toy.drop: found 3; expected Input should be a valid string"),
        ("toy: {drop: de, dorp: x}", "params.yaml: toy.dorp: found an unknown key; expected one of drop"),
        ("toy: {dorp: x}", "params.yaml: toy.dorp: found an unknown key; expected one of drop; write `toy.drop`, or delete the key"),
        ("toy: {drop: de, cat: x}", "params.yaml: toy.cat: found an unknown key; expected one of drop; correct or delete the key"),
        ("toys: {drop: de}", "found no section `toy`; expected one of toys; rename `toys:` to `toy:`"),
        ("toy: {}", "params.yaml: toy.drop: found nothing"),
        ("other: {}", "no section `toy`"),
        ("toy: {drop: [", "params.yaml line 2: found text that is not YAML"),
    ],
)
def test_wrong_parameters_give_one_line_and_leave_the_output(project: Path, change: str, message: str) -> None:
    assert run(project).returncode == 0
    before = (project / "data/out/ledger.json").read_bytes()
    (project / "params.yaml").write_text(change + "\n", encoding="utf-8")
    done = run(project)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert (project / "data/out/ledger.json").read_bytes() == before


def test_missing_input_and_unknown_stage_give_one_line(project: Path) -> None:
    (project / "data/in/prompts").rename(project / "data/in/moved")
    done = run(project)
    assert done.returncode == 1
    assert done.stderr.startswith("error: data/in/prompts: found nothing there; expected the input of stage toy")
    done = run(project, stage="tyo")
    assert done.returncode == 1
    assert "found tyo; expected one of toy" in done.stderr


def test_a_full_disk_in_mid_write_leaves_the_earlier_output(project: Path) -> None:
    assert run(project).returncode == 0
    before = {path: path.read_bytes() for path in (project / "data/out").rglob("*") if path.is_file()}
    (project / "params.yaml").write_text("toy: {drop: fr}\n", encoding="utf-8")
    done = run(project, "prlimit", "--fsize=600")  # a write past 600 bytes fails as on a full disk
    assert done.returncode == 1, done.stdout
    assert "no room" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert {path: path.read_bytes() for path in (project / "data/out").rglob("*") if path.is_file()} == before
    assert [path.name for path in (project / "data").iterdir() if path.suffix in (".new", ".old")] == []


def test_whole_recovers_an_output_that_a_kill_left_between_two_renames(tmp_path: Path) -> None:
    output = tmp_path / "out"
    (tmp_path / ".out.old").mkdir()
    (tmp_path / ".out.old" / "kept").touch()
    with pytest.raises(KeyError), atomic_output(output):
        raise KeyError
    assert (output / "kept").exists()


def test_whole_replaces_the_output_only_at_the_end(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with atomic_output(output) as folder:
        (folder / "first").touch()
        assert not output.exists()
    with atomic_output(output) as folder:
        (folder / "second").touch()
        assert (output / "first").exists()
    assert [path.name for path in output.iterdir()] == ["second"]


def came(count: int) -> Ids:
    """The ids of the first so many prompts."""
    return ids_of("prompts", prompts(count))


def test_lost_rows_are_refused() -> None:
    with pytest.raises(AccountError, match=r"5 rows in \+ 0 made, but 4 kept \+ 0 dropped \(1 neither kept nor dropped, 0 from nowhere"):
        reconcile("toy", "prompts", prompts(4), came(5))


def test_rows_from_nowhere_are_refused_unless_they_say_that_they_were_made() -> None:
    with pytest.raises(AccountError, match=r"4 rows in \+ 0 made, but 5 kept \+ 0 dropped \(0 neither kept nor dropped, 1 from nowhere"):
        reconcile("toy", "prompts", prompts(5), came(4))
    made = prompts(5).append_column("made", pa.array([False, False, False, None, True]))
    assert reconcile("toy", "prompts", made, came(4)).made == 1


@pytest.mark.parametrize("dropped", [False, True])
def test_a_lost_row_does_not_hide_behind_one_from_nowhere(dropped: bool) -> None:
    """Their number alone is right."""
    reasons = pa.array([None, None, None, "empty" if dropped else None], pa.large_string())
    rows = prompts(5).slice(1).append_column("dropped", reasons)
    with pytest.raises(AccountError, match="1 neither kept nor dropped, 1 from nowhere"):
        reconcile("toy", "prompts", rows, came(4))


def test_a_row_that_is_kept_and_dropped_at_once_does_not_hide_a_lost_one() -> None:
    rows = prompts(4).take(pa.array([0, 1, 2, 2])).append_column("dropped", pa.array([None, None, None, "empty"], pa.large_string()))
    with pytest.raises(AccountError, match="1 neither kept nor dropped, 0 from nowhere, 1 kept and dropped at once"):
        reconcile("toy", "prompts", rows, came(4))


@pytest.mark.parametrize("at", [[0, 1, 1], [0, 1, 2, 2]], ids=["of a row that went in", "of another row that was made"])
def test_a_made_row_has_an_id_of_its_own(at: list[int]) -> None:
    rows = prompts(3).take(pa.array(at)).append_column("made", pa.array([place >= 2 for place in range(len(at))]))
    with pytest.raises(AccountError, match="has the id of another row"):
        reconcile("toy", "prompts", rows, came(2))


def test_turns_are_known_again_under_new_ids_by_their_place_in_the_raw_log() -> None:
    """Stage `dedupe` moves turns to other conversations."""
    rows = [dict.fromkeys(Turns.names()) | {"turn_id": "a", "origin": {"file": "f", "record": at, "position": 0}} for at in range(2)]
    given = pa.Table.from_pylist(rows, schema=Turns.schema())
    moved = pa.Table.from_pylist([row | {"turn_id": "b", "conversation_id": "c"} for row in rows], schema=Turns.schema())
    assert reconcile("toy", "turns", moved, ids_of("turns", given)).kept_rows == 2
    with pytest.raises(AccountError, match="1 from nowhere"):
        reconcile("toy", "turns", moved, ids_of("turns", given.take(pa.array([0, 0]))))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), max_size=8), st.integers(0, 5), st.integers(1, 9))
def test_a_result_balances_if_and_only_if_each_row_that_went_in_comes_out_once_and_made_rows_are_new(
    out: list[tuple[int, bool, bool]], count: int, size: int
) -> None:
    """Any result of rows (which one, dropped, made), in pieces of any size, against a count of ids in plain Python."""
    rows = prompts(6).take(pa.array([at for at, _, _ in out], pa.int64()))
    rows = rows.append_column("dropped", pa.array(["empty" if gone else None for _, gone, _ in out], pa.large_string()))
    rows = rows.append_column("made", pa.array([made for _, _, made in out], pa.bool_()))
    stayed, new = ([at for at, _, made in out if made is wanted] for wanted in (False, True))
    balanced = sorted(stayed) == list(range(count)) and len({*new, *range(count)}) == len(new) + count
    pieces = [rows.slice(start, size) for start in range(0, max(len(rows), 1), size)]
    if balanced:
        account = reconcile("toy", "prompts", pieces, came(count))
        assert (account.rows_in, account.made, account.kept_rows) == (count, len(new), sum(not gone for _, gone, _ in out))
    else:
        with pytest.raises(AccountError):
            reconcile("toy", "prompts", pieces, came(count))


def test_a_row_that_a_stage_makes_up_stops_it_before_its_output_is_there(tmp_path: Path) -> None:
    """Whatever the stage: the shell knows the rows again by what lies on disk."""
    engine.write_sorted(prompts(3), Prompts.KEY, tmp_path / "in" / "prompts", 2)
    sources, result = {"prompts": tmp_path / "in" / "prompts"}, {"prompts": daft.from_arrow(prompts(4).slice(1))}
    with pytest.raises(AccountError, match="1 neither kept nor dropped, 1 from nowhere"):
        write_tables("toy", ["prompts"], result, sources, tmp_path)
    assert not (tmp_path / "prompts").exists()
    (account,) = write_tables("toy", ["prompts"], {"prompts": daft.from_arrow(prompts(3))}, sources, tmp_path)
    assert (account.rows_in, account.kept_rows) == (3, 3)


@pytest.mark.parametrize("known", [{}, {"prompts": {"empty": "it is empty"}}, {"pairs": {"too_long": "it is too long"}}])
def test_a_reason_that_the_vocabulary_has_not_for_this_table_is_refused(known: Mapping[str, Mapping[str, str]]) -> None:
    declare("other", known)
    rows = prompts(1).append_column("dropped", pa.array(["too_long"], pa.large_string()))
    with pytest.raises(AccountError, match=r"other: prompts: found the reason 'too_long'; expected .*; add it, with its meaning"):
        reconcile("other", "prompts", rows, came(1))


def test_made_rows_are_counted() -> None:
    rows = prompts(4).append_column("made", pa.array([None, False, True, True]))
    account = reconcile("toy", "prompts", rows, came(2))
    assert (account.rows_in, account.made, len(account.kept)) == (2, 2, 4)


def test_rows_that_are_only_counted_are_accounted_for_all_the_same() -> None:
    rows = prompts(3).append_column("dropped", pa.array([None, "empty", None], pa.large_string()))
    whole, counted = reconcile("toy", "prompts", rows, came(3)), reconcile("toy", "prompts", rows, came(3), keep=False)
    assert counted.entry() == whole.entry() == {"in": 3, "made": 0, "kept": 2, "dropped": 1, "reasons": {"empty": 1}}
    assert (len(counted.kept), len(whole.kept)) == (0, 2)
    with pytest.raises(AccountError, match="3 rows in"):
        reconcile("toy", "prompts", rows.slice(1), came(3), keep=False)


@given(st.permutations(list(range(9))), st.integers(1, 10))
def test_written_bytes_do_not_depend_on_row_order(tmp_path_factory: pytest.TempPathFactory, order: list[int], shard: int) -> None:
    folder = tmp_path_factory.mktemp("tables")
    engine.write_sorted(prompts(9), Prompts.KEY, folder / "a", shard)
    engine.write_sorted(prompts(9).take(pa.array(order)), Prompts.KEY, folder / "b", shard)
    assert [p.read_bytes() for p in sorted((folder / "a").iterdir())] == [p.read_bytes() for p in sorted((folder / "b").iterdir())]


def test_every_table_survives_parquet_and_daft(tmp_path: Path) -> None:
    for name, table in TABLES.items():
        empty = table.schema().empty_table()
        engine.write_sorted(empty, table.KEY, tmp_path / name, 10)
        back = engine.to_arrow(engine.read_table(tmp_path / name), table.schema())
        assert back.schema == table.schema()
        assert set(table.KEY) <= set(table.names())


@given(st.lists(st.text(), min_size=1, max_size=4), st.lists(st.text(), min_size=1, max_size=4))
def test_ids_differ_where_parts_differ(one: list[str], other: list[str]) -> None:
    assert (ids.stable_id(*one) == ids.stable_id(*other)) == (one == other)


def test_person_ids_depend_on_the_salt() -> None:
    assert ids.person_id("someone", "pepper") != ids.person_id("someone", "secret")
    assert "someone" not in ids.person_id("someone", "pepper")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PAIRWRIGHT_RUNNER", "spark"), ("PAIRWRIGHT_RUNNER", "ray"), ("PAIRWRIGHT_WORKERS", "none"), ("PAIRWRIGHT_WORKERS", "0")],
)
def test_wrong_environment_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=variable):
        engine.start()


def test_engine_may_be_started_twice_in_one_process() -> None:
    code = "from tasks.core import engine; engine.start(); engine.start(); print(engine.daft.from_pydict({'a': [1]}).to_pydict())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[0] == "{'a': [1]}", done.stderr


def test_unknown_stage_lists_the_known() -> None:
    with pytest.raises(UserError, match=r"one of .*clean"):
        pipeline.stage("claen", ROOT)


def test_telemetry_is_off_before_any_library_is_imported() -> None:
    code = "import tasks.core.engine, os; print(os.environ['DO_NOT_TRACK'], os.environ['DAFT_ANALYTICS_ENABLED'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0"]


def test_daft_frames_keep_their_rows_through_arrow() -> None:
    frame = daft.from_arrow(prompts(3))
    assert engine.to_arrow(frame, Prompts.schema()).equals(prompts(3))
    assert params.StageParams.model_config["extra"] == "forbid"


@pytest.mark.parametrize("package", ["tasks", "trainer"])
def test_a_stage_that_has_done_its_work_is_not_ended_by_a_fault_of_taking_python_down(tmp_path: Path, package: str) -> None:
    (tmp_path / "sitecustomize.py").write_text("import atexit, os, signal\natexit.register(lambda: os.kill(os.getpid(), signal.SIGSEGV))\n")
    variables = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", package, "no such stage"], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: python -m {package}: found no such stage")


class Inner(params.StageParams):
    """A section in a section."""

    max_length: int
    threshold: float


class Outer(params.StageParams):
    """A section."""

    seed: int
    inner: Inner


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{seed: 1, inner: {max_lenght: 3, threshold: 1.0}}",
            r"s.inner.max_lenght: .*; write `s.inner.max_length`, or",
        ),
        (
            "{seed: 1, treshold: 1.0, inner: {max_length: 3, threshold: 1.0}}",
            r"s.treshold: .*; write `s.inner.threshold`",
        ),
        ("{seed: 1, sed: 2, inner: {max_length: 3, threshold: 1.0}}", r"s.sed: .*; write `s.seed`"),
        ("{seed: 1, whatever: 2, inner: {max_length: 3, threshold: 1.0}}", "expected one of inner, seed; correct or delete the key"),
    ],
)
def test_an_unknown_parameter_is_answered_with_the_nearest_right_one(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"s: {text}\n", encoding="utf-8")
    with pytest.raises(UserError, match=message):
        params.load(path, "s", Outer)
