"""Whether a checkpoint on disk is whole: `complete.json` names every file with its size and digest, and is written last."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tasks.core import manifest

COMPLETE = "complete.json"


def seal(folder: Path, step: int) -> None:
    """Say that the checkpoint is whole, and what is in it."""
    files = {path.relative_to(folder).as_posix(): _entry(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    (folder / COMPLETE).write_bytes(manifest.dumps({"step": step, "files": files}))


def _entry(path: Path) -> dict[str, object]:
    return {"bytes": path.stat().st_size, "sha256": manifest.file_digest(path)}


def damage(folder: Path, step: int, needed: Iterable[str], one_of: Sequence[str] = ()) -> str | None:
    """What is wrong with a checkpoint, by file; None where it is whole and holds the `needed` files, and one of `one_of`."""
    seal_file = folder / COMPLETE
    if not seal_file.is_file():
        return f"{seal_file} is missing"
    try:
        document = json.loads(seal_file.read_bytes())
        files = {name: (entry["bytes"], entry["sha256"]) for name, entry in document["files"].items()}
        found = document["step"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{seal_file} cannot be read"
    if found != step:
        return f"{seal_file} is of step {found}"
    missing = [name for name in needed if name not in files]
    if one_of and not set(one_of) & set(files):
        missing.append(one_of[0])
    if missing:
        return f"{folder / missing[0]} was never written"
    return next((reason for name, (size, digest) in files.items() if (reason := _file_damage(folder / name, size, digest))), None)


def _file_damage(path: Path, size: int, digest: str) -> str | None:
    if not path.is_file():
        return f"{path} is missing"
    if path.stat().st_size != size:
        return f"{path} has {path.stat().st_size:,} bytes of {size:,}"
    return None if manifest.file_digest(path) == digest else f"{path} is not what was written"
