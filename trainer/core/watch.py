"""Watching a run: a line of plain text every few steps, TensorBoard logs, and how long each part took.

All that holds a clock goes to the stage's reports folder, one subfolder a run, outside DVC.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.shell import tell

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Watch:
    """Hears every step of every part of a run."""

    def __init__(self, stage: str, reports: Path | None, every: int) -> None:
        self.stage, self.every = stage, every
        self.folder = reports / time.strftime("%Y%m%d-%H%M%S") if reports else None
        self.writer = _writer(self.folder)
        self.began: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def step(self, part: str, step: int, steps: int, figures: dict[str, float]) -> None:
        """Take note of one step's figures."""
        now = time.monotonic()
        self.seconds[part] = now - self.began.setdefault(part, now)
        for name, value in figures.items():
            if self.writer:
                self.writer.add_scalar(f"{part}/{name}", value, step)
        if step == 1 or step == steps or step % self.every == 0:
            tell(self.stage, f"{part}: step {step} of {steps}: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))

    def close(self) -> None:
        """Write what is still in memory, and the timings."""
        if self.writer and self.folder:
            self.writer.close()
            (self.folder / "seconds.json").write_text(json.dumps(self.seconds, indent=1) + "\n", encoding="utf-8")


def _writer(folder: Path | None) -> SummaryWriter | None:
    if folder is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))
