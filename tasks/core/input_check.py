"""Whether a stage's inputs are whole: no shard is cut, missing or of another table, and there are as many rows as their maker counted.

Only the ends of Parquet files are read for it, where what is in them stands: milliseconds, however large the table is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import daft.exceptions
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core import pipeline
from tasks.core.errors import UserError
from tasks.core.tables import TABLES

LEDGER = "ledger.json"
CORRUPT = "CorruptFile"  # how Daft begins to say that a file cannot be read
REMEDY = "`dvc checkout` brings it back, or `dvc repro` makes it again"


def check(stage: pipeline.Stage) -> None:
    """Look at every table and ledger that the stage reads and that is there; a UserError names the first that is not as it was made."""
    for path in stage.data:
        if path.name in TABLES and path.is_dir():
            _check_table(path)
        elif path.name == LEDGER and path.is_file():
            _ledger(path)


def _check_table(folder: Path) -> None:
    shards = sorted(folder.glob("*.parquet"))
    for number in range(max(len(shards), 1)):
        shard = folder / f"{number:05d}.parquet"
        if shard not in shards:
            raise UserError(str(shard), "nothing there", f"a shard of the table {folder.name}", REMEDY)
    rows = sum(_rows(shard, TABLES[folder.name].schema()) for shard in shards)
    counted = _ledger(folder.parent / LEDGER).get(folder.name, {}).get("kept", rows)
    if rows != counted:
        raise UserError(str(folder), f"{rows} rows in {len(shards)} shards", f"{counted}, as {folder.parent / LEDGER} says", REMEDY)


def _rows(shard: Path, schema: pa.Schema) -> int:
    """Rows of a shard; a UserError where it is not whole, or lacks a column of the table."""
    try:
        footer = pq.read_metadata(shard)
    except (pa.ArrowInvalid, OSError) as error:
        why = error.strerror if isinstance(error, PermissionError) else "no whole Parquet file"
        raise UserError(str(shard), str(why), f"a shard of the table {shard.parent.name}", REMEDY) from error
    lacking = sorted(set(schema.names) - set(footer.schema.to_arrow_schema().names))
    if lacking:
        raise UserError(str(shard), f"no column {', '.join(lacking)}", f"the columns of the table {shard.parent.name}", REMEDY)
    return int(footer.num_rows)


def _ledger(path: Path) -> dict[str, Any]:
    """The ledger; an empty one where there is none."""
    if not path.is_file():
        return {}
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(str(path), "text that is not JSON", "the ledger of a stage", REMEDY) from error
    return document


@contextmanager
def named_when_broken() -> Iterator[None]:
    """What Daft says of a file that it cannot read, as one line."""
    try:
        yield
    except daft.exceptions.DaftCoreException as error:
        told = " ".join(str(error).split())
        if CORRUPT not in told:
            raise
        raise UserError("a table", told.partition(CORRUPT)[2].strip(), "Parquet files that can be read", REMEDY) from error
