"""What the columns of the released configs mean, for the dataset card: as the tables say it. A test holds the names against the release."""

from __future__ import annotations

from tasks.core.tables import Pairs, Prompts, Table, Unpaired

BY_SPLIT = "split"  # no column of a config: each split has files of its own


def _of(table: type[Table]) -> dict[str, str]:
    return {column.name: column.meaning for column in table.COLUMNS if column.name != BY_SPLIT}


COLUMNS: dict[str, dict[str, str]] = {"preference": _of(Pairs), "unpaired": _of(Unpaired), "prompts": _of(Prompts)}
# Columns that only some releases have.
OPTIONAL = {"tools": "the tools that were offered, as JSON text of their schemas, as TRL reads it; null where none were"}
