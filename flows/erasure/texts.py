"""What names a subject in files outside of tables: logs, and pages for people. Values become `[erased]`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flows import access
from flows.erasure.sqlite import MARK
from flows.nights import place
from flows.openlineage import emit
from flows.storage import runs
from tasks.core import pipeline

DATABASE = "prefect.db"
SQLITE = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm")


def files(values: list[bytes]) -> list[tuple[Path, int]]:
    """Files of logs and pages that hold one of the values, and how often."""
    paths = sorted({path for folder in _folders() for path in folder.rglob("*") if path.is_file() and path.name not in SQLITE})
    counts = ((path, sum(path.read_bytes().count(value) for value in values)) for path in paths)
    return [(path, count) for path, count in counts if count]


def _folders() -> Iterator[Path]:
    """Where logs and pages lie: Prefect's home, the last run's log, reports, those of earlier runs too, and OpenLineage's events."""
    yield from (access.home(), place.folder(), runs.REPORTS, emit.FOLDER)
    yield from (stage.reports for stage in pipeline.stages().values() if stage.reports)


def blank(path: Path, values: list[bytes]) -> None:
    """Write a file with the values replaced."""
    data = path.read_bytes()
    for value in values:
        data = data.replace(value, MARK.encode())
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(data)
    beside.chmod(path.stat().st_mode)
    beside.replace(path)
