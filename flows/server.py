"""A Prefect server of our own: found when one is running for this folder, else started as a child that ends with us.

Prefect's home is `.prefect/` in the project unless $PREFECT_HOME says otherwise, so a person's own profile is neither read nor changed
and runs are not sent to a server that nobody named. With $PREFECT_API_URL set, that server is used and none is started.
Ours stands behind `flows.guard`, and asks for a password unless it serves one machine's own pages only.
"""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from flows import access, probe
from flows.running import keeper
from tasks.core import telemetry
from tasks.core.errors import UserError

OWNER = "PAIRWRIGHT_SERVE"  # process id of the `pairwright serve` whose runs see this variable
HOST, PORT = "127.0.0.1", 4200
START_LIMIT = 180.0  # seconds that a server may take to answer: a loaded machine, a first migration of its database
REPORT_LIMIT, STOP_LIMIT = 10.0, 15.0
SIGNAL_AT_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG of prctl(2)
REACHABLE = {"0.0.0.0": HOST, "::": "::1"}  # where this machine reaches a server that listens everywhere


@dataclass(frozen=True)
class Place:
    """Where a server of ours listens, and whom it serves. By itself: for one run, at a free port, without UI and schedules."""

    host: str = HOST
    port: int = 0  # any that is free
    names: tuple[str, ...] = ()  # what it is called elsewhere, behind a proxy for instance
    lasting: bool = False  # the server of `pairwright serve`, with UI and schedules
    password: bool = True  # asked for even from this machine; from others it always is

    @property
    def locked(self) -> bool:
        """Whether the server asks for a password."""
        return self.password or bool(self.names) or not access.is_loopback(self.host)

    @property
    def origin(self) -> str:
        """The server's address as this machine's browsers name it."""
        host = REACHABLE.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


ONE_RUN = Place()


class Api(NamedTuple):
    """Where a Prefect API answers."""

    url: str
    password: str  # nothing where none is asked for
    fresh: bool  # started by us just now, so no run that it holds for running is alive


@contextmanager
def api(place: Place = ONE_RUN) -> Iterator[Api]:
    """A Prefect API, also named in Prefect's own variables: the one in the environment, the one running for this folder, or a child."""
    if there := _given() or _running(place):
        with _announced(there):
            yield there
        return
    with _child(replace(place, port=place.port or _free_port(place.host))) as started, _announced(started):
        try:
            yield started
        finally:
            _report_the_rest()


