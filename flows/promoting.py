"""The stages that train, and before them the step that says which model the new one must beat: a Prefect task of its own."""

from __future__ import annotations

import time
from typing import Any

from flows import dvc
from flows.running.waiting import once_free
from flows.stage_tasks import Outcome, run_stages, well
from flows.storage import recorded
from flows.versions import champion
from tasks.common import champion as names
from tasks.core.errors import UserError

from prefect import task  # isort: skip  (after flows.stage_tasks, which switches usage reports off first)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed


def train(force: bool) -> list[Outcome]:
    """Run the stages that train; what became of each."""
    outcomes = [_crowned(force)] if recorded.champion_folder() else []
    if well(outcomes):
        outcomes += run_stages(dvc.training_stages(), "Skipped", force=force)
    return outcomes


def _crowned(force: bool) -> Outcome:
    started = time.monotonic()
    state: State[Any] = _crown(force, return_state=True)
    return Outcome(names.CHAMPION, state.name or state.type.value.title(), time.monotonic() - started, state.message or "")


@task(name=names.CHAMPION, task_run_name=names.CHAMPION, cache_policy=NO_CACHE, persist_result=False)
def _crown(force: bool) -> State[None]:
    """Let the model that was handed over last be the one to beat, before another is made."""
    log = get_run_logger()
    try:
        done = once_free(lambda: champion.crown(log.warning, force=force), log.warning)
    except UserError as error:
        return Failed(message=str(error))
    return Completed(message=done) if done else Completed(name="Unchanged", message="")
