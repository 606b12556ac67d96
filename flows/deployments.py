"""The deployments of `prefect.yaml`, served from this process; the same file works with `prefect deploy --all` and a work pool."""

from __future__ import annotations

import asyncio
import importlib
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from flows.entrypoint import parts
from tasks.core import telemetry  # noqa: F401  (before prefect: switches its usage reports off)

from prefect import Flow  # isort: skip
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.schedules import Cron, Interval, RRule, Schedule
from prefect.types.entrypoint import EntrypointType

from tasks.core.errors import UserError

FILE = Path("prefect.yaml")


def _untraced(record: logging.LogRecord) -> bool:
    """Let the line pass without its traceback: Prefect asks again by itself when its server was away for a moment."""
    record.exc_info = record.exc_text = None
    return True


logging.getLogger("prefect.FlowRunCancellingObserver").addFilter(_untraced)


def read(cron: str | None = None) -> list[RunnerDeployment]:
    """All deployments of the file; `cron` takes the place of the times of every schedule."""
    if not FILE.is_file():
        raise UserError(str(FILE.absolute()), "no such file", "the deployments", "run the command in the project's folder")
    document = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return [_deployment(entry, cron) for entry in document["deployments"]]


def serve_all(deployments: list[RunnerDeployment]) -> None:
    """Serve until stopped. Schedules stay active after that: a restart must not silence the nightly run."""
    runner = _Runner(pause_on_shutdown=False)
    for deployment in deployments:
        runner.add_deployment(deployment)
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(runner.start())


class _Runner(Runner):
    """Prefect's runner, but SIGTERM ends it in order; its own handler leaves its cleaning up unawaited."""

    async def start(self, run_once: bool = False, webserver: bool | None = None) -> None:
        self._main = asyncio.current_task()
        await super().start(run_once, webserver)

    def handle_sigterm(self, *args: object, **kwargs: object) -> None:
        assert self._main
        self._main.get_loop().call_soon_threadsafe(self._main.cancel)


def _deployment(entry: dict[str, Any], cron: str | None) -> RunnerDeployment:
    module, name = parts(entry["entrypoint"])
    flow: Flow[..., Any] = getattr(importlib.import_module(module), name)
    made = flow.to_deployment(
        name=entry["name"],
        description=entry.get("description"),
        tags=entry.get("tags"),
        parameters=entry.get("parameters"),
        schedules=[_schedule(schedule, cron) for schedule in entry.get("schedules", ())],
        concurrency_limit=_limit(entry.get("concurrency_limit")),
        enforce_parameter_schema=entry.get("enforce_parameter_schema", True),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    assert isinstance(made, RunnerDeployment)  # a coroutine only where an event loop runs
    return made


def _schedule(entry: dict[str, Any], cron: str | None) -> Schedule:
    """A schedule of the file. Its slug keeps it one and the same over restarts."""
    shared: dict[str, Any] = {key: entry[key] for key in ("timezone", "slug", "active", "parameters") if key in entry}
    if cron or "cron" in entry:
        return _cron(cron or entry["cron"], shared)
    if "rrule" in entry:
        return RRule(entry["rrule"], **shared)
    return Interval(entry["interval"], **shared)


def _cron(text: str, shared: dict[str, Any]) -> Schedule:
    try:
        return Cron(text, **shared)
    except ValueError as error:
        raise UserError(
            "cron", repr(text), "five fields: minute hour day month weekday", 'e.g. "0 3 * * *", every night at three'
        ) from error


def _limit(entry: int | dict[str, Any] | None) -> int | ConcurrencyLimitConfig | None:
    return ConcurrencyLimitConfig(**entry) if isinstance(entry, dict) else entry
