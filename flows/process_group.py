"""Run a command in a process group of its own: when whoever started it dies, however it dies, the command and all its children end too.

    python flows/process_group.py COMMAND ...        (stdin: a pipe that the starter holds open)

Started as the leader of a process group of its own. The end of stdin, or the end of the command, ends the group: politely, then for good.
A stage must not go on writing after the run that watched it was killed or cancelled, and DVC does not pass a signal on to its stage.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

GRACE = 10.0  # seconds that the group has to end by itself


@contextmanager
def ended_after(child: subprocess.Popen[str], seconds: float) -> Iterator[threading.Event]:
    """For whoever started this: end the group when the block takes longer; the event that is given tells whether that came to pass."""
    late = threading.Event()

    def end() -> None:
        late.set()
        with suppress(OSError, ValueError):  # it just ended
            if child.stdin:
                child.stdin.close()

    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def main(command: list[str]) -> int:
    """Exit code of the command."""
    signal.signal(signal.SIGTERM, lambda number, frame: None)  # for the group, not for us; not inherited, as ignoring would be
    threading.Thread(target=_watch, daemon=True).start()
    code = subprocess.Popen(command, stdin=subprocess.DEVNULL).wait()
    os.killpg(0, signal.SIGTERM)  # what the command left running
    return code if code >= 0 else 128 - code


def _watch() -> None:
    """Wait for the end of stdin, then end the group, ourselves included."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
