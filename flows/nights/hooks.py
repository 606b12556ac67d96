"""What a run does at its beginning and at its end, however it ends: its log, its figures, and who is told.

Hooks of Prefect's, so that they run also after a failure or a crash. None of them can change how the run ended.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from flows.nights import journal, levels, notify, place, prometheus
from flows.nights.gates import PASS, STOP, WARN, worst
from flows.stage_tasks import Told
from tasks.core.errors import UserError

from prefect.logging.loggers import flow_run_logger  # isort: skip  (after flows.stage_tasks, which switches usage reports off first)

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State

P = ParamSpec("P")
T = TypeVar("T")


def logged(flow_function: Callable[P, T]) -> Callable[P, T]:
    """The flow's function, which first begins the log of the run; what the gates found in an earlier one no longer stands.

    To be held by `alone`: a run that waits must not take the log away from the one at work.
    """

    @functools.wraps(flow_function)
    def begun(*given: P.args, **named: P.kwargs) -> T:
        (place.folder() / place.GATES).unlink(missing_ok=True)
        journal.begin()
        return flow_function(*given, **named)

    return begun


def report_run(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Write the figures of a run that ended, tell whoever wants to be told, and end the log."""
    log = flow_run_logger(flow_run, flow)
    for line in _reported(flow.name, flow_run, state):
        log.warning(line)
    if not state.is_completed():
        log.error("Ended as %s: %s", state.name, state.message)
    journal.end()


def _reported(flow: str, run: FlowRun, state: State[Any]) -> Iterator[str]:
    """The lines about what went wrong on the way."""
    outcomes, found = told(state), findings()
    ended = time.time()
    began = run.start_time.timestamp() if run.start_time else ended
    gates = {name: worst(one["verdict"] for one in found if one["gate"] == name) for name in {one["gate"] for one in found}}
    try:
        text = prometheus.render(prometheus.metrics(flow, outcomes, success=state.is_completed(), began=began, ended=ended, gates=gates))
        prometheus.write(text)
        yield from notify.tell(events(state, found), *message(flow, outcomes, state, found))
    except (OSError, UserError) as error:
        yield f"the end of the run is not told: {error}"


def told(state: State[Any]) -> list[Told]:
    """What each step did, from the final state; nothing of a run that crashed."""
    data: Any = state.result(raise_on_failure=False) if state.is_completed() or state.is_failed() else None
    steps: list[Told] = data if isinstance(data, list) else getattr(data, "outcomes", [])
    return steps


Row = dict[str, Any]


def findings() -> list[Row]:
    """What the gates of this run found."""
    path = place.folder() / place.GATES
    found: list[Row] = json.loads(path.read_bytes()) if path.is_file() else []
    return found


def events(state: State[Any], found: Iterable[Row]) -> set[notify.Event]:
    """What there is to tell of a run."""
    verdicts = {(one["gate"], one["verdict"]) for one in found if one["verdict"] != PASS}
    happened: set[notify.Event] = {"drift" if gate in levels.DRIFT else "warn" for gate, verdict in verdicts if verdict == WARN}
    if any(verdict == STOP for _, verdict in verdicts):
        return happened | {"stop"}
    return happened if state.is_completed() else happened | {"failure"}


def message(flow: str, outcomes: Iterable[Told], state: State[Any], found: Iterable[Row]) -> tuple[str, str]:
    """Subject and text: the project's folder, how the run and its steps ended, and each finding of the gates."""
    ending = "ended well" if state.is_completed() else "was stopped by a gate" if "stop" in events(state, found) else "failed"
    steps = ", ".join(f"{one['stage']} {one['state'].lower()}" for one in outcomes)
    lines = [_line(one) for one in found if one["verdict"] != PASS]
    log = f"log: {place.folder() / place.LOG}"
    return f"Pairwright: {flow} {ending} in {Path.cwd().name}", "\n".join(filter(None, (f"steps: {steps}" if steps else "", *lines, log)))


def _line(found: Row) -> str:
    return f"{found['gate']}: {found['verdict']}: {found['item']} was {found['was']}, is {found['is']}, level {found['level']}"
