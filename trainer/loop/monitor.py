"""Monitoring a run: lines of plain text or a bar, TensorBoard, the figures of every step, and how long each part took.

All that holds a clock goes to the stage's reports folder, one subfolder a run, outside DVC. The figures of every step hold none:
`write` puts them beside the model, as `metrics.jsonl` and, through dvclive, as the tables that `dvc plots` draws.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.shell import log
from trainer.checkpointing import divergence
from trainer.settings import Monitoring

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FIGURES, CURVES = "metrics.jsonl", "curves"
HELD_OUT = "held_out"


class Monitor:
    """Records every step of every part of a run, and stops a run that diverged."""

    def __init__(self, stage: str, reports: Path | None, monitoring: Monitoring) -> None:
        self.stage, self.monitoring = stage, monitoring
        self.folder = reports / time.strftime("%Y%m%d-%H%M%S") if reports else None
        self.writer = _writer(self.folder)
        self.history: list[dict[str, Any]] = []  # one entry a step or evaluation: part, step, and figures
        self.parts: dict[str, list[dict[str, float]]] = {}  # the figures of every step of each part
        self.began: dict[str, tuple[float, int]] = {}
        self.seconds: dict[str, float] = {}
        self.bar: Any = None

    def step(self, part: str, step: int, steps: int, figures: dict[str, float]) -> None:
        """Record one step's metrics; a DivergedError where they show that the run learns nothing good any more."""
        seconds_a_step = self._clock(part, step)
        self._note(part, step, figures)
        self._advance(part, step, steps)
        if step == 1 or step == steps or step % self.monitoring.logging_steps == 0:
            # + 0.0: nothing is 0, whichever sign the last bit of a sum left
            line = ", ".join(f"{name} {round(value, 4) + 0.0:.4f}" for name, value in figures.items())
            tail = f" ({seconds_a_step:.2f} s a step)" if seconds_a_step is not None and step == steps else ""
            log(self.stage, f"{part}: step {step} of {steps}: {line}{tail}")
        divergence.check(part, step, self.metrics_of(part), self.monitoring)

    def held_out(self, part: str, step: int, loss: float) -> None:
        """Record the loss on pairs that are not learned from."""
        self._note(part, step, {HELD_OUT: loss})
        log(self.stage, f"{part}: step {step}: held-out loss {loss:.4f}")

    def metrics_of(self, part: str) -> list[dict[str, float]]:
        """The figures of every step of one part so far, those of before a resume included."""
        return self.parts.get(part, [])

    def resume(self, history: list[dict[str, Any]]) -> None:
        """Go on from the figures that a checkpoint holds."""
        self.history, self.parts = [], {}
        for row in history:
            self._remember(**row)

    def write(self, folder: Path) -> None:
        """The figures of all steps into the model's folder: one line of JSON each, and dvclive's tables."""
        from trainer.loop import curves

        text = "".join(json.dumps(row) + "\n" for row in self.history)
        (folder / FIGURES).write_text(text, encoding="utf-8")
        curves.write(self.history, folder / CURVES)

    def close(self) -> None:
        """Write what is still in memory, and the timings."""
        if self.bar is not None:
            self.bar.close()
        if self.writer and self.folder:
            self.writer.close()
            (self.folder / "seconds.json").write_text(json.dumps(self.seconds, indent=1) + "\n", encoding="utf-8")

    def _note(self, part: str, step: int, figures: dict[str, float]) -> None:
        self._remember(part, step, **figures)
        for name, value in figures.items():
            if self.writer:
                self.writer.add_scalar(f"{part}/{name}", value, step)

    def _remember(self, part: str, step: int, **figures: float) -> None:
        self.history.append({"part": part, "step": step, **figures})
        if HELD_OUT not in figures:
            self.parts.setdefault(part, []).append(figures)

    def _clock(self, part: str, step: int) -> float | None:
        """Seconds a step, from the second recorded step on."""
        now = time.monotonic()
        began, first = self.began.setdefault(part, (now, step))
        self.seconds[part] = now - began
        return self.seconds[part] / (step - first) if step > first else None

    def _advance(self, part: str, step: int, steps: int) -> None:
        """A bar where people look on; a log wants lines."""
        if not sys.stderr.isatty():
            return
        from tqdm import tqdm

        if self.bar is None or self.bar.desc != f"{self.stage}, {part}":
            if self.bar is not None:
                self.bar.close()
            self.bar = tqdm(total=steps, initial=step - 1, desc=f"{self.stage}, {part}", leave=False, disable=False)
            self.bar.desc = f"{self.stage}, {part}"
        self.bar.update(step - self.bar.n)


def _writer(folder: Path | None) -> SummaryWriter | None:
    if folder is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))
