"""Claims about what flakes, hangs or was killed: tried again, ended, named, or put in order, in one line each."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from flows import dvc
from flows.running import dvc_locks, lock, process, retry, whole_lock
from tasks.core.errors import UserError
from tests.builders import toys
from tests.builders.browser import wait_for
from tests.builders.running import processes


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = toys.make(tmp_path / "toy")
    monkeypatch.chdir(root)
    return root


def failing(times: int, error: Exception) -> Callable[[], str]:
    """Work that fails so often before it succeeds."""
    left = [error] * times

    def work() -> str:
        if left:
            raise left.pop()
        return "done"

    return work


def test_what_may_pass_is_tried_again_after_pauses_that_double_and_each_time_said(toy: Path) -> None:
    said: list[str] = []
    pauses: list[float] = []
    work = failing(3, ConnectionError("no route\nto host"))
    assert retry.patiently("push", work, transient=OSError, say=said.append, sleep=pauses.append) == "done"
    assert pauses == [2, 4, 8]
    assert said[0] == "push: no route to host; trying again in 2 s (1 of 4)"


@pytest.mark.parametrize(("times", "error"), [(1, UserError("a", "b", "c", "d")), (5, ConnectionError("away"))])
def test_a_users_mistake_is_never_tried_again_and_nothing_for_ever(toy: Path, times: int, error: Exception) -> None:
    pauses: list[float] = []
    with pytest.raises(type(error)):
        retry.patiently("push", failing(times, error), transient=ConnectionError, say=str, sleep=pauses.append)
    assert len(pauses) == times - 1


def test_a_stage_that_takes_too_long_is_ended_with_its_processes_in_one_line(toy: Path) -> None:
    toys.set_param(toy, "first", "wait", 600)
    toys.set_param(toy, "runs", "timeouts", {"first": 0.06})
    with pytest.raises(dvc.StageError, match=r"still running after 0\.06 minutes.*runs\.timeouts\.first"):
        dvc.reproduce("first", str)
    assert not list(processes("-m toys first", toy))


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)
    Path(path.name).rename(path)


def _circle(path: Path) -> None:
    path.symlink_to(path.name)


ODD: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (_pipe, "found a pipe"),
    "socket": (_socket, "found a socket"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "found a device"),
    "dead link": (lambda path: path.symlink_to("nowhere"), "found a link that leads nowhere"),
    "circle": (_circle, "found a link that leads nowhere"),
    "bytes": (lambda path: Path(os.fsdecode(os.fsencode(path) + b"\xff")).touch(), r"odd\xff: found a name that is no UTF-8"),
}


def with_folder(toy: Path) -> Path:
    """The toy project with a folder of inputs in place of its file."""
    document = yaml.safe_load((toy / "dvc.yaml").read_text())
    document["stages"]["first"]["deps"][0] = "data/raw"
    (toy / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    (toy / "data" / "raw").mkdir()
    return toy / "data" / "raw"


@pytest.mark.parametrize("kind", ODD)
def test_what_dvc_would_hang_on_is_refused_in_one_line_that_names_it(toy: Path, kind: str) -> None:
    make, said = ODD[kind]
    make(with_folder(toy) / "odd")
    with pytest.raises(UserError) as error:
        dvc.stale(looking=True)
    assert str(error.value).startswith("data/raw/odd")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_named_in_dvcignore_is_nobodys_business_and_odd_names_are_no_fault(toy: Path) -> None:
    raw = with_folder(toy)
    _pipe(raw / "feed.pipe")
    (toy / ".dvcignore").write_text("*.pipe\n")
    for name in ("a\nb", " a  b ", "日本語", "x" * 255):
        (raw / name).write_text("x")
    dvc.reproduce("first", str)
    assert dvc.stale(["first"]) == {}


@pytest.mark.parametrize("left", ["", '{"write": {"', "[]"])
def test_notes_of_dvc_that_a_kill_left_half_written_are_deleted_and_said_so(
    toy: Path, left: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dvc.reproduce("first", str)
    dvc_locks.NOTES.write_text(left)
    assert dvc.stale(["first"]) == {}
    assert capsys.readouterr().err == "note: .dvc/tmp/rwlock: half a file, left by a DVC command that was killed; deleted\n"


def test_a_dead_command_holds_nobody_up_when_another_process_has_its_number(toy: Path) -> None:
    dvc.reproduce("first", str)
    with subprocess.Popen(["sleep", "600"]) as other:
        noted = {str(toy.resolve() / toys.FIRST): {"pid": other.pid, "cmd": "/usr/bin/dvc repro first"}}
        dvc_locks.NOTES.write_text(json.dumps({"write": noted, "read": {}}))
        try:
            assert dvc.at_work() == {}
            assert dvc.stale(["first"]) == {}
        finally:
            other.kill()


def test_a_lock_file_cut_anywhere_is_seen_and_becomes_what_it_was(toy: Path) -> None:
    dvc.reproduce("first", str)
    before = whole_lock.FILE.read_text()
    dvc.reproduce("second", str)
    after = whole_lock.FILE.read_text()
    assert whole_lock.is_whole(after, before)
    assert whole_lock.is_whole(before, before)
    taken_for_whole = [cut for cut in range(len(after)) if after[:cut] != before and whole_lock.is_whole(after[:cut], before)]
    assert not taken_for_whole, [after[:cut][-80:] for cut in taken_for_whole]
    whole_lock.COPY.write_text(before)
    whole_lock.FILE.write_text(after[: len(after) - 20])
    assert set(dvc.stale()) == {"second", "train"}
    assert whole_lock.FILE.read_text() == before


@pytest.mark.parametrize("left", ["", "schema: '2.0'\nstages:\n  first:\n    cmd: python"])
def test_a_lock_file_that_a_plain_dvc_command_left_half_written_becomes_what_it_was(toy: Path, left: str) -> None:
    dvc.reproduce("first", str)
    assert dvc.stale(["first"]) == {}
    before = whole_lock.FILE.read_text()
    whole_lock.FILE.write_text(left)
    assert dvc.stale(["first"]) == {}
    assert whole_lock.FILE.read_text() == before


STAGE = """
import os, sys, time
from tasks.core import starter
starter.watch()
print(os.getpid(), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("between", [[], ["/bin/sh", "-c", "{}; exit 1"]])
def test_a_stage_ends_when_dvc_alone_is_killed_whatever_shell_is_between(toy: Path, between: list[str]) -> None:
    (toy / "stage.py").write_text(STAGE)
    command = [word.format(f"{sys.executable} stage.py") for word in between] or [sys.executable, "stage.py"]
    starter = f"import subprocess; subprocess.run({command!r})"
    parent = subprocess.Popen([sys.executable, "-c", starter], env=toys.environment(DVC_STAGE="first"), stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    stage = int(parent.stdout.readline())
    wait_for(lambda: watched(stage), "nobody watches", 20)
    assert process.started(stage)
    parent.kill()
    parent.wait()
    wait_for(lambda: not process.started(stage), "the stage outlived its DVC", 20)


def watched(stage: int) -> bool:
    """Whether the watcher over the stage is up: it knows all of its processes."""
    found = subprocess.run(["pgrep", "-f", f"starter.py {stage} "], capture_output=True, text=True, check=False).stdout.split()
    return bool(found) and any(entry.name for entry in Path(f"/proc/{found[0]}/fdinfo").iterdir() if "Pid:" in entry.read_text())


def test_a_run_waits_for_a_plain_dvc_command_and_says_so(toy: Path) -> None:
    toys.set_param(toy, "first", "wait", 600)
    toys.set_param(toy, "runs", "max_wait_minutes", 0.05)
    env = toys.environment() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    plain = subprocess.Popen([sys.executable, "-m", "dvc", "repro"], env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert any("begins" in line for line in plain.stdout or ())
        done = toys.pairwright(toy, "run")
        assert done.returncode == 1
        waiting, error = done.stderr.splitlines()
        assert waiting.startswith("waiting: other DVC commands at work here: dvc repro (process ")
        assert error.startswith("error: DVC: found other DVC commands at work here")
        assert toys.pairwright(toy, "run", "--no-wait").stderr.splitlines()[1:] == []
        assert "first: running: dvc repro (process " in toys.pairwright(toy, "status").stdout
    finally:
        for pid in (plain.pid, *processes("-m toys first", toy)):
            os.kill(pid, 9)
        plain.wait()


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    me = process.me()
    assert me.here
    assert me.alive
    assert not me._replace(started="another boot:1").alive
    with subprocess.Popen(["true"]) as ended:
        time.sleep(0.2)
        assert process.started(ended.pid) == ""


def test_the_lock_is_not_taken_for_held_because_its_file_is_there(toy: Path) -> None:
    with lock.hold("pairwright run"):
        pass
    assert lock.FILE.exists()
    assert lock.holder() is None
