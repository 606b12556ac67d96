"""The shell: all file IO of the stages, their row accounting, and writes that are whole or not there.

    python -m tasks STAGE

reads the stage's inputs and output folder from `dvc.yaml` and its section of `params.yaml`, calls the stage's
pure `run(tables, params)`, and writes beside the output folder, which it renames at the end:

    <output>/<table>/00000.parquet ...           kept rows, sorted by key
    <output>/dropped/<table>/00000.parquet ...   dropped rows with their reason
    <output>/ledger.json                         in, made, kept, dropped and reasons of every table
    <output>/<stage before>/ledger.json          passed on from a stage whose output stays on this machine

A stage module says in `WRITES` which tables it writes. A table that it is given but does not write is accounted for all
the same: it must come back from `run`, and its dropped rows are written.
"""

from __future__ import annotations

import errno
import fcntl
import importlib
import json
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core import engine, params, pipeline
from tasks.core.errors import UserError
from tasks.core.ledger import Account, settle
from tasks.core.tables import TABLES, TEXT

ROWS_PER_SHARD = 250_000
PARAMS = Path("params.yaml")
LEDGER = "ledger.json"
T = TypeVar("T")


def main(package: str, arguments: Sequence[str]) -> int:
    """Run one stage of `package` (`tasks` or `trainer`); 0, or 1 after one line on stderr."""
    return guarded(lambda: _main(package, arguments))


def guarded(work: Callable[[], object]) -> int:
    """Do the work; a user's mistake or a full disk becomes one line and exit code 1."""
    try:
        work()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        place = error.filename or "the output folder"
        full = UserError(
            str(place), f"no room ({os.strerror(error.errno)})", "free space for the stage's output", "free some and run again"
        )
        print(f"error: {full} (earlier outputs are as they were)", file=sys.stderr)
        return 1
    return 0


def leave(code: int) -> NoReturn:
    """End this process with `code`, without taking the interpreter down.

    Outputs are in their place by then. The engines' threads (Daft's, Arrow's, torch's) may still be about, and taking the interpreter down
    under them now and then ends a stage that had done all its work in a segmentation fault (apache/arrow#38352).
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _main(package: str, arguments: Sequence[str]) -> None:
    names = [name for name, stage in pipeline.stages().items() if stage.module.startswith(f"{package}.")]
    if len(arguments) != 1 or arguments[0] not in names:
        raise UserError(f"python -m {package}", " ".join(arguments) or "no stage", "one of " + ", ".join(names), "name one stage")
    run_stage(arguments[0])


def run_stage(name: str) -> None:
    """Run one stage in the current folder, from its inputs on disk to its output on disk."""
    stage = pipeline.stage(name)
    module = importlib.import_module(stage.module)
    settings = params.load(PARAMS, name, module.Params)
    engine.start()
    if hasattr(module, "work"):  # stages whose inputs or outputs are not tables (ingest reads logs, train writes models)
        for path in stage.data:
            _must_exist(path, name)
        with whole(stage.output) as folder:
            listen(name, lambda: module.work(stage, settings, folder))
        return
    tables = {path.name: engine.read_table(_must_exist(path, name)) for path in stage.data if path.name in TABLES}
    rows_in = {path.name: count_rows(path) for path in stage.data if path.name in TABLES}
    result = listen(name, lambda: _judged(stage, module, tables, settings) if hasattr(module, "judge") else module.run(tables, settings))
    with whole(stage.output) as folder:
        accounts = write_tables(name, module.WRITES, result, rows_in, folder)
        _pass_ledgers(stage, folder)
    say(name, accounts)


def listen(stage: str, run: Callable[[], T]) -> T:
    """The result of a stage's run; what it has to say (`warnings.warn`), also before it fails, becomes one line each on stderr."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            return run()
        finally:  # also what was said before the stage stopped
            for warning in heard:
                print(f"{stage}: warning: {warning.message}", file=sys.stderr, flush=True)


def _judged(stage: pipeline.Stage, module: ModuleType, tables: engine.Tables, settings: params.StageParams) -> engine.Tables:
    """The tables of a stage that is a gate: its pages for people are on disk before a broken rule stops the pipeline."""
    judged = module.judge(tables, settings)
    if stage.reports is None:
        raise AssertionError(f"dvc.yaml: {stage.name} judges tables, but has no meta.reports for its pages")
    with whole(stage.reports) as folder:
        judged.gate.publish(folder)
    judged.gate.enforce(stage.reports)
    return dict(judged.tables)


def write_tables(stage: str, writes: Sequence[str], result: engine.Tables, rows_in: dict[str, int], folder: Path) -> list[Account]:
    """Settle and write a result table by table, so that no two are in memory at once; `result` is empty afterwards.

    Every table that went in must be in the result. The accounts come back without kept rows.
    """
    forgotten = (set(rows_in) | set(writes)) - set(result)
    if forgotten:
        raise AssertionError(f"{stage}: run() returned no rows for {sorted(forgotten)}")
    accounts: list[Account] = []
    for name in list(result):
        account = settle(stage, name, engine.pieces(result.pop(name)), rows_in.get(name), keep=name in writes)
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
            shutil.copyfile(_must_exist(path, stage.name), folder / makers[path.parent] / LEDGER)


def write_page(path: Path, text: str) -> None:
    """A page for people, outside the stage's output, so that it stands there when the stage stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def say(stage: str, accounts: Sequence[Account]) -> None:
    """One line a table on stdout: what went in, what stayed, what went and why."""
    for account in accounts:
        reasons = ", ".join(f"{reason} {count}" for reason, count in account.reasons.items())
        made = f" + {account.made} made" if account.made else ""
        print(
            f"{stage}: {account.table}: {account.rows_in} in{made} = {account.kept_rows} kept + {len(account.dropped)} dropped"
            + (f" ({reasons})" if reasons else ""),
            flush=True,
        )


def tell(stage: str, text: str) -> None:
    """One line of a stage's own about its work, on stdout, where the flow's log picks it up."""
    print(f"{stage}: {text}", flush=True)


def count_rows(folder: Path) -> int:
    """Rows of a table on disk, from the Parquet footers."""
    return sum(pq.read_metadata(path).num_rows for path in sorted(folder.glob("*.parquet")))


def _must_exist(path: Path, stage: str) -> Path:
    if not path.exists():
        made = any(known.output == path or known.output in path.parents for known in pipeline.stages().values())
        remedy = "run `dvc repro`, which makes what is missing" if made else f"put it there, or `git checkout -- {path}`"
        raise UserError(str(path), "nothing there", f"the input of stage {stage}", remedy)
    return path


@contextmanager
def whole(output: Path) -> Iterator[Path]:
    """A fresh folder beside `output` that takes its place when the block ends well; otherwise `output` stays as it was."""
    beside, old = output.with_name(f".{output.name}.new"), output.with_name(f".{output.name}.old")
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.with_name(f".{output.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a stage whose parent was killed may still be writing: wait for its end
        yield from _replaced(output, beside, old)


def _replaced(output: Path, beside: Path, old: Path) -> Iterator[Path]:
    """Body of `whole`, under its lock."""
    if old.exists() and not output.exists():  # killed between the two renames
        old.rename(output)
    shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    if output.exists():
        output.rename(old)
    beside.rename(output)
    shutil.rmtree(old, ignore_errors=True)
