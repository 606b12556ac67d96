"""A Prefect server of our own: found when one is running for this folder, else started as a child that ends with us.

Prefect's home is `.prefect/` in the project unless $PREFECT_HOME says otherwise, so a person's own profile is neither read nor changed
and runs are not sent to a server that nobody named. With $PREFECT_API_URL set, that server is used and none is started.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tasks.core import telemetry
from tasks.core.errors import UserError

OWNER = "PAIRWRIGHT_SERVE"  # process id of the `pairwright serve` whose runs see this variable
HOST, PORT = "127.0.0.1", 4200
START_LIMIT = 180.0  # seconds that a server may take to answer: a loaded machine, a first migration of its database
REPORT_LIMIT, STOP_LIMIT = 10.0, 15.0
SIGNAL_AT_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG of prctl(2)


class Api(NamedTuple):
    """Where a Prefect API answers."""

    url: str
    fresh: bool  # started by us just now, so no run that it holds for running is alive


def home() -> Path:
    """Prefect's home for this project; put into the environment, so it must be called before prefect is imported."""
    return Path(os.environ.setdefault("PREFECT_HOME", str(Path.cwd() / ".prefect")))


def answers(url: str) -> bool:
    """Whether a Prefect API answers at the URL."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200 and answer.read().strip() == b"true")
    except (urllib.error.URLError, OSError, ValueError):
        return False


@contextmanager
def api(host: str = HOST, port: int = 0, *, lasting: bool = False) -> Iterator[Api]:
    """A Prefect API, its URL also set as $PREFECT_API_URL: the one in the environment, the one running for this folder, or a child.

    `lasting` is the server of `pairwright serve`, with UI and schedules; otherwise one without them, on a free port, for one run.
    """
    given = os.environ.get("PREFECT_API_URL") or (f"http://{host}:{port}/api" if lasting else _noted())
    if given and answers(given):
        os.environ["PREFECT_API_URL"] = given
        yield Api(given, fresh=False)
        return
    if os.environ.get("PREFECT_API_URL"):
        raise UserError("PREFECT_API_URL", f"nothing that answers at {given}", "a Prefect server", "start it, or unset the variable")
    with _child(host, port or _free_port(host), lasting) as url:
        os.environ["PREFECT_API_URL"] = url
        try:
            yield Api(url, fresh=True)
        finally:
            _report_the_rest()


def _noted() -> str:
    """The URL of the lasting server of this folder, if one was noted."""
    note = home() / "server.url"
    return note.read_text(encoding="utf-8").strip() if note.is_file() else ""


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def _child(host: str, port: int, lasting: bool) -> Iterator[str]:
    """A server as a child process: up when the block begins, gone when it ends or when this process dies."""
    url, log, note = f"http://{_reachable(host)}:{port}/api", home() / "server.log", home() / "server.url"
    home().mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "uvicorn", "--factory", "flows.app:create", "--host", host, "--port", str(port)]
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            command,
            env=_environment(lasting),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; the server must outlive the runs that still report to it
            preexec_fn=_dying_with_parent(signal.SIGTERM),
        )
    try:
        _wait(process, url, log)
        if lasting:
            note.write_text(url, encoding="utf-8")
        yield url
    finally:
        if lasting:
            note.unlink(missing_ok=True)
        _end(process)


def _reachable(host: str) -> str:
    return HOST if host in ("0.0.0.0", "::") else host


def _environment(lasting: bool) -> dict[str, str]:
    """The server's environment. The UI calls the API on the address that it came from, so any host, port or proxy will do."""
    inherited = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    own = {"PREFECT_SERVER_UI_API_URL": "/api", "PREFECT_SERVER_UI_ENABLED": str(lasting)}
    services = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": str(lasting) for name in ("SCHEDULER", "LATE_RUNS")}
    return inherited | telemetry.SWITCHES | own | services


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


def tie() -> None:
    """End this process when the `pairwright serve` that started it dies; nothing in a process that was started otherwise."""
    dying = _dying_with_parent(
        signal.SIGKILL
    )  # politely, it would go on trying to report to a server that is gone; its stage is on a leash
    if dying and os.environ.get(OWNER) == str(os.getppid()):
        dying()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Return when the server answers; a UserError with its last word when it ends or takes too long."""
    deadline = time.monotonic() + START_LIMIT
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            words = " ".join(log.read_text(encoding="utf-8", errors="replace").split()[-25:])
            raise UserError(f"Prefect server at {url}", words or "no answer", "a server that answers", f"see {log}, or try another --port")
        time.sleep(0.25)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
