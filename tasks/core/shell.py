"""The shell: how a stage is started, what becomes of its mistakes and warnings, and outputs that are whole or not there.

    python -m tasks STAGE

reads the stage's inputs and output folder from `dvc.yaml` and its section of `params.yaml`, and lets it work on a folder beside the
output folder, which takes its place at the end. Knows no tables: `tasks.core.table_io` does.
"""

from __future__ import annotations

import errno
import fcntl
import importlib
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TypeVar

from tasks.core import params, pipeline, starter, telemetry, visible  # noqa: F401  (before any library: switches usage reports off)
from tasks.core.errors import UserError

PARAMS = Path("params.yaml")
T = TypeVar("T")
Runner = Callable[[pipeline.Stage, ModuleType, params.StageParams], None]  # what runs a stage that is found and whose parameters are read


def run_work(stage: pipeline.Stage, module: ModuleType, settings: params.StageParams) -> None:
    """Run a stage whose inputs or outputs are not tables alone (ingest reads logs, train writes models), in its own way."""
    for path in stage.data:
        must_exist(path, stage.name)
    with atomic_output(stage.output) as folder:
        capture_warnings(stage.name, lambda: module.work(stage, settings, folder))


def main(package: str, arguments: Sequence[str], run: Runner = run_work) -> int:
    """Run one stage of `package` (`tasks` or `trainer`); 0, or 1 after one line on stderr. It ends when the DVC that runs it dies."""
    starter.watch()
    return guarded(lambda: _main(package, arguments, run))


def guarded(work: Callable[[], object]) -> int:
    """Do the work; a user's mistake, a full disk or a place that is closed to us becomes one line and exit code 1."""
    try:
        work()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        explained = _explained(error)
        if explained is None:
            raise
        print(f"error: {explained} (earlier outputs are as they were)", file=sys.stderr)
        return 1
    return 0


def _explained(error: OSError) -> UserError | None:
    """What a user can do about an error of the disk; None where it is none of theirs."""
    place, told = str(error.filename or "the output folder"), os.strerror(error.errno or 0)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return UserError(place, f"no room ({told})", "free space for the stage's output", "free some and run again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UserError(place, f"no leave ({told})", "a place that you may read and write", "change its owner or its mode, and run again")
    return None


def leave(code: int) -> NoReturn:
    """End this process with `code`, without taking the interpreter down.

    Outputs are in their place by then. The engines' threads (Daft's, Arrow's, torch's) may still be about, and taking the interpreter down
    under them now and then ends a stage that had done all its work in a segmentation fault (apache/arrow#38352).
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _main(package: str, arguments: Sequence[str], run: Runner) -> None:
    names = [name for name, stage in pipeline.stages().items() if stage.module.startswith(f"{package}.")]
    if len(arguments) != 1 or arguments[0] not in names:
        raise UserError(f"python -m {package}", " ".join(arguments) or "no stage", "one of " + ", ".join(names), "name one stage")
    run_stage(arguments[0], run)


def run_stage(name: str, run: Runner = run_work) -> None:
    """Run one stage in the current folder, from its inputs on disk to its output on disk."""
    stage = pipeline.stage(name)
    module = importlib.import_module(stage.module)
    run(stage, module, params.load(PARAMS, stage.name, module.Params))


def capture_warnings(stage: str, run: Callable[[], T]) -> T:
    """The result of a stage's run; what it has to say (`warnings.warn`), also before it fails, becomes one line each on stderr."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            return run()
        finally:  # also what was said before the stage stopped
            for warning in heard:
                print(visible.line(f"{stage}: warning: {warning.message}"), file=sys.stderr, flush=True)


def write_page(path: Path, text: str) -> None:
    """A page for people, outside the stage's output, so that it stands there when the stage stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def log(stage: str, text: str) -> None:
    """One line of a stage's own about its work, on stdout, where the flow's log picks it up."""
    print(visible.line(f"{stage}: {text}"), flush=True)


def must_exist(path: Path, stage: str) -> Path:
    """The input, if it is there; else a UserError that says how it comes there."""
    if not path.exists():
        made = any(known.output == path or known.output in path.parents for known in pipeline.stages().values())
        remedy = "run `dvc repro`, which makes what is missing" if made else f"put it there, or `git checkout -- {path}`"
        raise UserError(str(path), "nothing there", f"the input of stage {stage}", remedy)
    return path


@contextmanager
def atomic_output(output: Path) -> Iterator[Path]:
    """A fresh folder beside `output` that takes its place when the block ends well; otherwise `output` stays as it was."""
    beside, old = output.with_name(f".{output.name}.new"), output.with_name(f".{output.name}.old")
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.with_name(f".{output.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a stage whose parent was killed may still be writing: wait for its end
        yield from _replaced(output, beside, old)


def _replaced(output: Path, beside: Path, old: Path) -> Iterator[Path]:
    """Body of `atomic_output`, under its lock."""
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
