"""Flow runs whose process is gone: each run says on the server which process it is, so that a later one can mark it as crashed.

A server hears nothing of a process that was killed. Its run would stand there as running for ever, and take the place of another.
Only runs of this folder on this machine are judged: of others nobody here can say whether they live.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from tasks.core import telemetry  # noqa: F401  (before prefect: switches its usage reports off)

from prefect.client.orchestration import get_client  # isort: skip
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed

from flows.running import lock, process

PREFIX = "pairwright."
UNFINISHED = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


def sign(run: UUID) -> None:
    """Say on the server that this process is the run."""
    me = process.me()
    labels: dict[str, bool | int | float | str] = {
        f"{PREFIX}{key}": str(value) for key, value in {**me._asdict(), "workspace": _workspace()}.items()
    }
    with get_client(sync_client=True) as client:
        client.update_flow_run_labels(run, labels)


def mark(*, fresh: bool) -> int:
    """Mark this folder's runs that are dead as crashed; how many there were.

    Args:
        fresh: The server was started just now, by us. Then runs that have not said yet which process they are count as dead, too, unless
            somebody is at work here.
    """
    alive = FlowRunFilterState(type=FlowRunFilterStateType(any_=UNFINISHED))
    nameless_too = fresh and lock.holder() is None
    marked = 0
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(state=alive)):
            if why := _death(run.labels, nameless_too):
                client.set_flow_run_state(run.id, Crashed(message=why), force=True)
                marked += 1
    return marked


def _workspace() -> str:
    return str(Path.cwd().resolve())


def _death(labels: Mapping[str, Any], nameless_too: bool) -> str:
    """Why a run is dead, from its labels; nothing where it lives, or where nobody here can tell."""
    said = {key.removeprefix(PREFIX): str(value) for key, value in labels.items() if key.startswith(PREFIX)}
    if not said:
        return "It ended with the server that it reported to" if nameless_too else ""
    who = process.Identity(said.get("host", ""), int(said.get("pid", 0)), said.get("started", ""))
    if said.get("workspace") != _workspace() or not who.here or who.alive:
        return ""
    return f"Its process, {who.pid} on {who.host}, ended without a word: killed, or the machine stopped"
