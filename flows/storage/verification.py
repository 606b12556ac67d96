"""Every byte of a version compared with its digest: what lies in the workspace, what DVC's cache holds, and the release's manifest.

DVC trusts an object of its cache by its name and checks out whatever it holds. Here all of it is read: several files at once, in blocks.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from flows.storage import cache
from flows.storage.recorded import Entry
from tasks.core import manifest
from tasks.core.errors import UserError

FETCH = "delete it and run `pairwright pull`, or run the stage again with `dvc repro --force --single-item {}`"
AGAIN = "`dvc checkout {}` brings it back where the cache is whole; else `dvc repro --force --single-item {}`"


@dataclass(frozen=True)
class Expected:
    """A file, and the digest of the bytes that should be in it."""

    path: Path
    digest: str
    remedy: str
    kind: str = "md5"


@dataclass
class Checked:
    """What was looked at, and what is wrong with it."""

    faults: list[UserError] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    absent: list[str] = field(default_factory=list)  # outputs that are neither here nor in the cache


def check(outputs: Iterable[Entry], release: Path, *, workspace: bool) -> Checked:
    """Check the outputs in the cache, and those that lie in the workspace where it is of this version."""
    found, store, sought = Checked(), cache.folder(), list[Expected]()
    for entry in outputs:
        files = cache.listed(store, entry)
        sought += _of_cache(found, store, entry, files, workspace)
        if workspace and entry.path.exists():
            sought += _of_workspace(found, entry, files)
        if entry.path == release and files and manifest.NAME in files:
            sought += _of_manifest(found, store, entry, files)
    _compare(found, sought)
    return found


def _of_cache(found: Checked, store: Path, entry: Entry, files: Mapping[str, str] | None, workspace: bool) -> Iterator[Expected]:
    """The objects of an output; a fault where the list of its files is not there though its files are."""
    if entry.private:
        return
    remedy = FETCH.format(entry.stage)
    whole = cache.place(store, entry.md5)
    if not whole.exists():
        if workspace and entry.path.exists():
            found.faults.append(UserError(f"{entry.path} in the cache", "nothing", entry.md5, f"`dvc commit {entry.stage}` puts it there"))
        else:
            found.absent.append(str(entry.path))
        return
    for digest in {entry.md5, *(files or {}).values()}:
        yield Expected(cache.place(store, digest), digest.partition(".")[0], remedy)


def _of_workspace(found: Checked, entry: Entry, files: Mapping[str, str] | None) -> Iterator[Expected]:
    """The files of an output as they lie here; a fault for each that is not in the list."""
    remedy = AGAIN.format(entry.path, entry.stage)
    if files is None or entry.private:
        return
    here = {path.relative_to(entry.path).as_posix() for path in entry.path.rglob("*") if path.is_file()} if entry.is_folder else {""}
    for name in sorted(here - set(files)):
        found.faults.append(UserError(str(entry.path / name), "a file that dvc.lock does not know", "only those of the output", remedy))
    for name, digest in files.items():
        yield Expected(entry.path / name, digest, remedy)


def _of_manifest(found: Checked, store: Path, entry: Entry, files: Mapping[str, str]) -> Iterator[Expected]:
    """The files of the release by its manifest, in the cache; a fault for each that only one of the two lists."""
    again = f"make the release again with `dvc repro --force --single-item {entry.stage}`"
    path = cache.place(store, files[manifest.NAME])
    try:
        listed = manifest.parsed(path)["files"]
    except UserError as error:
        found.faults.append(error)
        return
    for name in sorted(set(listed) ^ (set(files) - {manifest.NAME})):
        where = "in the manifest alone" if name in listed else "not in the manifest"
        found.faults.append(UserError(str(entry.path / name), f"a file that is {where}", "the same files in both", again))
    for name in set(listed) & set(files):
        yield Expected(cache.place(store, files[name]), listed[name]["sha256"], again, "sha256")


def _compare(found: Checked, sought: Iterable[Expected]) -> None:
    """Read the files, each once a digest, several at a time; faults in the order of paths."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = sorted(set(sought), key=lambda one: (str(one.path), one.kind))
        for one, (digest, size) in zip(jobs, pool.map(_digest, jobs), strict=True):
            found.files += 1
            found.bytes += size
            if digest != one.digest:
                found.faults.append(UserError(str(one.path), digest, f"{one.kind} {one.digest}", one.remedy))


def _digest(one: Expected) -> tuple[str, int]:
    """Digest and size of a file; in words what is wrong where there is none."""
    try:
        with one.path.open("rb") as stream:
            state = hashlib.file_digest(stream, lambda: hashlib.new(one.kind, usedforsecurity=False))
            return state.hexdigest(), stream.tell()
    except FileNotFoundError:
        return "nothing there", 0
    except OSError as error:
        return f"no way to read it ({error.strerror})", 0
