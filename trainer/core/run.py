"""One run of one method: what it stands on, what it is called, who watches it. Every method takes a `Run`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.pipeline import Stage
from trainer.core import checkpoints, identity, parallel
from trainer.core.basis import Basis
from trainer.core.guard import DivergedError
from trainer.core.identity import Identity
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
    checkpoints: Path | None  # this run's own folder; None where the stage has no place for any
    identity: Identity
    scratch: Path  # a folder that is gone when the run ends, however it ends

    @staticmethod
    @contextmanager
    def begin(stage: Stage, basis: Basis, watching: Watching, adapter: Adapter, params: dict[str, Any]) -> Iterator[Run]:
        """A run that is watched, and closed at its end. `params` are all of the stage's own: with the basis they say which run this is."""
        parallel.begin()
        known = identity.describe(stage, basis, params)
        own = stage.checkpoints / identity.digest(known) if stage.checkpoints else None
        watch = Watch(stage.name, stage.reports, watching)
        with tempfile.TemporaryDirectory(prefix="pairwright-") as scratch:
            run = Run(stage.name, basis, watching, adapter, watch, own, known, Path(scratch))
            checkpoints.begin(run)
            try:
                yield run
            except DivergedError as error:
                raise error.keeping(checkpoints.keep_good(run, error.since)) from error
            finally:
                watch.close()
