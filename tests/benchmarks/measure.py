"""CPU seconds, wall seconds and peak memory of a process, and a table of such figures."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT


@dataclass(frozen=True)
class Usage:
    """What a process and its children took."""

    cpu_seconds: float
    peak_mb: float
    wall_seconds: float


@dataclass(frozen=True)
class Figures:
    """One row of the table; `rows` is the number of messages, texts or conversations worked on."""

    name: str
    rows: int
    cpu_seconds: float
    peak_mb: float
    wall_seconds: float | None = None
    note: str = ""


def run_measured(command: Sequence[str], cwd: Path) -> Usage:
    """Run the command to its end; raises RuntimeError with its output when it fails."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    start = time.monotonic()
    with subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}\n{output}")
    sys.stderr.write(output)
    return Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, time.monotonic() - start)


def table(rows: Sequence[Figures], *, header: bool = True) -> str:
    """The figures as aligned text."""
    lines = [f"{'what':<34}{'rows':>10}{'rows/s':>12}{'cpu s':>9}{'wall s':>9}{'peak MB':>9}  note"] if header else []
    for row in rows:
        wall = f"{row.wall_seconds:9.1f}" if row.wall_seconds is not None else f"{'':9}"
        rate = row.rows / row.cpu_seconds if row.cpu_seconds else 0.0
        lines.append(f"{row.name:<34}{row.rows:>10,}{rate:>12,.0f}{row.cpu_seconds:>9.2f}{wall}{row.peak_mb:>9,.0f}  {row.note}")
    return "\n".join(lines) + "\n"
