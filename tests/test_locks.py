"""Claims about the one lock of a workspace: who comes second waits and is told for whom, and nobody holds it after death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.running import lock
from tasks.core.errors import UserError
from tests.builders import toys
from tests.builders.browser import wait_for

HOLDER = (
    "import sys, time; from flows.running import lock\nwith lock.hold('pairwright night'):\n    print('held', flush=True); time.sleep(600)"
)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = toys.make(tmp_path / "toy")
    monkeypatch.chdir(root)
    return root


@contextmanager
def another() -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock; killed at the end."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER], env=toys.environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_who_comes_second_waits_is_told_once_for_whom_and_has_the_lock_when_the_first_was_killed(toy: Path) -> None:
    with another() as first:
        told: list[str] = []

        def say(line: str) -> None:
            told.append(line)
            first.send_signal(signal.SIGKILL)

        with lock.hold("pairwright run", say=say):
            held = lock.holder()
            assert held
            assert (held.pid, held.what) == (os.getpid(), "pairwright run")
    assert len(told) == 1
    assert told[0].startswith(f"waiting for pairwright night (process {first.pid} on ")
    assert lock.holder() is None


def test_a_bound_ends_the_wait_with_one_line(toy: Path) -> None:
    toys.set_param(toy, "runs", "max_wait_minutes", 0.02)
    with another(), pytest.raises(UserError, match=r"pairwright night \(process .* after 0.02 minutes \(runs.max_wait_minutes\)") as error:
        lock.hold("pairwright run").__enter__()
    assert "\n" not in str(error.value)


def test_no_wait_fails_at_once(toy: Path) -> None:
    told: list[str] = []
    with another(), pytest.raises(UserError, match="pairwright night"):
        lock.hold("pairwright run", say=told.append, wait=False).__enter__()
    assert not told


def test_a_process_that_holds_the_lock_may_take_it_again_and_gives_it_up_at_the_outer_end(toy: Path) -> None:
    with lock.hold("pairwright run"):
        with lock.hold("flow build"):
            pass
        assert (held := lock.holder())
        assert held.what == "pairwright run"
    assert lock.holder() is None


def test_children_of_a_holder_that_was_killed_do_not_hold_on(toy: Path) -> None:
    command = HOLDER.replace("print(", "import subprocess; subprocess.Popen(['sleep', '600']); print(")
    first = subprocess.Popen([sys.executable, "-c", command], env=toys.environment(), stdout=subprocess.PIPE, start_new_session=True)
    assert first.stdout
    assert first.stdout.readline()
    try:
        first.kill()
        wait_for(lambda: lock.holder() is None, "the lock outlived its holder", 10)
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()


def test_a_folder_where_nobody_may_write_is_one_line(toy: Path) -> None:
    (toy / ".pairwright").write_text("no folder")
    with pytest.raises(UserError, match=r"run\.lock"):
        lock.hold("pairwright run").__enter__()


@pytest.mark.parametrize("command", ["pull", "push"])
def test_bytes_neither_come_nor_go_while_another_changes_the_workspace(toy: Path, command: str) -> None:
    toys.set_param(toy, "runs", "max_wait_minutes", 0.01)
    with another():
        done = toys.pairwright(toy, command)
    assert done.returncode == 1, done.stdout
    assert "pairwright night" in done.stderr
