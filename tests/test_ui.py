"""Claims about what a person sees in the Prefect UI: a real server, `pairwright serve`, and headless Chromium. Minutes long."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.builders import toys
from tests.builders.browser import browser, missing, wait_for
from tests.builders.served import ask, finished, free_port, serving

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}")]

LOCAL = re.compile(r"127\..*|localhost|::1|local|/.*")
SCROLL = "for (const e of document.querySelectorAll('main *')) { if (e.scrollHeight > e.clientHeight) e.scrollTop = e.scrollHeight }"


def test_person_sees_runs_and_starts_the_nightly_deployment(tmp_path: Path) -> None:
    """The pictures lie in the test's folder; $PAIRWRIGHT_PICTURES names another."""
    root, port = toys.make(tmp_path / "toy"), free_port()
    (tmp_path / "hosts.txt").touch()
    with serving(root, port), browser(tmp_path) as page:
        page.open(f"http://127.0.0.1:{port}/v2/deployments")
        page.see("nightly", "build", "train", "At 03:00 AM")
        page.picture("1_deployments")
        quick_run(page, port)
        (first,) = finished(port, 1)
        log = look_at_run(page, port, first, ["first", "second", "train"], "2_first_run")
        assert log.index("first: begins") < log.index("first: ends") < log.index("second: begins") < log.index("train: ends")
        quick_run(page, port)
        second = finished(port, 2)[1]
        log = look_at_run(page, port, second, ["first", "second", "train", "Skipped"], "3_second_run")
        assert log.index("Unchanged") < log.index("Skipped")
        states = {run["name"]: run["state"]["name"] for run in ask(port, "task_runs/filter", flow_runs={"id": {"any_": [second["id"]]}})}
        assert states == {"first": "Unchanged", "second": "Unchanged", "gates": "Passed", "train": "Skipped"}
        toys.set_param(root, "second", "fate", "fail")
        quick_run(page, port)
        third = finished(port, 3)[2]
        log = look_at_run(page, port, third, ["first", "second"], "4_failed_run")
        assert "error: second: found a cat; expected a dog; feed it" in log
        assert "CalledProcessError" not in log
        assert page.hosts() == {"127.0.0.1"}
    keep_pictures(tmp_path)
    hosts = set((tmp_path / "hosts.txt").read_text().split())
    assert hosts, "the spy saw nothing"
    assert not {host for host in hosts if not LOCAL.fullmatch(host)}


def quick_run(page: Any, port: int) -> None:
    """Start the deployment as a person does, with its own parameters; again where the page was drawn anew under the pointer."""
    started = len(by_hand(port))
    for _ in range(3):
        page.open(f"http://127.0.0.1:{port}/v2/deployments")
        page.click("nightly")
        page.see("Schedules")
        page.click("Run")
        page.click("Quick run")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if len(by_hand(port)) > started:
                return
            time.sleep(0.5)
    raise AssertionError(f"nothing started: {page.text()[:2000]}")


def by_hand(port: int) -> list[dict[str, Any]]:
    """Flow runs that a person started."""
    return [run for run in ask(port, "flow_runs/filter") if not run["auto_scheduled"]]


def look_at_run(page: Any, port: int, run: dict[str, Any], stages: list[str], picture: str) -> str:
    """The log that the run's page shows, after a look at the list of its task runs, which holds the stages in their order."""
    last = wait_for(lambda: last_line(port, run["id"]), "the run's log did not reach the server", 60)  # the page of an ended run asks once
    page.open(f"http://127.0.0.1:{port}/v2/runs/flow-run/{run['id']}")
    log: str = page.see("Beginning flow run", "prefect.flow_runs")
    page.picture(f"{picture}_log")
    wait_for(lambda: page.script(SCROLL) or last in page.text(), lambda: f"no {last!r} in {page.text()[:3000]}", 60)
    log += page.text()  # the page holds no more lines than can be seen
    page.click("Task Runs")
    page.see(*stages)
    page.picture(f"{picture}_tasks")
    return log


def last_line(port: int, run: str) -> str:
    """The last line of the run's log once the server has it; lines are sent in bundles, some seconds after they were said."""
    lines = ask(port, "logs/filter", logs={"flow_run_id": {"any_": [run]}}, sort="TIMESTAMP_ASC", limit=200)
    told = (line["message"] for line in lines if line["name"] == "prefect.flow_runs")
    return next((message for message in told if "Finished in state" in message), "")


def keep_pictures(folder: Path) -> None:
    """Copy the screenshots to the folder that a person asked for."""
    if wanted := os.environ.get("PAIRWRIGHT_PICTURES"):
        for picture in folder.glob("*.png"):
            shutil.copy(picture, wanted)


def test_schedule_fires_by_itself_and_again_after_a_server_that_died_in_mid_run(tmp_path: Path) -> None:
    root, port = toys.make(tmp_path / "toy"), free_port()
    (tmp_path / "hosts.txt").touch()
    toys.set_param(root, "first", "wait", 100)
    with serving(root, port, "--cron", "* * * * *") as log:
        wait_for(lambda: "first: begins" in log.read_text(), "nothing fired within two minutes", 120)
    toys.set_param(root, "first", "wait", 0)
    with serving(root, port, "--cron", "* * * * *"):
        began = time.time()
        dead, alive = finished(port, 2)[:2]
        assert (dead["state"]["name"], alive["state"]["name"]) == ("Crashed", "Completed")
        assert alive["auto_scheduled"], "nobody started it by hand"
        assert time.time() - began < 150
