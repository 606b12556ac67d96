"""A step of a run: the raw logs of the dataset that was made go to the private store, before anything is published that names them."""

from __future__ import annotations

import time
from typing import Any

from flows import dvc
from flows.stage_tasks import Outcome
from flows.storage import private_store, raw_logs, recorded
from tasks.core.errors import UserError

from prefect import task  # isort: skip  (after flows.stage_tasks, which switches usage reports off first)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

NAME = "private store"


def store_raw_logs() -> list[Outcome]:
    """What became of the step; nothing where `params.yaml` names no store."""
    if not private_store.named():
        return []
    started = time.monotonic()
    state: State[Any] = _store(return_state=True)
    return [Outcome(NAME, state.name or state.type.value.title(), time.monotonic() - started, state.message or "")]


@task(name=NAME, task_run_name=NAME, cache_policy=NO_CACHE, persist_result=False)
def _store() -> State[None]:
    """Send the logs that `dvc.lock` names; Unchanged where the store has them, or where this machine has none of them."""
    try:
        with dvc.repository() as repository:
            here = [entry for entry in recorded.read().raw if entry.path.exists()]
            store = private_store.opened(repository) if here else None
            sent = [str(entry.path) for entry in here if store and raw_logs.push(repository, store, entry)]
    except UserError as error:
        return Failed(message=str(error))
    if sent:
        return Completed(message=f"{', '.join(sent)} now in {private_store.named()!r}")
    return Completed(name="Unchanged")
