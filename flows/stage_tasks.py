"""Walk stages of `dvc.yaml` in Prefect: one task run a stage, named as the stage, in the order of the file.

A task asks DVC whether its stage is stale. If so it runs the stage and ends as Completed; if not it ends as Completed under another name
(`Unchanged`, or `Skipped` for training; `Restored` where an earlier run's outputs came from the cache), so that the UI tells them apart.
A failure is a state with the stage's own line, no traceback.
DVC's cache is the only one: Prefect's result cache is off, because a hit there would not put the files back.
"""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ParamSpec, TypedDict, cast
from uuid import UUID

from tasks.core import (
    pipeline,
    telemetry,  # noqa: F401  (before prefect: switches its usage reports off)
)

from prefect import task  # isort: skip
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows import artifacts, dead_runs, dvc, server
from flows.log_lines import Levels
from flows.openlineage import emit
from flows.report import ledger_rows
from flows.running import lock
from flows.running.waiting import once_free
from tasks.core.errors import UserError

# states of a step after which a run goes on
WELL = frozenset({"Completed", "Restored", "Unchanged", "Skipped", "Published", "Owed", "Passed", "Warned"})
DONE = {"ran": "Completed", "restored": "Restored"}  # states of stages whose outputs are new here
Log = logging.Logger | logging.LoggerAdapter[logging.Logger]
P = ParamSpec("P")


@dataclass(frozen=True)
class Outcome:
    """What became of one stage in this run."""

    stage: str
    state: str  # Completed, Restored (outputs of an earlier run), Unchanged, Skipped, Failed
    seconds: float
    message: str


class Told(TypedDict):
    """An `Outcome`, as the flow's result holds it."""

    stage: str
    state: str
    seconds: float
    message: str


class StagesFailedError(Exception):
    """A run whose stages did not all succeed, with what became of each."""

    def __init__(self, message: str, outcomes: list[Told]) -> None:
        super().__init__(message)
        self.outcomes = outcomes


def _needed(record: logging.LogRecord) -> bool:
    """Whether a record of Prefect's says anything new: it tells a stage's failure again, with its own frames."""
    kind = record.exc_info[0] if record.exc_info else None
    if kind is None:
        record.exc_info = None  # the traceback of no exception prints as `NoneType: None`
    return kind is None or not issubclass(kind, StagesFailedError)


for _name in ("prefect.task_runs", "prefect.flow_runs", "prefect.engine"):
    logging.getLogger(_name).addFilter(_needed)


def alone(flow_function: Callable[P, State[list[Told]]]) -> Callable[P, State[list[Told]]]:
    """The flow's function, which works when it has the workspace for itself; a UserError becomes the run's final state."""

    @functools.wraps(flow_function)
    def held(*given: P.args, **named: P.kwargs) -> State[list[Told]]:
        server.die_with_parent()
        what = f"flow {flow_function.__name__}, run {flow_run.name}"
        if flow_run.id:
            dead_runs.sign(UUID(flow_run.id))
        try:
            with lock.hold(what, say=get_run_logger().warning):
                dead_runs.mark(fresh=False)
                return flow_function(*given, **named)
        except UserError as error:
            return Failed(message=str(error), data=StagesFailedError(str(error), []))

    held.__signature__ = inspect.signature(flow_function, eval_str=True)  # type: ignore[attr-defined]  # Prefect looks names up in this module
    return held


def run_stages(names: Sequence[str], idle: str, *, force: bool) -> list[Outcome]:
    """Run the stages one after the other until one fails; what is up to date ends in a state called `idle`."""
    outcomes: list[Outcome] = []
    for name in names:
        started = time.monotonic()
        stage_task = run_stage.with_options(name=name, task_run_name=name, description=pipeline.stage(name).description)
        state: State[Any] = stage_task(name, idle, force, return_state=True)
        outcomes.append(Outcome(name, state.name or state.type.value.title(), time.monotonic() - started, state.message or ""))
        if not state.is_completed():
            break
    return outcomes


@task(cache_policy=NO_CACHE, persist_result=False)
def run_stage(name: str, idle: str, force: bool) -> State[None]:
    """One stage: run it when it is stale, or when it must."""
    log = get_run_logger()
    say = _said_by(log)

    def run() -> State[None]:
        reasons = dvc.stale([name]).get(name, [])
        if not reasons and not force:
            return Completed(name=idle, message="Inputs, code, parameters and outputs are as they were after the last run")
        log.info("Runs because: %s", ", ".join(reasons) or "force was asked for")
        with emit.stage(name, log.warning):
            ran = dvc.reproduce(name, say, force=force)
        return Completed(name="Completed" if ran else "Restored", message=", ".join(reasons))

    try:
        return once_free(run, log.warning)
    except (dvc.StageError, UserError) as failure:
        return Failed(message=str(failure).removeprefix("error: "))


def _said_by(log: Log) -> dvc.Say:
    """What takes the lines of a child, each on its own level; the failure that an error leads to is told by the state."""
    levels = Levels()
    return lambda line: log.log(levels.of(line), line)


def well(outcomes: Iterable[Outcome]) -> bool:
    """Whether all steps so far ended well."""
    return all(outcome.state in WELL for outcome in outcomes)


def conclude(outcomes: Iterable[Outcome], note: str | None = None) -> State[list[Told]]:
    """The flow's final state, whose message ends with the note, and its table of stages, as an artifact of the run."""
    outcomes = list(outcomes)
    artifacts.table("stages", _table(outcomes), "What each stage did, and its rows")
    told = [cast("Told", asdict(outcome)) for outcome in outcomes]
    failed = [outcome for outcome in outcomes if outcome.state not in WELL]
    emit.end(f"{failed[0].stage}: {failed[0].message}" if failed else "", get_run_logger().warning)
    if failed:
        message = f"{failed[0].stage}: {failed[0].message}"
        return Failed(message=message, data=StagesFailedError(message, told))
    done = {word: [outcome.stage for outcome in outcomes if outcome.state == state] for word, state in DONE.items()}
    notes = [outcome.message for outcome in outcomes if outcome.stage not in pipeline.stages()] + [note or ""]
    message = ", ".join(f"{word} {', '.join(names)}" for word, names in done.items() if names) or "nothing had changed"
    message = message[0].upper() + message[1:]
    return Completed(message="; ".join(filter(None, (message, *notes))), data=told)


def _table(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """One row a stage and table, with the counts of the ledger."""
    rows: list[dict[str, Any]] = []
    for outcome in outcomes:
        head = {"stage": outcome.stage, "state": outcome.state, "seconds": round(outcome.seconds, 1)}
        stage = pipeline.stages().get(outcome.stage)  # none for what is no stage, such as publishing
        counts = (ledger_rows(stage) if stage and outcome.state in WELL else []) or [{}]  # the ledger of a failed one is of an earlier run
        rows += [{**head, **{key: entry.get(key, "") for key in ("table", "in", "made", "kept", "dropped")}} for entry in counts]
    return rows
