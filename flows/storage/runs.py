"""Earlier runs of stages: going back to inputs and parameters that were run before takes their outputs from DVC's cache.

DVC has a run cache for this, and leaves out of it every output with `persist`, which ours have so that the last whole output stays in place
while a stage runs. Here its own run cache is asked all the same, in the same form and folder, so that `dvc push --run-cache` shares it.
Never for an output with `cache: false`: the run cache would put into the cache what must not be there.

Reports for people are no outputs of DVC's: those of the last `KEPT` runs of a stage stay in `.pairwright/reports`, and come back with them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flows.storage import cache
from flows.storage.recorded import Entry
from tasks.core import pipeline, shell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dvc.repo import Repo
    from dvc.stage import PipelineStage

REPORTS = Path(".pairwright") / "reports"
KEPT = 5  # runs of a stage whose reports are kept


def restore(repository: Repo, name: str) -> bool:
    """Put the outputs of an earlier run with the same code, inputs and parameters in place, `dvc.lock` too.

    False where none is kept, and where an output holds what the cache does not, which DVC replaces only when asked: a stage that was killed
    left it, or a person wrote into it. The stage then runs, and replaces it as ever.
    """
    from dvc.dependency.base import DependencyDoesNotExistError
    from dvc.exceptions import ConfirmRemoveError
    from dvc.stage.cache import RunCacheNotFoundError

    with repository.lock, _replaceable(repository, name) as stage:
        if stage is None:
            return False
        try:
            repository.stage_cache.restore(stage)
        except (RunCacheNotFoundError, DependencyDoesNotExistError, ConfirmRemoveError):
            return False
        stage.save(run_cache=False)
        stage.dump(update_pipeline=False)
        _put_reports(stage)
    return True


def keep(repository: Repo, name: str) -> list[str]:
    """Note the stage's last run, whose outputs the cache holds; else paths that it does not hold."""
    with _replaceable(repository, name) as stage:
        if stage is None:
            return []
        store = cache.folder()
        gone = [path for out in stage.outs for path in cache.lacking(store, _entry(name, out))]
        if not gone:
            repository.stage_cache.save(stage)
            _keep_reports(stage)
    return gone


@contextmanager
def _replaceable(repository: Repo, name: str) -> Iterator[PipelineStage | None]:
    """The stage as DVC has it, its outputs without `persist`; None where the cache may not hold them."""
    (stage,) = repository.stage.load_all(name=name)
    for out in stage.outs:
        out.persist = False
    yield stage if all(out.use_cache for out in stage.outs) else None


def _entry(name: str, out: object) -> Entry:
    info, meta = out.hash_info, out.meta  # type: ignore[attr-defined]
    return Entry(name, Path(out.def_path), info.value, meta.size or 0)  # type: ignore[attr-defined]


def _reports(stage: PipelineStage) -> tuple[Path, Path] | None:
    """Where the stage's reports lie, and where those of this run are kept; None for a stage without."""
    from dvc.stage.serialize import to_single_stage_lockfile

    reports = pipeline.stage(stage.name).reports
    if reports is None:
        return None
    run = hashlib.sha256(json.dumps(to_single_stage_lockfile(stage), sort_keys=True).encode()).hexdigest()
    return reports, REPORTS / stage.name / run


def _keep_reports(stage: PipelineStage) -> None:
    """Copy the reports beside those of earlier runs, of which the oldest go."""
    places = _reports(stage)
    if places and places[0].is_dir():
        shutil.rmtree(places[1], ignore_errors=True)
        shutil.copytree(*places)
        places[1].touch()
        for old in sorted(places[1].parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(old)


def _put_reports(stage: PipelineStage) -> None:
    """The reports of the run that was restored in the place of the last run's, which say nothing of these outputs."""
    places = _reports(stage)
    if places is None:
        return
    with shell.atomic_output(places[0]) as folder:
        if places[1].is_dir():
            shutil.copytree(places[1], folder, dirs_exist_ok=True)
