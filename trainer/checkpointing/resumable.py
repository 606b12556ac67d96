"""What a run must have so that it can be saved and resumed; `trainer.loop.run.Run` has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from trainer.checkpointing.run_identity import Identity
from trainer.settings import Monitoring


class Recorder(Protocol):
    """Keeps the metrics of all steps."""

    history: list[dict[str, Any]]

    def resume(self, history: list[dict[str, Any]], /) -> None:
        """Go on from the metrics that a checkpoint holds."""
        ...


class ResumableRun(Protocol):
    """Where a run's checkpoints lie, how often they are written, and what it is."""

    @property
    def stage(self) -> str:
        """Name of the stage, for its log."""
        ...

    @property
    def checkpoints(self) -> Path | None:
        """The run's own folder; None where nothing is saved."""
        ...

    @property
    def identity(self) -> Identity:
        """All that the weights depend on."""
        ...

    @property
    def monitoring(self) -> Monitoring:
        """How often checkpoints are written, how many are kept, and from which a run goes on."""
        ...

    @property
    def monitor(self) -> Recorder:
        """The metrics of all steps."""
        ...
