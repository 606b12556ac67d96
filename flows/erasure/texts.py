"""What names a subject outside of tables: Prefect's database and logs, and pages for people. Values become `[erased]`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from flows import access
from tasks.core import pipeline

MARK = b"[erased]"
DATABASE = "prefect.db"
SQLITE = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm")
BUSY = 10.0  # seconds for which another writer of the database is waited for


def database() -> Path:
    """Prefect's own database, where it is a file."""
    return access.home() / DATABASE


def files(values: list[bytes]) -> list[tuple[Path, int]]:
    """Files of logs and pages that hold one of the values, and how often."""
    folders = [access.home(), *(stage.reports for stage in pipeline.stages().values() if stage.reports)]
    paths = sorted({path for folder in folders for path in folder.rglob("*") if path.is_file() and path.name not in SQLITE})
    counts = ((path, sum(path.read_bytes().count(value) for value in values)) for path in paths)
    return [(path, count) for path, count in counts if count]


def blank(path: Path, values: list[bytes]) -> None:
    """Write a file with the values replaced."""
    data = path.read_bytes()
    for value in values:
        data = data.replace(value, MARK)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(data)
    beside.chmod(path.stat().st_mode)
    beside.replace(path)


def cells(values: list[bytes]) -> Iterator[tuple[str, str, int]]:
    """Tables and columns of the database with cells that hold one of the values, and how many."""
    if not database().is_file() or not values:
        return
    with closing(sqlite3.connect(f"file:{database()}?mode=ro", uri=True, timeout=BUSY)) as connection:
        for table, column in _columns(connection):
            where = " OR ".join([f'instr(CAST("{column}" AS TEXT), ?) > 0'] * len(values))
            texts = [value.decode() for value in values]
            ((count,),) = connection.execute(f'SELECT count(*) FROM "{table}" WHERE {where}', texts)
            if count:
                yield table, column, count


def _columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Tables and columns that may hold text, by the database's own list."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'")]
    return [(table, row[1]) for table in tables for row in connection.execute(f'PRAGMA table_info("{table}")')]


def blank_cells(values: list[bytes]) -> str:
    """Replace the values in the database and write it anew, so that no freed page holds them; what was done, or why it could not be."""
    found = list(cells(values))
    if not database().is_file():
        return "Prefect's database: none here"
    try:
        with closing(sqlite3.connect(database(), timeout=BUSY)) as connection:
            for table, column, _ in found:
                for value in values:
                    text = value.decode()
                    change = f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) WHERE instr(CAST("{column}" AS TEXT), ?) > 0'
                    connection.execute(change, (text, MARK.decode(), text))
            connection.commit()
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        return f"Prefect's database: not written ({error}): stop `pairwright serve`, and run again"
    return f"Prefect's database: {sum(count for *_, count in found)} cells blanked"
