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

GRACE = 10.0  # seconds that the group has to end by itself


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
