"""A stage of training that kills itself with SIGKILL at an unlucky moment: `python -m tests.builders.killed ROOT STAGE MOMENT PARAMETERS`.

Moments: `step:5` (the figures of step 5 are there, its checkpoint is not), `torch.save:7` (the seventh file is half written),
`seal:2` (all files of the second checkpoint are there, `complete.json` is not), `rename:2` (it is sealed, and not yet in its place),
`output:1` (training is over, the model is not in its place).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.builders import training
from tests.conftest import ROOT


def killed(root: Path, name: str, moment: str, **parameters: object) -> None:
    """Run a stage below `root` in a process of its own, which must die of SIGKILL at the moment."""
    command = [sys.executable, "-m", "tests.builders.killed", str(root), name, moment, json.dumps(parameters)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == -signal.SIGKILL, result.stdout + result.stderr


def main(root: str, name: str, moment: str, parameters: str) -> None:
    """The process that dies."""
    import torch

    from trainer.checkpointing import checkpoints
    from trainer.loop import metrics
    from trainer.loop.monitor import Monitor

    kind, number = moment.split(":")
    places: dict[str, tuple[Any, str]] = {
        "step": (Monitor, "step"),
        "torch.save": (torch, "save"),
        "seal": (checkpoints, "seal"),
        "rename": (Path, "rename"),
        "output": (metrics, "write"),
    }
    owner, function = places[kind]
    setattr(owner, function, _deadly(getattr(owner, function), int(number), kind))
    training.run(Path(root), name, training.tiny(name, **json.loads(parameters)))


def _deadly(function: Callable[..., Any], number: int, kind: str) -> Callable[..., Any]:
    calls = 0

    def call(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and kind == "torch.save":
            function(*given, **named)
            path = Path(given[1])
            os.truncate(path, path.stat().st_size // 2)
        elif calls == number and kind == "step":
            function(*given, **named)
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*given, **named)

    return call


if __name__ == "__main__":
    main(*sys.argv[1:])
