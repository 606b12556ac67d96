"""One run of one method: its context, its name, its monitor. Every method takes a `Run`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.pipeline import Stage
from trainer.checkpointing import checkpoints, run_identity
from trainer.checkpointing.divergence import DivergedError
from trainer.checkpointing.run_identity import Identity
from trainer.loop.monitor import Monitor
from trainer.models import parallel
from trainer.models.training_context import TrainingContext
from trainer.settings import Adapter, Monitoring

if TYPE_CHECKING:
    from trainer.methods.pair_scores import KnownScores


@dataclass(frozen=True)
class Run:
    """What a method needs to know beside its model, its rows and its own settings."""

    stage: str
    context: TrainingContext
    monitoring: Monitoring
    adapter: Adapter
    monitor: Monitor
    checkpoints: Path | None  # this run's own folder; None where the stage has no place for any
    identity: Identity
    scratch: Path  # a folder that is gone when the run ends, however it ends
    known: KnownScores | None = None  # of the start, where several runs begin from it

    @staticmethod
    @contextmanager
    def begin(stage: Stage, context: TrainingContext, monitoring: Monitoring, adapter: Adapter, params: dict[str, Any]) -> Iterator[Run]:
        """A run with its monitor, closed at its end. `params` are all of the stage's own: with the context they say which run this is."""
        parallel.begin()
        known = run_identity.describe(stage, context, params)
        own = stage.checkpoints / run_identity.digest(known) if stage.checkpoints else None
        monitor = Monitor(stage.name, stage.reports, monitoring)
        with tempfile.TemporaryDirectory(prefix="pairwright-") as scratch:
            run = Run(stage.name, context, monitoring, adapter, monitor, own, known, Path(scratch))
            checkpoints.begin(run)
            try:
                yield run
            except DivergedError as error:
                raise error.keeping(checkpoints.keep_good(run, error.since)) from error
            finally:
                monitor.close()
