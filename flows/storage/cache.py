"""DVC's cache, asked whether it holds an output: with a full disk DVC says so in passing, and ends as if all were well."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from flows.storage.recorded import Entry


def folder() -> Path:
    """Where DVC keeps objects for this workspace, by their MD5."""
    from dvc.config import Config

    own = Path(".dvc").resolve()
    return Path(Config(str(own))["cache"].get("dir") or own / "cache") / "files" / "md5"


def place(store: Path, md5: str) -> Path:
    """Where an object lies in a local store."""
    return store / md5[:2] / md5[2:]


def listed(store: Path, entry: Entry) -> dict[str, str] | None:
    """Path in the output -> digest of each of its files, a file that is the output itself under ""; None where the list is not there."""
    if not entry.is_folder:
        return {"": entry.md5}
    try:
        lines = json.loads(place(store, entry.md5).read_bytes())
        return {line["relpath"]: line["md5"] for line in lines}
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def lacking(store: Path, entry: Entry) -> Iterator[str]:
    """Paths of an output whose bytes the cache does not hold; the output's own path where not even the list of its files is there."""
    files = listed(store, entry)
    if files is None:
        yield str(entry.path)
        return
    sizes = {name: _size(place(store, md5)) for name, md5 in files.items()}
    gone = [str(entry.path / name) for name, size in sizes.items() if size is None]
    yield from gone
    if not gone and sum(size or 0 for size in sizes.values()) != entry.size:
        yield str(entry.path)


def _size(path: Path) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116 (asked for every file of an output)
    except FileNotFoundError:
        return None
