"""All checks, at once and within a few seconds: what the stages' code says comes from a process, all else from threads.

A check that does not end in time is told as such and left behind; it changes nothing, so nothing must be waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from flows.preflight import history, machine, models, remotes, salt, schedules, server, staleness
from flows.preflight.finding import Finding, error, warning
from flows.preflight.stages import Child
from tasks.core import pipeline
from tasks.core.errors import UserError

LIMIT = 4.0  # seconds for what asks the disk, the network and DVC
CODE_LIMIT = 120.0  # seconds for what the stages' own code says, without which nothing may start; two, unless the machine is busy
LEAST = 0.5  # seconds for each, however long the code took
Check = Callable[[], Iterable[Finding]]
# In the order in which they are told; those of the stages' own code come first.
CHECKS: dict[str, Check] = {
    "repository": machine.repository,
    "versions": machine.versions,
    "disk": machine.disk,
    "salt": salt.findings,
    "model": models.findings,
    "environment": history.findings,
    "remotes": remotes.findings,
    "server": server.findings,
    "deployments": schedules.findings,
}
ASKING_DVC: dict[str, Check] = {"stages": staleness.findings}


def all_findings() -> list[Finding]:
    """What `pairwright check` prints."""
    return _found(CHECKS | ASKING_DVC)


def before_run() -> list[Finding]:
    """What `run` asks before it starts anything: all but what it has asked DVC itself, and what only `serve` reads."""
    return _found({name: check for name, check in CHECKS.items() if name != "deployments"})


def before_serve() -> list[Finding]:
    """What `serve` asks before it starts a server."""
    return _found(CHECKS)


def _found(checks: dict[str, Check]) -> list[Finding]:
    """The findings of the stages' code and of these checks, in their order."""
    pipeline.stages()  # a folder without dvc.yaml is told here, once
    child = Child()
    waited = [_Waited(name, check) for name, check in checks.items()]
    end = time.monotonic() + LIMIT
    found = child.findings(CODE_LIMIT)
    return [*found, *(finding for one in waited for finding in one.findings(end))]


class _Waited:
    """A check at work in a thread of its own."""

    def __init__(self, name: str, check: Check) -> None:
        self._name, self._check = name, check
        self._found: list[Finding] = []
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self._found = list(self._check())
        except UserError as fault:
            self._found = [error(self._name, fault)]
        except Exception as fault:  # one of ours: raised where the findings are asked for
            self._fault = fault

    def findings(self, end: float) -> list[Finding]:
        """What it found by then."""
        self._thread.join(max(LEAST, end - time.monotonic()))
        if self._thread.is_alive():
            return [warning(self._name, f"not known within {LIMIT:g} seconds")]
        if self._fault:
            raise self._fault
        return self._found
