"""Try again what may go well a moment later: a network, a server that is away or says 503. Never a check, and never a user's mistake.

retry.patiently("push to origin", push, transient=(ConnectionError, TimeoutError))
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from flows.running import limits
from flows.running.lock import complain

T = TypeVar("T")
LONGEST = 300.0  # seconds between two tries


def patiently(
    what: str,
    work: Callable[[], T],
    *,
    transient: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool],
    say: Callable[[str], object] = complain,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """The result of `work`, which is tried `runs.retries` times more while it fails transiently, after pauses that double.

    Args:
        what: What is tried, for the line that is said before each further try.
        work: Does it; must be safe to do twice.
        transient: Which errors may be gone at the next try: their types, or a function that says so of an error.
        say: What to do with that line; on stderr if nothing is given.
        sleep: How to wait.
    """
    bounds = limits.load()
    for tried in range(bounds.retries):
        try:
            return work()
        except Exception as error:
            if not _passing(error, transient):
                raise
            pause = min(bounds.retry_seconds * 2**tried, LONGEST)
            say(f"{what}: {_line(error)}; trying again in {pause:g} s ({tried + 1} of {bounds.retries})")
        sleep(pause)
    return work()


def _passing(error: Exception, transient: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]) -> bool:
    """Whether the error may be gone at the next try."""
    return isinstance(error, transient) if isinstance(transient, type | tuple) else transient(error)


def _line(error: Exception) -> str:
    """The error in one line, with its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
