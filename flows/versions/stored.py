"""What a version holds: read out of git and out of DVC's cache or remote, without touching the workspace.

A table of a version is found by the version's own `dvc.lock`: stage, output folder, the list of its files in DVC's cache, their digests.
Every object is held against its digest, so that a spoilt cache is named and not compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows import dvc, git
from flows.storage import clients
from flows.versions import record
from tasks.core import pipeline
from tasks.core.errors import UserError
from tasks.core.params import parse

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB

WORKSPACE = "workspace"
TOMBSTONES = "erased"  # the input of `ingest` that says what is erased
LOCK = Path("dvc.lock")
FOLDER = ".dir"  # how DVC ends the digest of a folder
AT_ONCE = 16  # questions to a store


class AwayError(UserError):
    """Bytes of a version that are neither in the cache nor in a remote."""


@dataclass(frozen=True)
class Stored:
    """A version, or the workspace as it lies there."""

    name: str
    commit: str | None  # none: the workspace
    repository: Repo

    @cached_property
    def lock(self) -> dict[str, Any]:
        """The stages of the version's `dvc.lock`."""
        text = self.text(LOCK)
        if text is None:
            raise UserError(f"{self.name}: {LOCK}", "no such file", "what DVC built there", "name a commit after the first run")
        document: dict[str, Any] = parse(text)["stages"]
        return document

    def text(self, path: Path) -> str | None:
        """A file that git keeps; none where it is not there."""
        if self.commit:
            return git.show(self.commit, path)
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def table(self, folder: Path) -> pa.Table | None:
        """A table of the version; none where its stage wrote no such table."""
        if self.commit is None:
            return pq.read_table(folder) if folder.is_dir() else None
        parts = [pq.read_table(pa.BufferReader(data)) for name, data in self._below(folder) if name.endswith(".parquet")]
        return pa.concat_tables(parts) if parts else None

    def document(self, path: Path) -> Any:  # noqa: ANN401 (a JSON file may hold anything)
        """A JSON file that DVC keeps; none where it is not there."""
        if self.commit is None:
            return json.loads(path.read_bytes()) if path.is_file() else None
        found = [data for name, data in self._below(path.parent) if name == path.name]
        return json.loads(found[0]) if found else None

    def is_whole(self, folder: Path) -> bool:
        """Whether every byte of a stage's output can be had from the cache or the remote. UserError where the remote does not answer."""
        try:
            digests = {entry["md5"] for entry in self._listing(folder)}
        except AwayError:
            return False
        for where, store in _stores(self.repository):
            with clients.answering(where), ThreadPoolExecutor(AT_ONCE) as pool:
                found = pool.map(lambda digest, store=store: (digest, clients.size(store, digest)), sorted(digests))
                digests -= {digest for digest, size in found if size is not None}
            if not digests:
                return True
        return not digests

    def _below(self, folder: Path) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of the files straight in a folder that DVC keeps."""
        output = next((known.output for known in pipeline.stages().values() if known.output in (folder, *folder.parents)), None)
        if output is None:
            raise UserError(str(folder), "no stage's output", "a path below one", "see dvc.yaml")
        inside = folder.relative_to(output).as_posix()
        for entry in self._listing(output):
            at, _, name = entry["relpath"].rpartition("/")
            if at == ("" if inside == "." else inside):
                yield name, self._read(entry["md5"])

    def _listing(self, output: Path) -> list[dict[str, str]]:
        """The files of a stage's output with their digests; none where the version has no such stage."""
        for stage in self.lock.values():
            for out in stage.get("outs", ()):
                if out["path"] == output.as_posix():
                    listed: list[dict[str, str]] = json.loads(self._read(out["md5"]))
                    return listed
        return []

    def _read(self, digest: str) -> bytes:
        """An object's bytes, which are what its digest says."""
        for where, store in _stores(self.repository):
            with clients.answering(where):
                if clients.size(store, digest) is None:
                    continue
                data: bytes = store.fs.cat_file(store.oid_to_path(digest))
            if hashlib.md5(data, usedforsecurity=False).hexdigest() != digest.removesuffix(FOLDER):
                path, expected = str(store.oid_to_path(digest)), f"those of {digest}"
                raise UserError(path, "bytes that are not what their name says", expected, "delete the file and `dvc fetch`")
            return data
        remedy = "fetch them with `dvc fetch --all-tags` where a remote has them; what was erased from all versions cannot be had"
        raise AwayError(f"version {self.name}", f"no bytes for {digest}", "them in DVC's cache or remote", remedy)


def _stores(repository: Repo) -> Iterator[tuple[str, HashFileDB]]:
    """Where bytes may lie, by name, the nearest first."""
    from dvc.config import NoRemoteError

    yield "DVC's cache", repository.cache.local
    try:
        remote = repository.cloud.get_remote()
    except NoRemoteError:
        return
    yield f"remote {remote.name!r}", remote.odb


@contextmanager
def opened(*names: str) -> Iterator[tuple[Stored, ...]]:
    """The versions of these names: tags, numbers, commits, or `workspace`."""
    with dvc.repository(looking=True) as repository:
        yield tuple(Stored(*named(name), repository) for name in names)


def named(name: str) -> tuple[str, str | None]:
    """A version's full name and its commit; none for the workspace."""
    if name == WORKSPACE:
        return name, None
    tag = record.tag(record.number(name)) if record.SHORT.fullmatch(name) else name
    commit = git.attempt("rev-parse", "--verify", "-q", f"{tag}^{{commit}}")
    if commit is None:
        known = ", ".join(sorted(git.tags(f"{record.DATASET}@*"), key=record.number)) or "none yet"
        expected = f"a version ({known}), a commit, or `{WORKSPACE}`"
        raise UserError(f"version {name!r}", "no such version", expected, "correct the name, or `git fetch --tags`")
    return tag, commit


def digest(lock: dict[str, Any], path: Path) -> str | None:
    """The digest of a path among the inputs and outputs of all stages."""
    for stage in lock.values():
        for entry in (*stage.get("deps", ()), *stage.get("outs", ())):
            if entry["path"] == path.as_posix():
                return str(entry["md5"])
    return None
