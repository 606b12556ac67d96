"""Claims about the plumbing: accounting, parameters, ids, and writes that are whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import daft
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core import engine, ids, params, pipeline
from tasks.core.errors import UserError
from tasks.core.ledger import AccountError, settle
from tasks.core.shell import whole
from tasks.core.tables import TABLES, Prompts
from tests.conftest import ROOT

TOY = """
import daft
from daft.functions import when
from tasks.core.params import StageParams
WRITES = ("prompts",)
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
        "import sys\nfrom tasks.core.shell import main\nsys.exit(main('toys', sys.argv[1:]))\n", encoding="utf-8"
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
    with pytest.raises(KeyError), whole(output):
        raise KeyError
    assert (output / "kept").exists()


def test_whole_replaces_the_output_only_at_the_end(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with whole(output) as folder:
        (folder / "first").touch()
        assert not output.exists()
    with whole(output) as folder:
        (folder / "second").touch()
        assert (output / "first").exists()
    assert [path.name for path in output.iterdir()] == ["second"]


def test_lost_rows_are_refused() -> None:
    with pytest.raises(AccountError, match="5 rows in"):
        settle("toy", "prompts", prompts(4), 5)


def test_a_reason_of_several_words_is_refused() -> None:
    rows = prompts(1).append_column("dropped", pa.array(["too long"], pa.large_string()))
    with pytest.raises(AccountError, match="not one word"):
        settle("toy", "prompts", rows, 1)


def test_made_rows_are_counted() -> None:
    rows = prompts(4).append_column("made", pa.array([True, False, True, None]))
    account = settle("toy", "prompts", rows, 2)
    assert (account.rows_in, account.made, len(account.kept)) == (2, 2, 4)


def test_rows_that_are_only_counted_are_accounted_for_all_the_same() -> None:
    rows = prompts(3).append_column("dropped", pa.array([None, "empty", None], pa.large_string()))
    whole, counted = settle("toy", "prompts", rows, 3), settle("toy", "prompts", rows, 3, keep=False)
    assert counted.entry() == whole.entry() == {"in": 3, "made": 0, "kept": 2, "dropped": 1, "reasons": {"empty": 1}}
    assert (len(counted.kept), len(whole.kept)) == (0, 2)
    with pytest.raises(AccountError, match="3 rows in"):
        settle("toy", "prompts", rows.slice(1), 3, keep=False)


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
