"""Tables of a stage on disk: read, accounted for row by row, and written table by table.

`run` is what `python -m tasks STAGE` does with a stage: it hands the stage's pure `run(tables, params)` its tables, and writes

    <output>/<table>/00000.parquet ...           kept rows, sorted by key
    <output>/dropped/<table>/00000.parquet ...   dropped rows with their reason
    <output>/ledger.json                         in, made, kept, dropped and reasons of every table
    <output>/<stage before>/ledger.json          passed on from a stage whose output stays on this machine

A stage module says in `WRITES` which tables it writes. A table that it is given but does not write is accounted for all
the same: it must come back from `run`, and its dropped rows are written.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core import engine, input_check, params, pipeline, shell
from tasks.core.ledger import Account, ids_of, reconcile
from tasks.core.tables import TABLES, TEXT

ROWS_PER_SHARD = 250_000
LEDGER = input_check.LEDGER


def run(stage: pipeline.Stage, module: ModuleType, settings: params.StageParams) -> None:
    """Run a stage, from its inputs on disk to its output on disk; one that has `work` does that itself."""
    engine.start()
    input_check.check(stage)
    with input_check.named_when_broken():
        _run(stage, module, settings)


def _run(stage: pipeline.Stage, module: ModuleType, settings: params.StageParams) -> None:
    """Body of `run`, over inputs that were looked at."""
    if hasattr(module, "work"):
        shell.run_work(stage, module, settings)
        return
    tables = {path.name: engine.read_table(shell.must_exist(path, stage.name)) for path in stage.data if path.name in TABLES}
    sources = {path.name: path for path in stage.data if path.name in TABLES}
    judges = hasattr(module, "judge")
    result = shell.capture_warnings(
        stage.name, lambda: _judged(stage, module, tables, settings) if judges else module.run(tables, settings)
    )
    with shell.atomic_output(stage.output) as folder:
        accounts = write_tables(stage.name, module.WRITES, result, sources, folder)
        _pass_ledgers(stage, folder)
    log_accounts(stage.name, accounts)


def _judged(stage: pipeline.Stage, module: ModuleType, tables: engine.Tables, settings: params.StageParams) -> engine.Tables:
    """The tables of a stage that is a gate: its pages for people are on disk before a broken rule stops the pipeline."""
    judged = module.judge(tables, settings)
    if stage.reports is None:
        raise AssertionError(f"dvc.yaml: {stage.name} judges tables, but has no meta.reports for its pages")
    with shell.atomic_output(stage.reports) as folder:
        judged.gate.publish(folder)
    judged.gate.enforce(stage.reports)
    return dict(judged.tables)


def write_tables(stage: str, writes: Sequence[str], result: engine.Tables, sources: Mapping[str, Path], folder: Path) -> list[Account]:
    """Settle and write a result table by table, so that no two are in memory at once; `result` is empty afterwards.

    `sources` are the folders of the tables that went in; every one must be in the result. The accounts come back without kept rows.
    """
    forgotten = (set(sources) | set(writes)) - set(result)
    if forgotten:
        raise AssertionError(f"{stage}: run() returned no rows for {sorted(forgotten)}")
    accounts: list[Account] = []
    for name in list(result):
        came = read_ids(sources[name]) if name in sources else None
        account = reconcile(stage, name, engine.pieces(result.pop(name)), came, keep=name in writes)
        write_account(account, name in writes, folder)
        accounts.append(replace(account, kept=account.kept.schema.empty_table()))
    write_ledger(accounts, folder)
    return accounts


def write_account(account: Account, keeps: bool, folder: Path) -> None:
    """Kept rows, where the stage writes this table, and dropped rows, if any."""
    key = TABLES[account.table].KEY
    if keeps:
        engine.write_sorted(account.kept, key, folder / account.table, ROWS_PER_SHARD)
    if len(account.dropped):
        engine.write_sorted(account.dropped, key, folder / "dropped" / account.table, ROWS_PER_SHARD)


def pass_table(name: str, source: Path, folder: Path) -> Account:
    """A table that a stage leaves as it is, every row kept: its shards byte for byte, at a tenth of the cost of writing them anew."""
    (folder / name).mkdir()
    for shard in sorted(source.glob("*.parquet")):
        shutil.copyfile(shard, folder / name / shard.name)
    none, rows = TABLES[name].schema().empty_table(), count_rows(folder / name)
    return Account(name, none, none.append_column("dropped", pa.array([], TEXT)), rows, 0, rows)


def write_ledger(accounts: Sequence[Account], folder: Path, more: dict[str, dict[str, object]] | None = None) -> None:
    """The ledger of a stage; `more` are lines about other things than tables."""
    ledger = {account.table: account.entry() for account in accounts} | (more or {})
    (folder / LEDGER).write_text(json.dumps(ledger, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _pass_ledgers(stage: pipeline.Stage, folder: Path) -> None:
    """The ledgers among a stage's inputs, which hold counts only, for readers that have not got the output that they lie in."""
    makers = {known.output: name for name, known in pipeline.stages().items()}
    for path in stage.data:
        if path.name == LEDGER:
            (folder / makers[path.parent]).mkdir()
            shutil.copyfile(shell.must_exist(path, stage.name), folder / makers[path.parent] / LEDGER)


def log_accounts(stage: str, accounts: Sequence[Account]) -> None:
    """One line a table on stdout: what went in, what stayed, what went and why."""
    for account in accounts:
        reasons = ", ".join(f"{reason} {count}" for reason, count in account.reasons.items())
        made = f" + {account.made} made" if account.made else ""
        print(
            f"{stage}: {account.table}: {account.rows_in} in{made} = {account.kept_rows} kept + {len(account.dropped)} dropped"
            + (f" ({reasons})" if reasons else ""),
            flush=True,
        )


def count_rows(folder: Path) -> int:
    """Rows of a table on disk, from the Parquet footers."""
    return sum(pq.read_metadata(path).num_rows for path in sorted(folder.glob("*.parquet")))


def read_ids(folder: Path) -> engine.Ids:
    """What the rows of a table on disk are known by, a hash each, in the order of its shards."""
    columns = list(TABLES[folder.name].identity())
    shards = [ids_of(folder.name, pq.read_table(path, columns=columns)) for path in sorted(folder.glob("*.parquet"))]
    return np.concatenate(shards)
