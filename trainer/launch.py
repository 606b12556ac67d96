"""How a stage of training is started: in this process, or in several that share each batch.

    python -m trainer STAGE
    PAIRWRIGHT_PROCESSES=2 python -m trainer STAGE                                   (what `torchrun` does)
    accelerate launch --multi_gpu --num_processes 2 -m trainer STAGE                 (the same; on a CPU with PAIRWRIGHT_DEVICE=cpu)

How many processes work is a fact of the machine, so it is said in the environment, which `dvc repro` and `pairwright run` hand on.
Of several, rank 0 does what a single one would; the others read the same inputs, write what they make into a folder that nobody keeps,
and say nothing but what went wrong. Trap: on a CPU `accelerate launch --cpu --num_processes 2` starts one process only.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tasks.core import params, pipeline, shell
from tasks.core.errors import UserError
from trainer.checkpointing import checkpoints
from trainer.models import parallel

PROCESSES = "PAIRWRIGHT_PROCESSES"
GRACE = 30.0  # seconds that rank 0 has to say what is wrong


def main(arguments: Sequence[str]) -> int:
    """Exit code of the stage."""
    if "RANK" not in os.environ:
        count = os.environ.get(PROCESSES, "1")
        codes: list[int] = []
        return _as_first(arguments) if count == "1" else shell.guarded(lambda: codes.append(_launch(arguments, count))) or codes[0]
    return _as_first(arguments) if parallel.rank() == 0 else _as_other(arguments)


def _as_first(arguments: Sequence[str]) -> int:
    """The stage as its package's shell runs it; its checkpoints go once its output is in its place."""
    try:
        code = shell.main("trainer", arguments)
    finally:
        parallel.end()
    if code == 0:
        checkpoints.end(pipeline.stage(arguments[0]))
    return code


def _as_other(arguments: Sequence[str]) -> int:
    """The stage in a process that is not the first."""
    with tempfile.TemporaryDirectory(prefix="pairwright-") as scratch, Path(os.devnull).open("w") as nowhere:
        stage = pipeline.stage(arguments[0])
        module = importlib.import_module(stage.module)
        quiet = replace(stage, reports=None, output=Path(scratch))
        try:
            with contextlib.redirect_stdout(nowhere), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                module.work(quiet, params.load(shell.PARAMS, stage.name, module.Params), Path(scratch))
        except UserError:  # rank 0 says it, as it says the warnings; whoever ends first has the others killed
            time.sleep(GRACE)
            return 1
        finally:
            parallel.end()
    return 0


def _launch(arguments: Sequence[str], count: str) -> int:
    """Exit code of the stage in `count` processes; the others are ended where one fails."""
    if not count.isdecimal() or count == "0":
        raise UserError(PROCESSES, repr(count), "a number of processes", "correct or unset the variable")
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # what failed was said by the process that failed
    name = f"pairwright-{os.getpid()}"
    config = LaunchConfig(1, 1, int(count), run_id=name, rdzv_backend="c10d", rdzv_endpoint="127.0.0.1:0", max_restarts=0)
    try:
        elastic_launch(config, sys.executable)("-m", "trainer", *arguments)
    except ChildFailedError:
        return 1
    return 0
