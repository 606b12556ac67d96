"""Where bytes of outputs lie beside the workspace: DVC's cache, and its remotes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from flows.erasure.locks import Out
from flows.storage import clients, private_store

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB

DIR = ".dir"
T = TypeVar("T")


@dataclass(frozen=True)
class Store:
    """A store of objects by digest."""

    name: str
    odb: HashFileDB

    def has(self, oid: str) -> bool:
        """Whether the object is there."""
        return clients.size(self.odb, oid) is not None

    def read(self, oid: str) -> bytes:
        """An object's bytes."""
        with self.odb.fs.open(self.odb.oid_to_path(oid), "rb") as stream:
            found: bytes = stream.read()
            return found

    def delete(self, oid: str) -> None:
        """Take an object out."""
        self.odb.delete(oid)

    def files(self) -> Iterator[str]:
        """Every object that is no list of a folder."""
        found: Iterator[str] = self.odb.all()
        yield from (oid for oid in found if not oid.endswith(DIR))


@dataclass(frozen=True)
class Stores:
    """All stores that answer, and what is to be said of the others."""

    stores: tuple[Store, ...]
    away: tuple[str, ...]

    def read(self, oid: str) -> bytes | None:
        """An object's bytes from the first store that has it."""
        return next((store.read(oid) for store in self.stores if store.has(oid)), None)

    def lists(self) -> set[str]:
        """Every list of a folder that the cache holds: also what a run made that failed or was held, which no commit records."""
        found: set[str] = set(self.stores[0].odb.all())
        return {oid for oid in found if oid.endswith(DIR)}

    def listing(self, out: Out) -> dict[str, str] | None:
        """Paths and digests of the files of an output; None where no store has the list of a folder."""
        path, oid = out
        if not oid.endswith(DIR):
            return {path: oid}
        data = self.read(oid)
        return None if data is None else {entry["relpath"]: entry["md5"] for entry in json.loads(data)}


def opened(repository: Repo, private: str) -> Stores:
    """The cache and every remote but the private one, which holds raw logs."""
    found, away = [Store("DVC's cache", repository.cache.local)], list[str]()
    for name in repository.config["remote"]:
        if name != private.lower():
            with _told(f"remote {name!r}", away.append):
                store = Store(f"remote {name!r}", repository.cloud.get_remote_odb(name))
                store.has("0" * 32)
                found.append(store)
    return Stores(tuple(found), tuple(away))


@contextmanager
def _told(name: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Whatever the client of a store raises is told of: each kind of store has errors of its own."""
    try:
        yield
    except Exception as error:
        tell(f"{name}: does not answer ({' '.join(str(error).split()) or type(error).__name__}): what it holds is still there")


def private(repository: Repo) -> Store | None:
    """The store of raw logs; None where there is none."""
    store = private_store.opened(repository)
    return Store(f"private store {store.name!r}", store.odb) if store else None
