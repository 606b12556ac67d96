"""Publishing as a step of a run: a Prefect task of its own, named as it stands in the UI."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flows import dvc
from flows.stage_tasks import Outcome
from flows.versions import publish
from tasks.core.errors import UserError

from prefect import task  # isort: skip  (after flows.stage_tasks, which switches usage reports off first)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

DATASET, MODEL = "publish", "publish-model"


def publish_dataset() -> Outcome:
    """Publish the release as it lies here."""
    return _done(DATASET, publish.dataset)


def publish_model() -> Outcome:
    """Publish the model as it lies here."""
    return _done(MODEL, publish.model)


def _done(name: str, work: Callable[[dvc.Say], publish.Result]) -> Outcome:
    started = time.monotonic()
    step = _publish.with_options(name=name, task_run_name=name, description=work.__doc__)
    state: State[Any] = step(work, return_state=True)
    return Outcome(name, state.name or state.type.value.title(), time.monotonic() - started, state.message or "")


@task(cache_policy=NO_CACHE, persist_result=False)
def _publish(work: Callable[[dvc.Say], publish.Result]) -> State[None]:
    log = get_run_logger()
    try:
        result = work(log.warning)
    except UserError as error:
        return Failed(message=str(error))
    (log.warning if result.state == publish.OWED else log.info)("%s: %s", result.state, result.message)
    return Completed(name=result.state, message=result.message)
