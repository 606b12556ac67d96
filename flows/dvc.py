"""The bridge to DVC: what is stale and why, and one stage run as a child whose every line is heard.

Asking is done in process (a twentieth of a second), running in a child whose process group ends with us. The child is told to wait
for DVC's lock on the repository; what DVC does not wait for, another command at work on the same files, comes back as `BusyError`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import installed, process_group
from flows.running import dvc_locks, inputs, limits, whole_lock
from flows.running.lock import complain
from flows.running.waiting import BusyError
from flows.storage import runs
from tasks.common import log_salt, salt, tombstones
from tasks.common.vocabulary.splits import SPLITS
from tasks.core import params, pipeline, telemetry, visible
from tasks.core.errors import UserError

if TYPE_CHECKING:
    from dvc.repo import Repo

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
FIGURES = "metrics.json"  # of a release, flat
TRAINER = "trainer."  # stages of this package train; all others make the dataset
SHELL_SIGNAL_BASE = 128  # a POSIX shell answers 128 + n for a command that signal n ended
NAMED = 3  # files of code that are named one by one as the reason why a stage runs
REMOTE = re.compile(r"""^\['?remote """, re.MULTILINE)
NEVER = "never run here"
LOCK, CACHE = Path("dvc.lock"), Path(".dvc/cache/files/md5")
CODE = ("expectations/", "flows/", "tasks/", "trainer/")
RESTORED = "ran before with the same code, inputs and parameters: its outputs come from the cache"
NO_ROOM = "free space where the cache lies (`dvc cache dir`), and run again"
TAIL = 200  # lines in which the reason of a failure is looked for


class StageError(Exception):
    """A stage failed; the text is the stage's own last word."""


class DvcError(Exception):
    """A DVC command that failed; the text is what DVC said."""


def stale(names: Sequence[str] = (), *, looking: bool = False) -> dict[str, list[str]]:
    """The stages (of `names`, or all) whose own inputs, code, parameters or outputs changed since their last run, each with the reasons.

    Not those for which nothing changed but that private logs are not on this machine: see `left_out`. BusyError while another DVC command
    works on the same files; who is only `looking` gets what can be known, and holds nobody up.
    """
    found, away, never = _found(names, looking), left_out(looking=looking), never_run()
    return {name: [NEVER] if name in never else reasons for name, reasons in found.items() if name not in away}


def at_work() -> dict[str, str]:
    """Stages that DVC runs at this moment, whoever asked it to: stage -> the command."""
    writers = dvc_locks.writers()
    return {name: str(writers[stage.output]) for name, stage in pipeline.stages().items() if stage.output in writers}


def left_out(*, looking: bool = False) -> dict[str, list[str]]:
    """Stages before redaction that need not run here, with the paths that are not here: what a clone has that pulled the rest.

    Their outputs are in no remote. Where the raw logs are missing too, and nothing else of these stages changed since they ran elsewhere,
    all that follows from them is as good as if they were here.
    """
    stages = pipeline.stages()
    hidden = [stage for stage in stages.values() if stage.private]
    paths = {path for stage in hidden for path in (stage.output, *stage.data) if path.name != tombstones.NAME}  # those git keeps
    if not hidden or any(path.exists() for path in paths):
        return {}
    near = [
        name for name, stage in stages.items() if stage in hidden or any(path in paths or paths & set(path.parents) for path in stage.data)
    ]
    found = _found(near, looking)
    gone = {f"{path} deleted" for path in paths} | {f"{path} deleted" for name in near for path in stages[name].data}
    return found if all(reason in gone for reasons in found.values() for reason in reasons) else {}


def _found(names: Sequence[str], looking: bool) -> dict[str, list[str]]:
    """What DVC says of these stages, or of all: those that changed, with the reasons."""
    known = pipeline.stages()
    for name in names:
        pipeline.stage(name)
    with repository(looking=looking) as opened:
        inputs.must_be_files(inputs.given(names), opened.dvcignore.is_ignored_file)
        status = opened.status(targets=list(names) or None)
    found = {name: brief(_reasons(status[name])) for name in known if name in status}
    reader = _salted()
    if reader and (not names or reader.name in names) and log_salt.due(reader.data[0]) not in (None, salt.last_fingerprint()):
        found[reader.name] = [*found.get(reader.name, []), f"the salt (see {salt.FOLDER / salt.FINGERPRINT}) modified"]
    return {name: found[name] for name in known if name in found}


def _salted() -> pipeline.Stage | None:
    """The stage that hashes people of the raw logs, which it reads first of all."""
    return next((stage for stage in pipeline.stages().values() if any(path.name == salt.FINGERPRINT for path in stage.code)), None)


def waiting(changed: Iterable[str]) -> dict[str, str]:
    """Stages that are not stale themselves, but will be when those they read from have run: stage -> the stage waited for."""
    stages = pipeline.stages()
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
    return [name for name, stage in pipeline.stages().items() if not stage.module.startswith(TRAINER)]


def training_stages() -> list[str]:
    """Names of the stages that train and judge, in order."""
    return [name for name, stage in pipeline.stages().items() if stage.module.startswith(TRAINER)]


def nothing_to_learn() -> str | None:
    """Why the release as it lies there is not trained on: it has no pairs to train on, or none to judge by. None where it has."""
    read = (path for name in training_stages() for path in pipeline.stage(name).data)
    release = next((path for path in read if (path / FIGURES).is_file()), None)
    if release is None:
        return None
    has = json.loads((release / FIGURES).read_bytes())
    empty = [split for split in SPLITS if not has[f"pairs_{split}"]]
    if not empty:
        return None
    return (
        f"not trained: no pairs for {' and '.join(empty)} in {release} ({has['unpaired']:.0f} judged answers, {has['prompts']:.0f} prompts)"
    )


def never_run() -> list[str]:
    """Stages that have no output here, nor one in DVC's cache that `dvc checkout` would put in its place: as all have in a fresh clone."""
    recorded = params.parse(LOCK.read_text(encoding="utf-8"))["stages"] if LOCK.is_file() else {}
    absent = {name: stage for name, stage in pipeline.stages().items() if not stage.output.exists()}
    never = {name for name, stage in absent.items() if name not in recorded or not (stage.private or _cached(recorded[name]))}
    return [name for name, stage in absent.items() if name in never or (stage.private and never)]


def has_remote() -> bool:
    """Whether DVC's configuration names a place from which outputs can be fetched."""
    files = (Path(".dvc/config"), Path(".dvc/config.local"))
    return any(REMOTE.search(path.read_text(encoding="utf-8")) for path in files if path.is_file())


def _cached(record: dict[str, Any]) -> bool:
    """Whether DVC's cache, where it lies by default, has the outputs that a stage is recorded with."""
    outputs = [str(output.get("md5", "")) for output in record.get("outs", ())]
    return bool(outputs) and all(md5 and (CACHE / md5[:2] / md5[2:]).is_file() for md5 in outputs)


@contextmanager
def repository(*, looking: bool = False) -> Iterator[Repo]:
    """DVC's view of the current folder; its errors as one line. Who is only looking has locks of its own, in a folder of its own."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError, LockNoop
    from dvc.repo import Repo
    from dvc.scm import SCMError

    _must_be_project()
    installed.refresh()
    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        with Repo(".") as opened, tempfile.TemporaryDirectory() as own:
            if looking:
                opened.lock, opened.tmp_dir = LockNoop(), own
            else:
                mend()
            yield opened
    except LockError as error:
        raise _busy(str(error)) from error
    except (DvcException, SCMError) as error:
        raise UserError("DVC", _line(str(error)), "a pipeline that DVC can read", "correct it and run again") from error
    except OSError as error:
        place = Path(error.filename or ".dvc")
        found = "a link that leads nowhere" if place.is_symlink() and not place.exists() else _line(error.strerror or str(error))
        raise UserError(str(place), found, "files and folders that DVC can read", "mend or delete it, and run again") from error


def mend() -> None:
    """Put in order what a DVC command left that was killed, saying so in a line each."""
    for line in dvc_locks.mend():
        complain(f"note: {line}")


def _busy(said: str) -> BusyError:
    """Who is at work, in place of DVC's advice to delete its notes."""
    others = ", ".join(map(str, dvc_locks.blockers())) or _line(said.partition("If there are no processes")[0])
    return BusyError("DVC", f"other DVC commands at work here: {others}", "none", "wait for them, or end them, and run again")


def _must_be_project() -> None:
    pipeline.stages()
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


def brief(reasons: Sequence[str]) -> list[str]:
    """The same reasons; where more than `NAMED` files of code are modified, the first of them and how many more there are."""
    code = [reason for reason in reasons if reason.startswith(CODE) and reason.endswith(" modified")]
    if len(code) <= NAMED:
        return list(reasons)
    others = [reason for reason in reasons if reason not in code]
    return [*others, f"{code[0].removesuffix(' modified')} and {len(code) - 1} more files of code modified"]


def remotes() -> tuple[dict[str, dict[str, Any]], str]:
    """DVC's remotes by name, each with its options, and the default one's name; "" where there is none."""
    with repository(looking=True) as opened:
        config = opened.config
    return dict(sorted(config["remote"].items())), str(config["core"].get("remote") or "")


def command(*arguments: str, seconds: float | None = None) -> str:
    """What a DVC command says on stdout; DvcError with its last word when it fails, or takes longer than `seconds`."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise DvcError(f"dvc {arguments[0]} took longer than {seconds:.0f} s") from error
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or [
            f"dvc {arguments[0]}: exit code {done.returncode}"
        ]
        raise DvcError(_line(told[0].removeprefix("ERROR: ")))
    return done.stdout


def reproduce(stage: str, say: Say, *, force: bool = False) -> bool:
    """Whether a stage really ran: through DVC, every line of its output to `say`; StageError with its own reason when it fails.

    Where it ran before with the same code, inputs and parameters, its outputs come from the cache instead, unless `force` is given.
    However this function or this process ends, the stage and its children end too: see `flows.process_group`. So they do when the
    stage takes longer than `runs` allows.
    """
    mend()
    if (reader := _salted()) and reader.name == stage:
        log_salt.leave(reader.data[0])
    if not force and _restored(stage):
        say(f"{stage}: {RESTORED}")
        return False
    _run(stage, say, force)
    with repository() as opened:
        gone = runs.keep(opened, stage)
    if gone:
        named = ", ".join([*gone[:NAMED], *([f"{len(gone) - NAMED} more"] if len(gone) > NAMED else [])])
        raise StageError(f"DVC's cache: found no whole copy of {named}; expected the output that {stage} just made; {NO_ROOM}")
    return True


def _restored(stage: str) -> bool:
    """Whether the outputs of an earlier run of the stage were put in place."""
    with repository() as opened:
        return runs.restore(opened, stage)


def _run(stage: str, say: Say, force: bool) -> None:
    """Body of `reproduce`: the stage as a child of ours."""
    minutes = limits.load().minutes(stage)
    repro = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", *(["--force"] if force else []), stage]
    tail: deque[str] = deque(maxlen=TAIL)
    child = subprocess.Popen(
        [sys.executable, process_group.__file__, *repro],
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    with (
        whole_lock.kept(),
        child,
        process_group.ended_after(child, minutes * 60) as late,
    ):  # leaving it closes the pipes, which ends the group, and waits
        for line in (visible.line(told.rstrip()) for told in child.stdout or ()):
            if line and not line.lstrip().startswith(HINTS):
                tail.append(line)
                say(line)
    if late.is_set():
        raise StageError(
            f"still running after {minutes:g} minutes, ended with all its processes; see its log, or raise runs.timeouts.{stage}"
        )
    if child.returncode:
        raise _failure(list(tail), child.returncode)


def _environment() -> dict[str, str]:
    """The child's environment: `python` is this Python whether or not its environment is active, and speaks line by line."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return os.environ | telemetry.SWITCHES | {"PATH": path, "PYTHONUNBUFFERED": "1"}


def _failure(tail: list[str], code: int) -> Exception:
    """What to say of a child that failed: the stage's own error line, else its last line, else DVC's."""
    verdict = next((line for line in reversed(tail) if line.startswith("ERROR:")), "")
    if BUSY in verdict:
        return _busy(verdict.removeprefix("ERROR: "))
    own = [line for line in tail if not line.startswith(("ERROR:", "> ", "Running stage "))]
    if killer := _killer(verdict):
        return StageError(f"{_line(verdict)}: killed by {killer}")
    if verdict and "failed to run:" not in verdict:  # DVC's own finding
        return StageError(_line(verdict))
    told = [line for line in own if line.startswith("error: ")]
    return StageError(_line((told or own or [verdict or f"dvc ended with exit code {code}"])[-1]))


def _killer(verdict: str) -> str:
    """The signal that ended a stage, or ""; -9 where DVC's shell became the stage, 137 where the shell waited for it (dash)."""
    code = int(found[1]) if (found := re.search(r"exited with (-?\d+)$", verdict)) else 0
    number = -code if code < 0 else code - SHELL_SIGNAL_BASE
    return signal.Signals(number).name if number in set(signal.Signals) else ""
