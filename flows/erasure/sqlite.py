"""Prefect's database where it is a file of SQLite's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

MARK = "[erased]"
BUSY = 10.0  # seconds for which another writer of the database is waited for
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'"


@dataclass(frozen=True)
class Database:
    """The file."""

    path: Path

    def cells(self, values: list[str]) -> list[tuple[str, str, int]]:
        """Tables and columns with cells that hold one of the values, and how many."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=BUSY)) as connection:
            counts = [(table, column, _count(connection, table, column, values)) for table, column in _columns(connection)]
        return [one for one in counts if one[-1]]

    def blank(self, values: list[str], found: list[tuple[str, str, int]]) -> str:
        """Replace the values and write the file anew, so that no freed page holds them; what was done, or why it could not be."""
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY)) as connection:
                for table, column, _ in found:
                    for value in values:
                        change = f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) WHERE instr(CAST("{column}" AS TEXT), ?) > 0'
                        connection.execute(change, (value, MARK, value))
                connection.commit()
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            return f"Prefect's database: not written ({error}): stop `pairwright serve`, and run again"
        return f"Prefect's database: {sum(count for *_, count in found)} cells blanked"


def _count(connection: sqlite3.Connection, table: str, column: str, values: list[str]) -> int:
    where = " OR ".join([f'instr(CAST("{column}" AS TEXT), ?) > 0'] * len(values))
    count: int = connection.execute(f'SELECT count(*) FROM "{table}" WHERE {where}', values).fetchone()[0]
    return count


def _columns(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Tables and columns that may hold text, by the database's own list."""
    for (table,) in connection.execute(TABLES).fetchall():
        yield from ((table, row[1]) for row in connection.execute(f'PRAGMA table_info("{table}")').fetchall())
