"""Claims about walking the stages: what runs and why, what is told of failures, and that nothing goes on in secret."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows import dvc, process_group, server
from flows.running.waiting import BusyError
from tasks.core.errors import UserError
from tests.builders import toys
from tests.builders.browser import wait_for


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = toys.make(tmp_path / "toy")
    monkeypatch.chdir(root)
    monkeypatch.setenv("PATH", toys.environment()["PATH"])  # an environment that nobody activated
    return root


def run(*names: str) -> list[str]:
    lines: list[str] = []
    for name in names:
        dvc.reproduce(name, lines.append)
    return lines


def test_stale_names_every_kind_of_change_and_nothing_else(toy: Path) -> None:
    assert set(dvc.stale()) == set(toys.CHAIN)
    toys.dvc(toy, "repro")
    assert dvc.stale() == {}
    toys.set_param(toy, "second", "wait", 0.0)
    assert dvc.stale() == {}  # the same number
    toys.set_param(toy, "second", "wait", 0.25)
    assert dvc.stale() == {"second": ["params.yaml:second modified"]}
    assert dvc.waiting(["second"]) == {"train": "second"}
    toys.dvc(toy, "repro")
    (toy / "toys" / "helper.py").write_text("")
    assert dvc.stale() == {"first": ["toys modified"], "second": ["toys modified"]}
    toys.dvc(toy, "repro")
    (toy / "data" / "raw.txt").write_text("more")
    (toy / toys.TRAIN / "text.txt").unlink()
    assert dvc.stale() == {"first": ["data/raw.txt modified"], "train": ["data/models modified"]}
    assert dvc.stale(["second"]) == {}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (3, ["data/raw modified", "tasks/0.py modified", "tasks/1.py modified", "tasks/2.py modified", "params.yaml:pair modified"]),
        (4, ["data/raw modified", "params.yaml:pair modified", "tasks/0.py and 3 more files of code modified"]),
    ],
)
def test_many_files_of_code_are_one_reason(files: int, said: list[str]) -> None:
    code = [f"tasks/{number}.py modified" for number in range(files)]
    assert dvc.brief(["data/raw modified", *code, "params.yaml:pair modified"]) == said


def test_lines_arrive_while_the_stage_runs(toy: Path) -> None:
    toys.set_param(toy, "first", "wait", 1)
    told: dict[str, float] = {}
    dvc.reproduce("first", lambda line: told.setdefault(line, time.monotonic()))
    assert told["first: ends"] - told["first: begins"] > 0.8
    assert not any("git add" in line or "dvc push" in line for line in told)


@pytest.mark.parametrize(
    ("fate", "word"),
    [
        ("fail", "error: first: found a cat; expected a dog; feed it"),
        ("crash", "ValueError: first fell over"),
        ("killed", "killed by SIGKILL"),
        ("forget", "output 'data/01_first' does not exist"),
    ],
)
@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_failure_is_told_in_the_words_of_whoever_knows_and_earlier_output_stays(
    toy: Path, fate: str, word: str, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", shell)  # DVC runs commands in it; a killed command reads differently in each
    run("first")
    before = (toy / toys.FIRST / "text.txt").read_text()
    toys.set_param(toy, "first", "fate", fate)
    if fate == "forget":
        (toy / toys.FIRST / "text.txt").unlink()
        (toy / toys.FIRST / "ledger.json").unlink()
        (toy / toys.FIRST).rmdir()
    with pytest.raises(dvc.StageError) as caught:
        run("first")
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    if fate != "forget":
        assert (toy / toys.FIRST / "text.txt").read_text() == before
        assert "first" in dvc.stale()


def test_busy_while_another_command_works_on_the_same_files_and_free_after_it_was_killed(toy: Path) -> None:
    toys.set_param(toy, "first", "wait", 60)
    command = [sys.executable, "-m", "dvc", "repro", "first"]
    env = toys.environment() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    other = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert any("begins" in line for line in other.stdout or ())
        with pytest.raises(BusyError, match=r"at work here: dvc repro first \(process"):
            run("first")
        with pytest.raises(BusyError, match=r"at work here: dvc repro first \(process"):
            dvc.stale(["first"])
        assert list(dvc.at_work()) == ["first"]
        assert set(dvc.stale(looking=True)) == set(toys.CHAIN)
    finally:
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()
    toys.set_param(toy, "first", "wait", 0)
    assert "first: ends" in run("first")  # a lock left by a dead process holds nobody up


def test_a_process_group_ends_as_a_whole_when_the_holder_is_killed(tmp_path: Path) -> None:
    script = f"sleep 300 & echo $! > {tmp_path}/grandchild; wait"
    command = [sys.executable, process_group.__file__, "sh", "-c", script]
    holder = f"import subprocess; subprocess.Popen({command!r}, stdin=subprocess.PIPE, start_new_session=True).wait()"
    process = subprocess.Popen([sys.executable, "-c", holder])
    note = tmp_path / "grandchild"
    grandchild = int(wait_for(lambda: note.is_file() and note.read_text().strip(), "no grandchild", 20))
    os.kill(grandchild, 0)
    process.kill()
    process.wait()
    wait_for(lambda: not alive(grandchild), "the grandchild outlived its holder", 20)


def alive(pid: int) -> bool:
    """Whether a process runs (one that ended and is not yet collected does not)."""
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_the_exit_code_of_a_command_is_that_of_its_group() -> None:
    with subprocess.Popen(
        [sys.executable, process_group.__file__, "sh", "-c", "exit 7"], stdin=subprocess.PIPE, start_new_session=True
    ) as held:
        assert held.wait(20) == 7


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for the flows of this module, with a home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        patch.delenv("PREFECT_API_URL", raising=False)
        with server.api() as api:
            from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

            assert api.fresh
            # another module may have brought Prefect, which has then read its settings already
            with temporary_settings({PREFECT_API_URL: api.url, PREFECT_API_AUTH_STRING: api.password or None}):
                yield api.url


def walk(toy: Path, **parameters: bool) -> tuple[Any, dict[str, str]]:
    """Final state of one run of the flow `build`, and the state names of its task runs in their order."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    from flows.build import build

    state = build(**parameters, return_state=True)
    told: Any = state.result(raise_on_failure=False)
    stages = getattr(told, "outcomes", told)
    assert state.state_details.flow_run_id
    with get_client(sync_client=True) as client:
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))

        def told() -> list[Any] | None:
            runs = client.read_task_runs(flow_run_filter=chosen)
            return runs if len(runs) == len(stages) and all(run.end_time for run in runs) else None

        runs = wait_for(told, "the server never heard of all task runs", 30)
    return state, {run.name: run.state.name for run in sorted(runs, key=lambda run: run.start_time)}


