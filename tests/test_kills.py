"""Claims about what is killed, cancelled or left waiting, with a real server: the next run finds all in order. Minutes long."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows import exit_codes
from tests.benchmarks import kills
from tests.builders import toys
from tests.builders.browser import wait_for
from tests.builders.running import processes
from tests.builders.served import ask, free_port, serving

pytestmark = pytest.mark.slow


def start(port: int, deployment: str = "build/nightly") -> str:
    """Id of a new run of the deployment."""
    name = deployment.partition("/")[2]
    found = wait_for(lambda: [one for one in ask(port, "deployments/filter") if one["name"] == name], f"no deployment {name}", 60)[0]
    return str(ask(port, f"deployments/{found['id']}/create_flow_run", state={"type": "SCHEDULED"})["id"])


def state(port: int, run: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(port, f"flow_runs/{run}", method="GET")["state"]
    return found


def becomes(port: int, run: str, *names: str) -> dict[str, Any]:
    wait_for(lambda: state(port, run)["name"] in names, f"{run} never was {names}", 240)
    return state(port, run)


def test_one_run_waits_for_the_one_at_work_a_third_is_cancelled_and_a_cancelled_one_ends_with_its_stage(tmp_path: Path) -> None:
    root, port = toys.make(tmp_path / "toy"), free_port()
    toys.set_param(root, "first", "wait", 600)
    with serving(root, port) as log:
        becomes(port, start(port, "train/train"), "Failed")  # there is no dataset yet; told in a line, as `serving` sees to
        first = start(port)
        wait_for(lambda: "first: begins" in log.read_text(), "no stage began", 200)
        training, second = start(port, "train/train"), start(port)
        wait_for(lambda: log.read_text().count("waiting for flow build, run ") == 2, "the others do not wait", 120)
        assert "first: begins" in (root / "data" / "reports" / "run" / "log.jsonl").read_text(), "the log of the one at work was taken away"
        third = start(port)
        assert becomes(port, third, "Cancelled")["message"] == "Deployment concurrency limit reached."
        said = toys.pairwright(root, "status")
        assert "at work here: flow build, run " in said.stdout
        assert "first: running: dvc" in said.stdout
        toys.set_param(root, "first", "wait", 0)
        ask(port, f"flow_runs/{first}/set_state", state={"type": "CANCELLING"}, force=False)
        becomes(port, first, "Cancelled")
        wait_for(lambda: not list(processes("-m toys first", root)) or "first: ends" in log.read_text(), "the stage goes on", 60)
        assert becomes(port, second, "Completed", "Failed")["name"] == "Completed"
        becomes(port, training, "Completed", "Failed")  # either, as it came before the dataset was made or after


def test_after_serve_was_killed_its_stage_ends_its_run_is_marked_and_the_next_one_goes(tmp_path: Path) -> None:
    root, port = toys.make(tmp_path / "toy"), free_port()
    toys.set_param(root, "first", "wait", 600)
    log = tmp_path / "killed.log"
    with log.open("w") as stream:
        command = [sys.executable, "-m", "flows.cli", "serve", "--port", str(port)]
        serve = subprocess.Popen(command, cwd=root, env=toys.environment(), stdout=stream, stderr=subprocess.STDOUT)
    wait_for(lambda: "Prefect UI:" in log.read_text(), "no server", 200)
    dead = start(port)
    wait_for(lambda: "first: begins" in log.read_text(), "no stage began", 200)
    serve.kill()
    serve.wait()
    wait_for(lambda: not list(processes("-m toys first", root)), "the stage outlived what ran it", 60)
    toys.set_param(root, "first", "wait", 0)
    with serving(root, port) as log:
        assert "marked as crashed: 1 runs whose process is gone" in log.read_text()
        assert state(port, dead)["name"] == "Crashed"
        assert "ended without a word" in state(port, dead)["message"]
        assert becomes(port, start(port), "Completed", "Failed")["name"] == "Completed"
        killed = start_and_kill(root, port, log)
        assert becomes(port, killed, "Crashed")["name"] == "Crashed"


def start_and_kill(root: Path, port: int, log: Path) -> str:
    """A run whose own process is killed while its stage works."""
    toys.set_param(root, "first", "wait", 601)
    began = log.read_text().count("first: begins")
    run = start(port)
    wait_for(lambda: log.read_text().count("first: begins") > began, "no stage began", 200)
    (pid,) = processes("prefect", root)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not list(processes("-m toys first", root)), "the stage outlived its run", 60)
    return run


def at_work(root: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """`pairwright run` with its first stage at work, and what it says."""
    log = root.parent / "run.log"
    with log.open("w") as stream:
        command = [sys.executable, "-m", "flows.cli", "run"]
        run = subprocess.Popen(command, cwd=root, env=toys.environment(), stdout=stream, stderr=subprocess.STDOUT)
    wait_for(lambda: "first: begins" in log.read_text() or run.poll() is not None, "no stage began", 200)
    assert run.poll() is None, log.read_text()
    return run, log


def test_a_server_killed_under_a_run_is_started_again_and_the_run_ends_well(tmp_path: Path) -> None:
    root = toys.make(tmp_path / "toy")
    for stage in toys.CHAIN:
        toys.set_param(root, stage, "wait", 5)
    run, log = at_work(root)
    (server,) = processes("uvicorn --factory", root)
    os.kill(server, signal.SIGKILL)
    assert run.wait(300) == 0, log.read_text()
    assert "note: Prefect's server ended (exit code -9); started again" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_run_whose_server_cannot_come_back_ends_at_once_with_one_line_and_its_stage(tmp_path: Path) -> None:
    root = toys.make(tmp_path / "toy")
    toys.set_param(root, "first", "wait", 600)
    run, log = at_work(root)
    (server,) = processes("uvicorn --factory", root)
    port = int(Path(f"/proc/{server}/cmdline").read_text().rstrip("\0").rpartition("\0")[2])
    os.kill(server, signal.SIGKILL)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wait_for(lambda: bound(taken, port), "the killed server keeps its port", 60)
        assert run.wait(200) == exit_codes.FAILED, log.read_text()
    wait_for(lambda: not list(processes("-m toys first", root)), "the stage outlived its run", 60)
    last = log.read_text().splitlines()[-1]
    assert re.match(r"error: Prefect server at .*address already in use; .*\(earlier outputs are as they were\)$", last), last
    assert "Traceback" not in log.read_text()


def bound(taken: socket.socket, port: int) -> bool:
    """Whether the port could be taken, so that nobody else gets it."""
    try:
        taken.bind(("127.0.0.1", port))
        taken.listen()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_ends_with_its_stage_and_one_line_and_is_marked(tmp_path: Path, number: signal.Signals) -> None:
    root = toys.make(tmp_path / "toy")
    toys.set_param(root, "first", "wait", 600)
    run, log = at_work(root)
    run.send_signal(number)
    assert run.wait(200) == 130, log.read_text()
    assert not list(processes("-m toys first", root))
    assert log.read_text().splitlines()[-1] == "stopped; earlier outputs are as they were"
    assert "Traceback" not in log.read_text()


def test_kills_at_random_moments_leave_the_bytes_of_a_run_that_was_never_killed(tmp_path: Path) -> None:
    tally = kills.measure(tmp_path, 4, 1, 1)
    assert not tally.wrong, kills.told(tally)
    assert tally.kills["ended before"] < sum(tally.kills.values()) == 4
