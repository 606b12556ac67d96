"""What only the stages' own code can say: whether their parameters fit, whether their readers know the logs, what augmenters lack.

    python -m flows.preflight.stages

A process of its own, because that code imports pandas, Arrow and Daft: the command stays light, and a library that cannot be imported
becomes one line. Prints findings as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from flows.preflight.finding import Finding, error

TOPIC = "code"


def findings() -> Iterator[Finding]:
    """What those checks found."""
    from flows.preflight import augmenters, logs, parameters
    from tasks.core.errors import UserError

    for module in (parameters, logs, augmenters):
        try:
            yield from module.findings()
        except UserError as fault:
            yield error(module.TOPIC, fault)


class Child:
    """The process; started at once, asked for its findings later."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def findings(self, limit: float) -> list[Finding]:
        """What it found; its last word where it did not end well, or not within so many seconds."""
        try:
            told, complaint = self._process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return [error(TOPIC, f"the stages' code did not say within {limit:g} seconds whether parameters fit")]
        if self._process.returncode:
            last = (complaint.strip().splitlines() or [f"exit code {self._process.returncode}"])[-1]
            return [error(TOPIC, f"the stages' code cannot be asked: {last}")]
        return [Finding.of(document) for document in json.loads(told)]


if __name__ == "__main__":
    sys.stdout.write(json.dumps([finding.document() for finding in findings()]))