def test_flow_runs_what_is_stale_as_tasks_named_like_the_stages(toy: Path, prefect_server: str, tmp_path: Path) -> None:
    state, tasks = walk(toy)
    assert list(tasks.items()) == [("first", "Completed"), ("second", "Completed"), ("gates", "Passed"), ("train", "Completed")]
    assert state.message == "Ran first, second, train"
    _, tasks = walk(toy)
    assert tasks == {"first": "Unchanged", "second": "Unchanged", "gates": "Passed", "train": "Skipped"}
    toys.set_param(toy, "train", "wait", 0.1)
    _, tasks = walk(toy, train=False)
    assert tasks == {"first": "Unchanged", "second": "Unchanged", "gates": "Passed"}
    _, tasks = walk(toy)
    assert tasks == {"first": "Unchanged", "second": "Unchanged", "gates": "Passed", "train": "Completed"}
    toys.set_param(toy, "train", "wait", 0)
    state, tasks = walk(toy)
    assert (tasks["train"], state.message) == ("Restored", "Restored train"), "nobody takes it for a training of this night"
    toys.set_param(toy, "train", "wait", 0.1)
    walk(toy)
    twin = toys.make(tmp_path / "twin")
    toys.set_param(twin, "train", "wait", 0.1)
    toys.dvc(twin, "repro")
    assert (toy / "dvc.lock").read_bytes() == (twin / "dvc.lock").read_bytes()


