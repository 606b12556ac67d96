"""Claims about commands of the pages that run until somebody stops them: servers and workers, each started as its page says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.builders import toys, transcripts
from tests.builders.browser import wait_for
from tests.builders.served import ask, finished, free_port, serving

pytestmark = pytest.mark.slow

SERVERS = {  # command of a page: what it says once it is at work, or that the packages are missing which the page names
    "tensorboard --logdir data/reports": r"TensorBoard \S+ at http",
    "transformers serve data/models/final": r"Uvicorn running|Install with `pip install transformers\[serving\]`",
}


@contextmanager
def started(root: Path, command: str, says: str, **more: str) -> Iterator[None]:
    """The command, once it says that; killed in the end, with all its processes."""
    log = root.parent / "command.log"
    env = transcripts.environment(**more)
    with log.open("w") as stream:
        process = subprocess.Popen(
            ["bash", "-c", command], cwd=root, env=env, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for(lambda: re.search(says, log.read_text()) or process.poll() is not None, f"{command} did not start", 200)
        assert re.search(says, log.read_text()), log.read_text()[-3000:]
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # a worker may take minutes to end in order
        process.wait(60)


def test_a_worker_runs_what_was_deployed(tmp_path: Path) -> None:
    root, port = toys.make(tmp_path / "toy"), free_port()
    with serving(root, port, "--name", "desk.example.org"):
        password = (root / ".prefect" / "password").read_text().strip()
        known = {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "PREFECT_API_AUTH_STRING": password}
        with started(root, "prefect work-pool create pairwright --type process", "Created work pool", **known):
            pass
        with started(root, "prefect deploy --all", "'retention/retention' successfully", **known):
            pass
        with started(root, "prefect worker start --pool pairwright", "Worker .* started", **known):
            (nightly,) = ask(port, "deployments/filter", password, deployments={"name": {"any_": ["nightly"]}})
            assert nightly["work_pool_name"] == "pairwright"
            ask(port, f"deployments/{nightly['id']}/create_flow_run", password)
            (run,) = finished(port, 1, password=password)
            assert run["state"]["name"] == "Completed"


@pytest.mark.parametrize("command", SERVERS)
def test_servers_of_other_programs_start(command: str, tmp_path: Path) -> None:
    (tmp_path / "desk" / "data" / "reports").mkdir(parents=True)
    with started(tmp_path / "desk", command, SERVERS[command]):
        pass
