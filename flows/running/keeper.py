"""A child process that must stay up: started again when it is killed, for as long as it is needed."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable

from flows import exit_codes
from flows.running.lock import complain
from tasks.core.errors import UserError

MOST = 5  # deaths in a row soon after a start: a server that dies of its own fault would do so for ever
SOON = 5.0  # seconds


class Kept:
    """The child. One thread starts it and waits for its end, since Linux signals a child when the thread that started it ends."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]], ready: Callable[[subprocess.Popen[bytes]], None]) -> None:
        self._start, self._ready = start, ready
        self._process: subprocess.Popen[bytes] | None = None
        self._up, self._stopping = threading.Event(), threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        """Return when the child is up; raises what `ready` raised."""
        self._thread.start()
        self._up.wait()
        if self._fault:
            raise self._fault

    def stop(self, patience: float) -> None:
        """End the child: politely, and after `patience` seconds for good."""
        self._stopping.set()
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._thread.join()

    def _keep(self) -> None:
        try:
            deaths = 0
            while deaths <= MOST:
                if self._process:
                    complain(f"note: Prefect's server ended (exit code {self._process.returncode}); started again")
                self._process = self._start()
                if self._stopping.is_set():
                    self._process.terminate()
                    return
                self._ready(self._process)
                self._up.set()
                since = time.monotonic()
                self._process.wait()
                if self._stopping.is_set():
                    return
                deaths = deaths + 1 if time.monotonic() - since < SOON else 0
            found = f"it ended {deaths} times in a row"
            _give_up(UserError("Prefect's server", found, "one that stays up", "see .prefect/server.log, and run again"))
        except UserError as error:
            self._fault = error
            if self._up.is_set() and not self._stopping.is_set():
                _give_up(error)
        except BaseException as error:
            self._fault = error
            raise
        finally:
            self._up.set()


def _give_up(error: UserError) -> None:
    """End this process at once: without a server nothing can be served, and a run would wait in vain to report that it ended.

    What it started ends with it, as when it is killed, and the next run finds all in order.
    """
    complain(f"error: {error} (earlier outputs are as they were)")
    os._exit(exit_codes.FAILED)