def test_flow_stops_at_the_stage_that_fails_and_says_its_line_without_a_traceback(
    toy: Path, prefect_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    toys.set_param(toy, "second", "fate", "fail")
    with caplog.at_level(logging.INFO):
        state, tasks = walk(toy)
    assert tasks == {"first": "Completed", "second": "Failed"}
    assert state.is_failed()
    assert state.message == "second: second: found a cat; expected a dog; feed it"
    assert "Traceback" not in caplog.text
    assert not (toy / toys.TRAIN).exists()


def test_a_release_without_pairs_to_train_on_and_to_judge_by_is_no_failure(toy: Path, prefect_server: str) -> None:
    toys.set_param(toy, "second", "pairs", {"pairs_train": 5, "pairs_validation": 0, "pairs_test": 0})
    state, tasks = walk(toy)
    assert tasks == {"first": "Completed", "second": "Completed", "gates": "Passed"}
    assert state.is_completed()
    told = "not trained: no pairs for validation and test in data/02_second (12 judged answers, 20 prompts)"
    assert state.message == f"Ran first, second; {told}"
    toys.set_param(toy, "second", "pairs", {"pairs_train": 5, "pairs_validation": 1, "pairs_test": 1})
    _, tasks = walk(toy)
    assert tasks == {"first": "Unchanged", "second": "Completed", "gates": "Passed", "train": "Completed"}


def test_training_alone_refuses_a_release_that_is_not_what_its_stage_let_pass(toy: Path) -> None:
    from flows.train import demand_release

    with pytest.raises(UserError, match="02_second"):
        demand_release()
    run("first", "second")
    demand_release()
    (toy / toys.SECOND / "text.txt").write_text("tampered")
    with pytest.raises(UserError, match="which passed its gate"):
        demand_release()


def test_deployments_of_the_file_are_served_with_schedule_and_limit() -> None:
    from flows import deployments

    nightly, train, retention = deployments.read()
    assert (nightly.flow_name, nightly.name, nightly.concurrency_limit) == ("build", "nightly", 2)
    assert nightly.concurrency_options
    assert nightly.concurrency_options.collision_strategy == "CANCEL_NEW"
    assert times(nightly) == [("nightly", "0 3 * * *", "UTC", True)]
    assert nightly.parameters == {"train": True, "force": False, "publish": True}
    assert (train.flow_name, train.schedules) == ("train", [])
    assert times(retention) == [("retention", "0 2 * * 0", "UTC", False)]
    assert times(deployments.read("*/5 * * * *")[0]) == [("nightly", "*/5 * * * *", "UTC", True)]
    with pytest.raises(UserError, match="five fields"):
        deployments.read("at night")


def times(deployment: Any) -> list[tuple[str, str, str, bool]]:
    """Slug, cron line, timezone of a deployment's schedules, and whether they are active."""
    return [(entry.slug, entry.schedule.cron, entry.schedule.timezone, entry.active) for entry in deployment.schedules]


def test_flows_tell_the_ui_what_their_parameters_mean() -> None:
    from flows.build import build

    properties = build.parameters.properties
    assert {name: entry["type"] for name, entry in properties.items()} == {
        **dict.fromkeys(("train", "force", "publish"), "boolean"),
        "accept": "array",
    }
    assert all(entry.get("description") for entry in properties.values())


def test_usage_reports_are_off_in_the_installed_versions() -> None:
    """Each name is the one that the installed version reads, whatever a person's environment says."""
    code = """
from tasks.core import telemetry
from prefect.settings import get_current_settings
from prefect._internal.analytics.enabled import is_telemetry_enabled
from dvc import analytics
from huggingface_hub import constants
settings = get_current_settings()
print(settings.server.analytics_enabled, settings.server.ui.show_promotional_content, settings.telemetry.enable_resource_metrics,
      is_telemetry_enabled(), analytics.is_enabled(), not constants.HF_HUB_DISABLE_TELEMETRY)
"""
    wanted = {"DO_NOT_TRACK": "0", "PREFECT_SERVER_ANALYTICS_ENABLED": "true", "DVC_NO_ANALYTICS": "", "CI": ""}
    done = subprocess.run([sys.executable, "-c", code], env=toys.environment(**wanted), capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"] * 6
