"""The figures of every step as dvclive's tables, which `dvc plots show` and `dvc plots diff` draw.

In: the history of a run. Out: `<folder>/plots/metrics/<part>/<figure>.tsv`, a step and a value a line.
Written at the end of the run: they hold no clock, are the same in every run, and a resumed run has no line twice.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

SILENT = {"DVC_STUDIO_OFFLINE": "true", "DVCLIVE_LOGLEVEL": "ERROR"}  # nothing is sent to a server


def write(history: Sequence[dict[str, Any]], folder: Path) -> None:
    """All figures of all steps."""
    os.environ.update(SILENT)
    from dvclive import Live

    with Live(str(folder), save_dvc_exp=False, dvcyaml=None) as live:
        for step, rows in groupby(history, key=lambda row: row["step"]):
            live.step = step
            for row in rows:
                for name, value in row.items():
                    if name not in ("part", "step"):
                        live.log_metric(f"{row['part']}/{name}", value)
    (folder / "metrics.json").unlink(missing_ok=True)  # the last step's; the stage's own metrics.json says more
