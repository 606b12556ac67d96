"""One run of one method: what it stands on, what it is called, who watches it. Every method takes a `Run`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.catalog import Stage
from trainer.core.basis import Basis
from trainer.core.settings import Adapter, Watching
from trainer.core.watch import Watch


@dataclass(frozen=True)
class Run:
    """What a method needs to know beside its model, its rows and its own settings."""

    stage: str
    basis: Basis
    watching: Watching
    adapter: Adapter
    watch: Watch
    checkpoints: Path | None  # this run's own folder; None saves none

    @staticmethod
    @contextmanager
    def begin(stage: Stage, basis: Basis, watching: Watching, adapter: Adapter, params: dict[str, Any]) -> Iterator[Run]:
        """A run that is watched, and closed at its end. `params` are all of the stage's own: with the basis they say which run this is."""
        watch = Watch(stage.name, stage.reports, watching.log_every)
        try:
            yield Run(stage.name, basis, watching, adapter, watch, None)
        finally:
            watch.close()
