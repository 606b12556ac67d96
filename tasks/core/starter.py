"""A stage ends when the DVC command that runs it is gone: else it would go on writing what nobody waits for.

    python tasks/core/starter.py STAGE ANCESTOR ...        (process ids)

runs beside the stage as a process of its own, so that nothing in the stage can notice it: it waits until the stage ends, or one of the
ancestors does, and then kills the stage. A stage that a person started by hand goes on after its terminal is closed, as any command does.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

STARTED_BY_DVC = "DVC_STAGE"  # DVC's own variable, in the environment of what it runs
SHELLS = frozenset({"sh", "ash", "bash", "busybox", "dash", "fish", "ksh", "mksh", "zsh"})
DEEPEST = 4  # shells between DVC and the stage
LOOK = 1.0  # seconds between two looks where the system cannot wait for a process that is not ours


def watch() -> None:
    """Have this process killed when the DVC command that started it dies; nothing where none did."""
    if STARTED_BY_DVC in os.environ:
        pids = map(str, (os.getpid(), *_ancestors(os.getppid())))
        with suppress(OSError, subprocess.CalledProcessError):  # no further process can be had, or the starter is gone: nothing to watch
            subprocess.Popen([sys.executable, "-I", "-S", __file__, *pids], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _ancestors(parent: int) -> Iterator[int]:
    """The process that started us, and the one that started it where it is only the shell that DVC runs commands in."""
    for _ in range(DEEPEST):
        yield parent
        above, name = _started_by(parent)
        if name.removeprefix("-") not in SHELLS:
            return
        parent = above


def _started_by(pid: int) -> tuple[int, str]:
    """Who started a process, and how the process is called."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        head, _, tail = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")
        return int(tail.split()[1]), head.partition("(")[2]
    said = subprocess.run(["ps", "-o", "ppid=,comm=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout.split()
    return int(said[0]), Path(said[1]).name


def main(stage: int, ancestors: Sequence[int]) -> None:
    """Return when the stage has ended, by itself or by our hand."""
    if _first_end([stage, *ancestors]) != stage:
        with suppress(ProcessLookupError):
            os.kill(stage, signal.SIGKILL)


def _first_end(pids: Sequence[int]) -> int:
    """The process that ends first, of several that are not our children."""
    if not hasattr(os, "pidfd_open"):
        return _first_seen_to_end(pids)
    waiting, at = select.poll(), dict[int, int]()
    for pid in pids:
        try:
            at[os.pidfd_open(pid)] = pid
        except ProcessLookupError:
            return pid
    for file in at:
        waiting.register(file, select.POLLIN)
    return at[waiting.poll()[0][0]]


def _first_seen_to_end(pids: Sequence[int]) -> int:
    """The same by asking again and again."""
    while True:
        for pid in pids:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return pid
            except PermissionError:
                continue
        time.sleep(LOOK)


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(given) for given in sys.argv[2:]])
