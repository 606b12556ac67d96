"""The figures of every step as dvclive's tables, which `dvc plots show` and `dvc plots diff` draw.

In: the history of a run. Out: `<folder>/metrics/<part>/<figure>.tsv`, a step and a value a line. Written at the end of the run: they
hold no clock, are the same in every run, and a resumed run has no line twice. Without dvclive there is no DVC to draw them, and no table.
Trap: dvclive's `Live` asks git and DVC about the folder it runs in, and fails in a repository without a commit; its tables do not.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write(history: Sequence[dict[str, Any]], folder: Path) -> None:
    """All figures of all steps; a table adds to what is there, so nothing may be."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        from dvclive.plots.metric import Metric
    except ModuleNotFoundError:  # a machine that only trains, such as a rented GPU
        return
    tables: dict[str, Any] = {}
    for row in history:
        for name, value in row.items():
            if name not in ("part", "step"):
                table = tables.setdefault(f"{row['part']}/{name}", Metric(f"{row['part']}/{name}", str(folder)))
                table.step = row["step"]
                table.dump(value)
