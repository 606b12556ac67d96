"""The gates as a step of a run: a Prefect task of its own, with a table as its artifact."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from flows import artifacts
from flows.nights import gates, place, telling
from flows.stage_tasks import Outcome
from tasks.core.errors import UserError

from prefect import task  # isort: skip  (after flows.stage_tasks, which switches usage reports off first)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

NAME = "gates"
PASSED, WARNED, STOPPED = "Passed", "Warned", "Stopped"


def hold(accept: Sequence[str]) -> Outcome:
    """Compare the build with the last version; a failed outcome where a gate stops the run."""
    started = time.monotonic()
    step = _hold.with_options(name=NAME, task_run_name=NAME, description="This build against the newest published version")
    state: State[Any] = step(list(accept), return_state=True)
    return Outcome(NAME, state.name or state.type.value.title(), time.monotonic() - started, state.message or "")


@task(cache_policy=NO_CACHE, persist_result=False)
def _hold(accept: list[str]) -> State[None]:
    log = get_run_logger()
    try:
        verdict = gates.judge(accept)
    except UserError as error:
        return Failed(message=str(error))
    if verdict.against is None:
        log.info(telling.NO_VERSION)
        return Completed(name=PASSED, message="")
    table = [dict(zip(gates.HEAD, finding.row, strict=True)) for finding in verdict.rows()]
    place.write(place.GATES, json.dumps(table, indent=1) + "\n")
    artifacts.table(NAME, table, f"This build against {verdict.against}")
    for finding in verdict.having(gates.WARN):
        log.warning(finding.line)
    for finding in verdict.having(gates.STOP):
        log.error(finding.line)
    if verdict.state == gates.STOP:
        return Failed(name=STOPPED, message=telling.stopped(verdict))
    if verdict.state == gates.WARN:
        return Completed(name=WARNED, message=telling.warned(verdict))
    return Completed(name=PASSED, message="")
