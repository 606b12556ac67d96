"""`pairwright serve` as tests start it, and questions to its API."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.builders import toys
from tests.builders.browser import wait_for

# Read by every Python that the test starts: notes each host that the process asks the address of, or connects to.
SPY = """
import os, socket
def watched(real):
    def call(*arguments, **keywords):
        given = [*arguments, *keywords.values()]
        place = next((value for value in given if isinstance(value, (str, bytes, tuple))), "local")
        host = place[0] if isinstance(place, tuple) else place
        with open(os.environ["SPY"], "a") as stream:
            stream.write((host.decode() if isinstance(host, bytes) else str(host)) + "\\n")
        return real(*arguments, **keywords)
    return call
socket.getaddrinfo = watched(socket.getaddrinfo)
class Socket(socket.socket):
    connect = watched(socket.socket.connect)
    connect_ex = watched(socket.socket.connect_ex)
socket.socket = Socket
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(root: Path, port: int, *options: str) -> Iterator[Path]:
    """`pairwright serve` in the project, its output in the file that is given; ended by SIGTERM, with nothing left behind."""
    log = root.parent / "serve.log"
    spy = root.parent / "spy"
    spy.mkdir(exist_ok=True)
    (spy / "sitecustomize.py").write_text(SPY)
    env = toys.environment(SPY=str(root.parent / "hosts.txt"))
    env["PYTHONPATH"] = f"{spy}{os.pathsep}{env['PYTHONPATH']}"
    command = [sys.executable, "-m", "flows.cli", "serve", "--port", str(port), *options]
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=root, env=env, stdout=stream, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: "Prefect UI:" in log.read_text() or process.poll() is not None, "the server did not start", 200)
        assert process.poll() is None, log.read_text()
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()[-3000:]
    assert "Traceback" not in log.read_text()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)), "the server outlived the command"


def ask(port: int, path: str, password: str = "", method: str = "POST", **body: object) -> Any:
    """Answer of the server's API, asked as a program that keeps its rules does: with a token, and the password if there is one."""
    headers = {"Content-Type": "application/json", "Prefect-Csrf-Client": "test"}
    if password:
        headers["Authorization"] = f"Basic {base64.b64encode(password.encode()).decode()}"
    token = urllib.request.Request(f"http://127.0.0.1:{port}/api/csrf-token?client=test", headers=headers)
    with urllib.request.urlopen(token, timeout=30) as answer:
        headers["Prefect-Csrf-Token"] = json.load(answer)["token"]
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/{path}", json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or "null")


def finished(port: int, count: int, seconds: float = 150, password: str = "") -> list[dict[str, Any]]:
    """The flow runs in the order of their start, once at least `count` have ended."""

    def look() -> list[dict[str, Any]] | None:
        runs = [run for run in ask(port, "flow_runs/filter", password, sort="START_TIME_ASC") if run["end_time"]]
        return runs if len(runs) >= count else None

    runs: list[dict[str, Any]] = wait_for(look, f"no {count} runs ended in time", seconds)
    return runs
