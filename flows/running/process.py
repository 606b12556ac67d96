"""Which process it is, told apart from a later one with the same number, and whether it still runs."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple

BOOT = Path("/proc/sys/kernel/random/boot_id")
AFTER_NAME = 19  # of the fields of /proc/PID/stat behind the name, the one that says when the process started


class Identity(NamedTuple):
    """One process of one machine, as it can be written down."""

    host: str
    pid: int
    started: str  # never two with one number: the boot, and the ticks since; both are deaf to the clock

    @property
    def here(self) -> bool:
        """Whether it is, or was, a process of this machine, so that `alive` can tell."""
        return self.host == socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether a process of this machine still runs."""
        return started(self.pid) == self.started


def me() -> Identity:
    """This process."""
    return Identity(socket.gethostname(), os.getpid(), started(os.getpid()))


def started(pid: int) -> str:
    """When the process with this number started; nothing where none has it, or one that ended and was not yet collected."""
    stat = Path(f"/proc/{pid}/stat")
    if not BOOT.exists():
        return _started_elsewhere(pid)
    try:
        state, *fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if state in "ZX" else f"{BOOT.read_text(encoding='ascii').strip()}:{fields[AFTER_NAME - 1]}"


def _started_elsewhere(pid: int) -> str:
    """The same where there is no /proc."""
    said = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.split(None, 1)
    return "" if not said or said[0].startswith("Z") else said[1].strip()
