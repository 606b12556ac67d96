"""A child process that must stay up: started again when it is killed, for as long as it is needed."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable

from flows.running.lock import complain
from tasks.core.errors import UserError

MOST = 5  # starts anew: a server that dies of its own fault would do so for ever


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
            for started in range(MOST + 1):
                if started:
                    complain(f"note: Prefect's server ended (exit code {self._process and self._process.returncode}); started again")
                self._process = self._start()
                if self._stopping.is_set():
                    self._process.terminate()
                    return
                self._ready(self._process)
                self._up.set()
                self._process.wait()
                if self._stopping.is_set():
                    return
            complain(f"error: Prefect's server: found it ended {MOST + 1} times; expected one that stays up; see .prefect/server.log")
        except UserError as error:
            self._fault = error
            if self._up.is_set() and not self._stopping.is_set():
                complain(f"error: {error}")
        except BaseException as error:
            self._fault = error
            raise
        finally:
            self._up.set()
