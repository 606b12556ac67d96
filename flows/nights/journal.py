"""The log of the last run as JSON lines: time, level, stage, message."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

from flows.nights import place
from tasks.core import visible

LOGGERS = ("prefect.flow_runs", "prefect.task_runs")


class Journal(logging.Handler):
    """Writes each record of a run as a line; a new journal begins the file anew."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        path.unlink(missing_ok=True)  # an earlier run may still be about to say its last line into it
        self._stream = path.open("w", encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        """One line, at once, so that it stands there when the run is killed."""
        try:
            self._stream.write(visible.line(json.dumps(entry(record), ensure_ascii=False)) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.handleError(record)

    def close(self) -> None:
        """End the file."""
        self._stream.close()
        super().close()


def entry(record: logging.LogRecord) -> dict[str, str]:
    """What a line says."""
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    stage = str(getattr(record, "task_run_name", ""))
    return {"time": moment, "level": record.levelname, "stage": stage, "message": record.getMessage()}


def begin() -> None:
    """Begin the log of a run, in the place of the one before."""
    end()
    journal = Journal(place.folder() / place.LOG)
    for name in LOGGERS:
        logging.getLogger(name).addHandler(journal)


def end() -> None:
    """End the log, if one was begun."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        for handler in [one for one in logger.handlers if isinstance(one, Journal)]:
            logger.removeHandler(handler)
            handler.close()
