"""Events of the run that is under way: written to its file, and sent to the receiver where one is named.

A receiver that is away stops no run: after the tries that `runs.retries` allows, the rest of the run's events stay in the file alone.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from flows import dvc
from flows.openlineage import events
from flows.openlineage.settings import Params, load
from flows.running import retry
from tasks.common import salt
from tasks.core.errors import UserError

from prefect.runtime import flow_run  # isort: skip

FOLDER = salt.FOLDER / "lineage"
ENDPOINT = "/api/v1/lineage"
KEY = "OPENLINEAGE_API_KEY"  # the name that OpenLineage's own clients read; a secret stands in no file
FINAL = range(400, 500)  # answers that another try would not change


@dataclass
class Channel:
    """Where a run's events go."""

    run: events.Run
    settings: Params
    away: bool = False

    def put(self, event: events.Event, warn: dvc.Say) -> None:
        """Write an event, and send it."""
        path = self.file()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(events.line(event))
        if self.settings.url and not self.away:
            self.away = not _sent(event, self.settings, warn)

    def file(self) -> Path:
        """The run's file."""
        return FOLDER / f"{self.run.id}.jsonl"


_open: dict[str, Channel] = {}  # by flow run


def _channel(warn: dvc.Say) -> Channel | None:
    """The channel of the run that is under way, opened by its first stage; none where events are off."""
    number = str(flow_run.id or "")
    if number in _open or not number:
        return _open.get(number)
    settings = load()
    if settings is None:
        return None
    made = _open[number] = Channel(events.Run(UUID(number), str(flow_run.flow_name), settings.namespace), settings)
    made.put(events.of_run(made.run, "START"), warn)
    return made


@contextmanager
def stage(name: str, warn: dvc.Say) -> Iterator[None]:
    """Tell of a stage that it starts, and how it ends."""
    channel = _channel(warn)
    if channel is None:
        yield
        return
    channel.put(events.of_stage(channel.run, name, "START"), warn)
    try:
        yield
    except (dvc.StageError, UserError) as error:
        channel.put(events.of_stage(channel.run, name, "FAIL", str(error)), warn)
        raise
    channel.put(events.of_stage(channel.run, name, "COMPLETE"), warn)


def end(error: str, warn: dvc.Say) -> None:
    """Tell how the run under way ended; nothing where it ran no stage."""
    channel = _open.pop(str(flow_run.id or ""), None)
    if channel:
        channel.put(events.of_run(channel.run, "FAIL" if error else "COMPLETE", error), warn)


def _sent(event: events.Event, settings: Params, warn: dvc.Say) -> bool:
    """Whether the receiver took the event."""
    request = _request(event, settings)
    try:
        retry.patiently(f"{settings.url} took no event", lambda: _send(request, settings.timeout), transient=_passing, say=warn)
    except OSError as error:
        warn(f"Events of this run are in its file alone, since {settings.url} did not take one: {error}")
        return False
    return True


def _send(request: urllib.request.Request, seconds: float) -> None:
    with urllib.request.urlopen(request, timeout=seconds):
        pass


def _passing(error: Exception) -> bool:
    """Whether another try may go better."""
    return isinstance(error, OSError) and not (isinstance(error, urllib.error.HTTPError) and error.code in FINAL)


def _request(event: events.Event, settings: Params) -> urllib.request.Request:
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY):
        headers["Authorization"] = f"Bearer {key}"
    return urllib.request.Request(settings.url.rstrip("/") + ENDPOINT, json.dumps(event).encode(), headers)
