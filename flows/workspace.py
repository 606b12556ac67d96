"""The bridge to DVC: what is stale and why, and one stage run as a child whose every line is heard.

Asking is done in process (a twentieth of a second), running in a child of its own process group. The child is told to wait for DVC's lock
on the repository; what DVC does not wait for, another command at work on the same files, comes back as `BusyError`.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tasks.core import catalog, telemetry
from tasks.core.errors import UserError

Say = Callable[[str], object]
# What DVC says to people at a keyboard; in the log of a run it would stand once a stage.
HINTS = (
    "To track the changes with git, run:",
    "git add dvc.lock",
    "To enable auto staging, run:",
    "dvc config core.autostage true",
    "Use `dvc push`",
)
BUSY = "is busy, it is being blocked by"
CHILDREN = Path(".dvc/tmp/pairwright")
TRAINER = "trainer."  # stages of this package train; all others make the dataset
GRACE = 10.0  # seconds that a child has to end by itself before it is killed
TAIL = 200  # lines in which the reason of a failure is looked for


class BusyError(UserError):
    """Another DVC command is at work on the same files."""


class StageError(Exception):
    """A stage failed; the text is the stage's own last word."""


def stale(names: Sequence[str] = ()) -> dict[str, list[str]]:
    """The stages (of `names`, or all) whose own inputs, code, parameters or outputs changed since their last run, each with the reasons."""
    known = catalog.stages()
    for name in names:
        catalog.stage(name)
    with _repository() as repository:
        status = repository.status(targets=list(names) or None)
    return {name: _reasons(status[name]) for name in known if name in status}


def waiting(changed: Iterable[str]) -> dict[str, str]:
    """Stages that are not stale themselves, but will be when those they read from have run: stage -> the stage waited for."""
    stages = catalog.stages()
    late = list(changed)
    found: dict[str, str] = {}
    for name, stage in stages.items():
        for before in late:
            output = stages[before].output
            if name not in late and any(output == path or output in path.parents for path in stage.data):
                found[name] = before
                late.append(name)
                break
    return found


def dataset_stages() -> list[str]:
    """Names of the stages that make the dataset, in order."""
    return [name for name, stage in catalog.stages().items() if not stage.module.startswith(TRAINER)]


def training_stages() -> list[str]:
    """Names of the stages that train and judge, in order."""
    return [name for name, stage in catalog.stages().items() if stage.module.startswith(TRAINER)]


@contextmanager
def _repository() -> Iterator[Any]:
    """DVC's view of the current folder; its errors as one line."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.scm import SCMError

    _must_be_project()
    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        with Repo(".") as repository:
            yield repository
    except LockError as error:
        raise BusyError("DVC", _line(str(error)), "no other DVC command at work here", "wait for it, or end it, and run again") from error
    except (DvcException, SCMError) as error:
        raise UserError("DVC", _line(str(error)), "a pipeline that DVC can read", "correct it and run again") from error


def _must_be_project() -> None:
    catalog.stages()
    here = Path.cwd()
    for need, remedy in ((".git", "run `git init`, or clone the project"), (".dvc", "run `dvc init`, or clone the project")):
        if not Path(need).exists():
            raise UserError(str(here), f"no {need}", "a folder under git and DVC", remedy)


def _line(text: str) -> str:
    return " ".join(text.split())


def _reasons(entries: Iterable[object]) -> list[str]:
    """DVC's nested answer, flat: `data/raw modified`."""
    reasons: list[str] = []
    for entry in entries:
        if not isinstance(entry, dict):
            reasons.append(str(entry))
            continue
        for changes in entry.values():
            for path, change in changes.items():
                pairs = change.items() if isinstance(change, dict) else [("", change)]
                reasons += [f"{path}{':' + key if key else ''} {what}" for key, what in pairs]
    return reasons


def reproduce(stage: str, say: Say, *, force: bool = False, token: str = "") -> None:
    """Run one stage through DVC, every line of its output to `say`; StageError with the stage's own reason when it fails.

    However this function is left, no process that it started is alive afterwards; should this process be killed, `stop(token)` from
    another one ends them.
    """
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", *(["--force"] if force else []), stage]
    child = subprocess.Popen(
        command,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    note = CHILDREN / f"{token or os.getpid()}.json"
    tail: deque[str] = deque(maxlen=TAIL)
    try:
        _write_note(note, child.pid)
        for line in map(str.rstrip, child.stdout or ()):
            if line and not line.lstrip().startswith(HINTS):
                tail.append(line)
                say(line)
        code = child.wait()
    finally:
        _end_group(child.pid)
        child.wait()
        note.unlink(missing_ok=True)
    if code:
        raise _failure(list(tail), code)


def _environment() -> dict[str, str]:
    """The child's environment: `python` is this Python whether or not its environment is active, and speaks line by line."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return os.environ | telemetry.SWITCHES | {"PATH": path, "PYTHONUNBUFFERED": "1"}


def _failure(tail: list[str], code: int) -> Exception:
    """What to say of a child that failed: the stage's own error line, else its last line, else DVC's."""
    verdict = next((line for line in reversed(tail) if line.startswith("ERROR:")), "")
    if BUSY in verdict:
        return BusyError("DVC", _line(verdict.removeprefix("ERROR: ")), "no other DVC command at work here", "wait for it, or end it")
    own = [line for line in tail if not line.startswith(("ERROR:", "> ", "Running stage "))]
    if verdict and (
        "failed to run:" not in verdict or "exited with -" in verdict
    ):  # DVC's own finding, or the stage was killed by a signal
        return StageError(_line(verdict))
    told = [line for line in own if line.startswith("error: ")]
    return StageError(_line((told or own or [verdict or f"dvc ended with exit code {code}"])[-1]))


def _write_note(note: Path, pid: int) -> None:
    import psutil

    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"pid": pid, "started": psutil.Process(pid).create_time()}), encoding="utf-8")


def stop(token: str) -> None:
    """End the child that a process, now dead, started under this token; nothing happens when there is none."""
    import psutil

    note = CHILDREN / f"{token}.json"
    if not note.is_file():
        return
    told = json.loads(note.read_text(encoding="utf-8"))
    # The leader may be gone while its stage lives on in the group; a group's number is not given away while it has members.
    with suppress(psutil.NoSuchProcess):
        if psutil.Process(told["pid"]).create_time() != told["started"]:
            note.unlink(missing_ok=True)
            return
    _end_group(told["pid"])
    note.unlink(missing_ok=True)


def _end_group(leader: int) -> None:
    """Ask the group to end, and after a while end it."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            time.sleep(0.05)
            with suppress(ChildProcessError):
                os.waitpid(leader, os.WNOHANG)
            os.killpg(leader, 0)
        os.killpg(leader, signal.SIGKILL)
