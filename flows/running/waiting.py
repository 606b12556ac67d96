"""Wait for another DVC command that works on the same files, as a run waits for another run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from flows.running import limits
from tasks.core.errors import UserError

T = TypeVar("T")
PAUSE = 2.0  # seconds between two tries


class BusyError(UserError):
    """Another DVC command is at work on the same files."""


def once_free(work: Callable[[], T], say: Callable[[str], object], *, wait: bool = True) -> T:
    """The result of `work`, tried again while it raises BusyError, until `runs.max_wait_minutes` are over; `say` once for whom.

    Args:
        work: What may find files in use; must be safe to do twice.
        say: What to do with the line about the wait.
        wait: False raises the first BusyError.
    """
    deadline, told = time.monotonic() + (limits.load().max_wait_minutes * 60 if wait else 0), False
    while True:
        try:
            return work()
        except BusyError as busy:
            if time.monotonic() >= deadline:
                raise
            if not told:
                say(f"waiting: {busy.found}")
            told = True
            time.sleep(PAUSE)
