"""What `dvc.lock` names: the outputs of a version with their digests, and its raw logs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tasks.common import champion as names
from tasks.core import pipeline
from tasks.core.params import parse

PATH, LOCK = "dvc.yaml", "dvc.lock"
FOLDER = ".dir"  # how the digest of a folder ends
DVC = ".dvc"  # how a file ends that names bytes for DVC
TRAINS = "python -m trainer "  # commands that begin so make models


@dataclass(frozen=True)
class Entry:
    """A path with the digest that DVC knows its bytes by."""

    stage: str
    path: Path
    md5: str
    size: int
    private: bool = False  # in no cache and no shared remote: not redacted
    model: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether the digest is that of a list of files."""
        return self.md5.endswith(FOLDER)


@dataclass(frozen=True)
class Version:
    """The outputs that a `dvc.lock` names, and what the stages before redaction read that no stage makes."""

    outputs: tuple[Entry, ...]
    raw: tuple[Entry, ...]


def read() -> Version:
    """The version that lies in the current folder, with the model that the next one must beat."""
    found = version(*(Path(name).read_text(encoding="utf-8") if Path(name).is_file() else "" for name in (PATH, LOCK)))
    return replace(found, outputs=(*found.outputs, *champion()))


def champion_folder() -> Path | None:
    """The input that holds the last model; None in a project that compares none."""
    return next((path for stage in pipeline.stages().values() for path in stage.data if path.name == names.CHAMPION), None)


def champion() -> tuple[Entry, ...]:
    """The bytes of the last model and of its start, as their `.dvc` files name them; none before the first."""
    folder = champion_folder()
    files = sorted(folder.glob(f"*{DVC}")) if folder else []
    outs = [(file.with_suffix(""), parse(file.read_text(encoding="utf-8"))["outs"][0]) for file in files]
    return tuple(_entry(names.COMPARE, {**out, "path": str(path)}, TRAINS, False) for path, out in outs)


def version(path_text: str, lock_text: str) -> Version:
    """The version that a `dvc.yaml` and a `dvc.lock` name."""
    path, lock = parse(path_text), parse(lock_text) or {}
    private = {name for name, stage in path["stages"].items() if any(_uncached(out) for out in stage["outs"])}
    ran = [(name, lock["stages"][name]) for name in path["stages"] if name in lock.get("stages", {})]
    outputs = tuple(_entry(name, out, stage["cmd"], name in private) for name, stage in ran for out in stage["outs"])
    made = {entry.path for entry in outputs}
    read_by = [(name, dep) for name, stage in ran if name in private for dep in stage["deps"] if _is_data(dep["path"])]
    raw = (_entry(name, dep, "", True) for name, dep in read_by)
    return Version(outputs, tuple(entry for entry in raw if not made & {entry.path, *entry.path.parents}))


def _uncached(out: object) -> bool:
    return isinstance(out, dict) and any((options or {}).get("cache") is False for options in out.values())


def _is_data(path: str) -> bool:
    return Path(path).parts[0] == "data"


def _entry(stage: str, line: dict[str, Any], command: str, private: bool) -> Entry:
    return Entry(stage, Path(line["path"]), line["md5"], line.get("size", 0), private, command.startswith(TRAINS))
