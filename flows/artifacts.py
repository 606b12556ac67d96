"""Tables that stand in the Prefect UI beside a run.

One of Prefect's two UIs takes each text in a cell for Markdown with HTML in it, so an image would be fetched; the other shows it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.common.markdown import quoted
from tasks.core import telemetry  # noqa: F401  (before prefect: switches its usage reports off)

from prefect.artifacts import create_table_artifact  # isort: skip

Cell = str | float


def table(key: str, rows: Sequence[Mapping[str, Cell]], description: str) -> None:
    """Keep a table of the run; what is written in its cells is text for whoever shows it."""
    cells = [{name: quoted(cell) if isinstance(cell, str) else cell for name, cell in row.items()} for row in rows]
    create_table_artifact(key=key, table=cells, description=description)
