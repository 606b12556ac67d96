"""Prefect's database, a file or PostgreSQL, as Prefect's own settings name it: which cells hold a value, and their blanking."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flows import access
from flows.erasure import postgresql, sqlite

API = "PREFECT_API_URL"
Cells = list[tuple[str, str, int]]  # table, column, and how many cells


class Database(Protocol):
    """A kind of database."""

    def cells(self, values: list[str]) -> Cells:
        """Tables and columns with cells that hold one of the values, and how many."""

    def blank(self, values: list[str], found: Cells) -> str:
        """Replace the values in these, and leave no freed page with them; what was done, or why it could not be."""


@dataclass(frozen=True)
class Elsewhere:
    """The database of a server that is not ours."""

    url: str

    def cells(self, _: list[str]) -> Cells:
        """None that can be seen from here."""
        return []

    def blank(self, _: list[str], __: Cells) -> str:
        """Where it can be done."""
        name = "PREFECT_API_DATABASE_CONNECTION_URL"
        return f"Prefect's database: kept by the server at {self.url}: not looked into; run this again with ${name} naming its database"


@dataclass(frozen=True)
class Missing:
    """No database: no run was ever kept here."""

    def cells(self, _: list[str]) -> Cells:
        """None."""
        return []

    def blank(self, _: list[str], __: Cells) -> str:
        """Nothing to do."""
        return "Prefect's database: none here"


def opened() -> Database:
    """The database that runs are kept in."""
    address = _address()
    if not address.startswith("sqlite"):
        return postgresql.Database(address)
    path = Path(address.partition("///")[2].partition("?")[0])
    if path.is_file():
        return sqlite.Database(path)
    return Elsewhere(os.environ[API]) if os.environ.get(API) else Missing()


def _address() -> str:
    """The database's address, with its password."""
    access.home()  # so that Prefect looks there for its own
    from prefect.settings import Settings

    found = Settings().server.database.connection_url
    return found.get_secret_value() if found else ""


def find(values: list[bytes]) -> Cells:
    """Tables and columns with cells that hold one of the values, and how many."""
    return opened().cells([value.decode() for value in values]) if values else []


def blank(values: list[bytes]) -> str:
    """Replace the values wherever they stand; what was done, or why it could not be."""
    there, texts = opened(), [value.decode() for value in values]
    return there.blank(texts, there.cells(texts))
