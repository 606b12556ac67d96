"""Prefect's database where it is PostgreSQL: the same questions, and tables written anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from flows.erasure.sqlite import BUSY, MARK
from tasks.core.errors import UserError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")
COLUMNS = """
SELECT c.table_name, c.column_name, format_type(a.atttypid, a.atttypmod)
FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
JOIN pg_attribute a ON a.attrelid = format('%I.%I', c.table_schema, c.table_name)::regclass AND a.attname = c.column_name
WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.is_generated = 'NEVER'
AND c.data_type IN ('text', 'character varying', 'character', 'json', 'jsonb', 'ARRAY')
ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Database:
    """A database of a server that is somewhere else."""

    address: str

    def cells(self, values: list[str]) -> list[tuple[str, str, int]]:
        """Tables and columns with cells that hold one of the values, and how many."""

        async def count(connection: AsyncConnection) -> list[tuple[str, str, int]]:
            counts = [(table, column, await _count(connection, table, column, values)) for table, column, _ in await _columns(connection)]
            return [one for one in counts if one[-1]]

        return self._asked(count)

    def blank(self, values: list[str], found: list[tuple[str, str, int]]) -> str:
        """Replace the values and write the tables anew, so that no dead row holds them; what was done."""

        async def change(connection: AsyncConnection) -> None:
            kinds = {(table, column): kind for table, column, kind in await _columns(connection)}
            for table, column, _ in found:
                await _replace(connection, table, column, kinds[table, column], values)
            for table in sorted({table for table, *_ in found}):
                await connection.exec_driver_sql(f'VACUUM FULL "{table}"')

        if found:
            self._asked(change)
        return f"Prefect's database: {sum(count for *_, count in found)} cells blanked"

    def _asked(self, question: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """An answer of the database; a UserError, without its password, where there is none."""
        from sqlalchemy import make_url
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return asyncio.run(self._answer(question))
        except (SQLAlchemyError, OSError, TimeoutError, ImportError) as error:
            found = " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__
            where = make_url(self.address).render_as_string(hide_password=True)
            remedy = "start it, or stop `pairwright serve`, and run again"
            raise UserError(f"Prefect's database {where}", found, "one that answers", remedy) from error

    async def _answer(self, question: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        from sqlalchemy.ext.asyncio import create_async_engine

        engine = create_async_engine(self.address, isolation_level="AUTOCOMMIT", connect_args={"timeout": BUSY})
        try:
            async with engine.connect() as connection:
                await connection.exec_driver_sql(f"SET lock_timeout = '{BUSY:.0f}s'")
                return await question(connection)
        finally:
            await engine.dispose()


async def _columns(connection: AsyncConnection) -> list[tuple[str, str, str]]:
    """Tables and columns that may hold text, with their types."""
    return [(table, column, kind) for table, column, kind in await connection.exec_driver_sql(COLUMNS)]


async def _count(connection: AsyncConnection, table: str, column: str, values: list[str]) -> int:
    where = " OR ".join(f'strpos("{column}"::text, ${at}) > 0' for at in range(1, len(values) + 1))
    rows = await connection.exec_driver_sql(f'SELECT count(*) FROM "{table}" WHERE {where}', tuple(values))
    count: int = rows.scalar_one()
    return count


async def _replace(connection: AsyncConnection, table: str, column: str, kind: str, values: list[str]) -> None:
    for value in values:
        change = f'UPDATE "{table}" SET "{column}" = replace("{column}"::text, $1, $2)::{kind} WHERE strpos("{column}"::text, $1) > 0'
        await connection.exec_driver_sql(change, (value, MARK))