@contextmanager
def _announced(api: Api) -> Iterator[None]:
    """Prefect, and the runs that it starts, find server and password in the environment."""
    told = {"PREFECT_API_URL": api.url} | ({access.CLIENT_PASSWORD: api.password} if api.password else {})
    before = {name: os.environ.pop(name, None) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _given() -> Api | None:
    """The server that the environment names, if it names one; told when any web page could use it."""
    if not (url := os.environ.get("PREFECT_API_URL", "")):
        return None
    if ours := _ours(url):
        return ours
    if not probe.answers(url):
        raise UserError("PREFECT_API_URL", f"nothing that answers at {url}", "a Prefect server", "start it, or unset the variable")
    password = os.environ.get(access.CLIENT_PASSWORD, "")
    probe.demand_entry(url, password)
    if open_how := probe.openness(url):
        sys.stderr.write(
            f"warning: PREFECT_API_URL: {open_how}, so any web page that you visit can run commands through {url}; "
            f"give it a password ({access.SERVER_PASSWORD}), or unset the variable for a server of our own\n"
        )
    return Api(url, password, fresh=False)


def _running(place: Place) -> Api | None:
    """The lasting server of this folder, if it runs: where it is to listen, or where it said it does."""
    note = _note()
    url = f"{place.origin}/api" if place.lasting else note.read_text(encoding="utf-8").strip() if note.is_file() else ""
    if not url:
        return None
    if place.lasting and not probe.ours(url) and probe.answers(url):
        found = "a Prefect server that is not this folder's" + (f", and {how}" if (how := probe.openness(url)) else "")
        remedy = f"end it, take another --port, or set PREFECT_API_URL={url} to use it all the same"
        raise UserError(f"port {place.port}", found, "a free port", remedy)
    return _ours(url)


def _ours(url: str) -> Api | None:
    """The server, if it is this folder's."""
    if not probe.ours(url):
        return None
    password = os.environ.get(access.CLIENT_PASSWORD) or access.password()
    probe.demand_entry(url, password)
    return Api(url, password, fresh=False)


def _note() -> Path:
    """Where the address of this folder's lasting server is noted."""
    return access.home() / "server.url"


def _free_port(host: str) -> int:
    with socket.socket() as probe_socket:
        probe_socket.bind((host, 0))
        return int(probe_socket.getsockname()[1])


@contextmanager
def _child(place: Place) -> Iterator[Api]:
    """A server as a child process: up when the block begins, up again when it is killed, gone when the block ends or this process dies."""
    url, note, own = f"{place.origin}/api", _note(), access.password()
    password = os.environ.get(access.SERVER_PASSWORD) or (own if place.locked else "")
    child = keeper.Kept(functools.partial(_start, place, password), functools.partial(_wait, url))
    try:
        child.start()
        if place.lasting:
            note.write_text(url, encoding="utf-8")
        yield Api(url, password, fresh=True)
    finally:
        if place.lasting:
            note.unlink(missing_ok=True)
        child.stop(STOP_LIMIT)


def _log() -> Path:
    return access.home() / "server.log"


def _start(place: Place, password: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "uvicorn", "--factory", "flows.app:create", "--host", place.host, "--port", str(place.port)]
    with _log().open("w", encoding="utf-8") as stream:
        return subprocess.Popen(
            command,
            env=_environment(place, password),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; the server must outlive the runs that still report to it
            preexec_fn=_dying_with_parent(signal.SIGTERM),
        )


def _environment(place: Place, password: str) -> dict[str, str]:
    """The server's environment. The UI calls the API on the address that it came from, so any host, port or proxy will do."""
    inherited = {key: value for key, value in os.environ.items() if key not in ("PREFECT_API_URL", access.SERVER_PASSWORD)}
    own = {
        "PREFECT_SERVER_UI_API_URL": "/api",
        "PREFECT_SERVER_UI_ENABLED": str(place.lasting),
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": place.origin,
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
    }
    asked = {access.SERVER_PASSWORD: password} if password else {}
    services = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": str(place.lasting) for name in ("SCHEDULER", "LATE_RUNS")}
    return inherited | telemetry.SWITCHES | own | asked | services | access.told(place.host, place.names)


def _dying_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """What the child does first: ask Linux for a signal when its parent dies, so that not even `kill -9` leaves a server behind."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: between fork and exec nothing may be imported
    return lambda: prctl(SIGNAL_AT_PARENTS_DEATH, number) and None


def _report_the_rest() -> None:
    """Let Prefect hand in what it has not reported yet: once the server is gone, this process would wait for it in vain."""
    if "prefect" in sys.modules:
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        for worker in (APILogWorker, EventsWorker):
            worker.drain_all(timeout=REPORT_LIMIT)


def die_with_parent() -> None:
    """End this process when the `pairwright serve` that started it dies; nothing in a process that was started otherwise."""
    dying = _dying_with_parent(
        signal.SIGKILL
    )  # politely, it would go on trying to report to a server that is gone; its stage ends then too
    if dying and os.environ.get(OWNER) == str(os.getppid()):
        dying()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when the server answers; a UserError with the reason when it ends or takes too long."""
    log = _log()
    deadline = time.monotonic() + START_LIMIT
    while not probe.ours(url):
        if process.poll() is not None or time.monotonic() > deadline:
            words = _telling(log.read_text(encoding="utf-8", errors="replace"))
            raise UserError(f"Prefect server at {url}", words or "no answer", "a server that answers", f"see {log}, or try another --port")
        time.sleep(0.25)


def _telling(log: str) -> str:
    """The first error in a server's log, or else its last words."""
    errors = (line.partition(" - ")[2] for line in log.splitlines() if "| ERROR " in line)
    return next(errors, "") or " ".join(log.split()[-25:])
