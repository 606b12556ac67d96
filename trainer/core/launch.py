"""How a stage of training is started: in this process, or in several that share each batch.

    python -m trainer STAGE
    PAIRWRIGHT_PROCESSES=2 python -m trainer STAGE      (the same, through `accelerate launch`)

How many processes work is a fact of the machine, so it is said in the environment. Of several, rank 0 does what a
single one would; the others read the same inputs, write what they make into a folder that nobody keeps, and say nothing but what
went wrong.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tasks.core import catalog, params, shell
from tasks.core.errors import UserError
from trainer.core import checkpoints, parallel

PROCESSES = "PAIRWRIGHT_PROCESSES"


def main(arguments: Sequence[str]) -> int:
    """Exit code of the stage."""
    if "RANK" not in os.environ:
        count = os.environ.get(PROCESSES, "1")
        codes: list[int] = []
        return _alone(arguments) if count == "1" else shell.guarded(lambda: codes.append(_launched(arguments, count))) or codes[0]
    return _alone(arguments) if parallel.rank() == 0 else _beside(arguments)


def _alone(arguments: Sequence[str]) -> int:
    """The stage as its package's shell runs it; its checkpoints go once its output is in its place."""
    try:
        code = shell.main("trainer", arguments)
    finally:
        parallel.end()
    if code == 0:
        checkpoints.end(catalog.stage(arguments[0]))
    return code


def _beside(arguments: Sequence[str]) -> int:
    """The stage in a process that is not the first."""
    with tempfile.TemporaryDirectory(prefix="pairwright-") as scratch, Path(os.devnull).open("w") as nowhere:
        stage = catalog.stage(arguments[0])
        module = importlib.import_module(stage.module)
        quiet = replace(stage, reports=None, output=Path(scratch))
        try:
            with contextlib.redirect_stdout(nowhere):
                module.work(quiet, params.load(shell.PARAMS, stage.name, module.Params), Path(scratch))
        except UserError:  # rank 0 says it
            return 1
        finally:
            parallel.end()
    return 0


def _launched(arguments: Sequence[str], count: str) -> int:
    """Exit code of the stage in `count` processes."""
    if not count.isdecimal() or count == "0":
        raise UserError(PROCESSES, repr(count), "a number of processes", "correct or unset the variable")
    device = ["--cpu"] if parallel.on_cpu() else ["--multi_gpu"]
    launcher = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--num_processes",
        count,
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
    ]
    return subprocess.run([*launcher, *device, "--dynamo_backend", "no", "-m", "trainer", *arguments], check=False).returncode
