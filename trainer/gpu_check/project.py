"""A project in a folder of its own, in which the check runs the real stages, with the real shell, and reads what they leave.

In: the project's own `params.yaml` and `dvc.yaml`, with values laid over. Out: figures of every step, seconds a step, peak memory,
weights. Step times are read off TensorBoard's events, where every figure has its time: nothing of the trainer is patched.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tasks.core import pipeline, shell
from trainer.gpu_check import made_release, settings
from trainer.gpu_check.settings import Size
from trainer.gpu_check.table import Cost

if TYPE_CHECKING:
    from torch import Tensor

ROOT = Path(__file__).parents[2]
RELEASE, START = (pipeline.stage(name, ROOT).output for name in ("release", "start"))
MODELS, LOG = START.parent, "log.txt"
PATIENCE = 300.0  # seconds that a process may take until its first checkpoint


@dataclass(frozen=True)
class Training:
    """What a stage's training left: figures of every step of its last part, what it cost, and its folder."""

    steps: list[dict[str, float]]
    cost: Cost
    folder: Path

    def of(self, name: str) -> list[float]:
        """One figure of every step."""
        return [step[name] for step in self.steps]

    def weights(self) -> dict[str, Tensor]:
        """All weights that were saved."""
        from safetensors.torch import load_file

        found: dict[str, Tensor] = {}
        for file in sorted(self.folder.glob("*.safetensors")):
            found |= load_file(file)
        return found


class Project:
    """A folder with a release in which stages run."""

    def __init__(self, root: Path, size: Size, *values: Mapping[str, object], release: Path | None = None) -> None:
        self.root, self.size, self.values = root, size, (settings.COMMON, size.params, *values)
        document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        for some in self.values:
            document = settings.laid_over(document, some)
        self.params: dict[str, Any] = document
        root.mkdir(parents=True)
        shutil.copy(ROOT / "dvc.yaml", root)
        (root / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        (root / MODELS).mkdir(parents=True)
        if release:
            (root / RELEASE).symlink_to(release)
        else:
            made_release.write(root / RELEASE, size.words)

    def beside(self, name: str, *values: Mapping[str, object], without: Sequence[str] = ()) -> Project:
        """Another project on the same release and models, with other values laid over."""
        other = Project(self.root.with_name(f"{self.root.name}-{name}"), self.size, *self.values[2:], *values, release=self.root / RELEASE)
        for model in (self.root / MODELS).iterdir():
            if model.is_dir() and not model.name.startswith(".") and model.name not in without:
                (other.root / MODELS / model.name).symlink_to(model)
        return other

    @property
    def schedule_seed(self) -> int:
        """The seed of every training."""
        return int(self.params["start"]["seed"])

    def stage(self, name: str) -> pipeline.Stage:
        """A stage, with its paths relative to the folder."""
        return pipeline.stage(name, self.root)

    def run(self, name: str) -> Training:
        """Train by one stage, in this process."""
        stage = self.stage(name)
        if stage.reports:
            shutil.rmtree(self.root / stage.reports, ignore_errors=True)
        before = clear()
        with contextlib.chdir(self.root), Path(LOG).open("a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
            shell.run_stage(name)
        return self.left(name, peak() - before)

    def left(self, name: str, bytes_at_peak: int = 0) -> Training:
        """What the last run of a stage left."""
        stage = self.stage(name)
        folder = self.root / stage.output
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        part = rows[-1]["part"]
        steps = [row for row in rows if row["part"] == part and "loss" in row]
        return Training(steps, Cost(self._step_times(stage, part), bytes_at_peak), folder)

    def _step_times(self, stage: pipeline.Stage, part: str) -> tuple[float, ...]:
        """Seconds of every step that counts."""
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

        if stage.reports is None:
            raise RuntimeError(f"dvc.yaml: {stage.name} has no folder for reports, where the clock stands")
        (folder,) = (self.root / stage.reports).iterdir()
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        events.Reload()
        return step_times([event.wall_time for event in events.Scalars(f"{part}/loss")])

    def killed(self, name: str) -> int:
        """Train in a process of its own that is killed once a checkpoint lies there; how many were whole by then."""
        folder = self.root / (self.stage(name).checkpoints or "")
        process = self._begin(name)
        end = time.monotonic() + PATIENCE
        while process.poll() is None and not self._whole(folder) and time.monotonic() < end:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        told, _ = process.communicate()
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError(f"{name} ended before it could be killed: {told.strip().splitlines()[-1:]}")
        return len(self._whole(folder))

    def together(self, name: str, processes: int) -> Training:
        """Train in several processes, each on a GPU of its own."""
        process = self._begin(name, PAIRWRIGHT_PROCESSES=str(processes))
        told, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(told.strip().splitlines()[-1])
        return self.left(name)

    @staticmethod
    def _whole(checkpoints: Path) -> list[Path]:
        return list(checkpoints.glob("*/step-*/complete.json"))

    def _begin(self, name: str, **more: str) -> subprocess.Popen[str]:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), **more}
        command = [sys.executable, "-m", "trainer", name]
        return subprocess.Popen(command, cwd=self.root, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def step_times(clock: Sequence[float]) -> tuple[float, ...]:
    """Seconds of every step from the clock at the end of each; the first quarter of the steps only warms the machine up."""
    later = clock[len(clock) // 4 :]
    return tuple(end - begin for begin, end in pairwise(later))


def difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The largest difference of a weight; 0 where all bytes are equal."""
    import torch

    if set(one) != set(other):
        return float("inf")
    return max(0.0 if torch.equal(one[name], other[name]) else float((one[name].float() - other[name].float()).abs().max()) for name in one)


def clear() -> int:
    """Free what nobody holds any more; the bytes that are held all the same."""
    import torch

    gc.collect()
    if not torch.cuda.is_available():
        return 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return int(torch.cuda.memory_allocated())


def peak() -> int:
    """Most bytes of the GPU that were held since `clear`; 0 on a processor."""
    import torch

    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0
