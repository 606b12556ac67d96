"""What `dvc.lock` names: the outputs of a version with their digests, and its raw logs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows import git
from tasks.core.errors import UserError
from tasks.core.params import parse

PATH, LOCK = "dvc.yaml", "dvc.lock"
FOLDER = ".dir"  # how the digest of a folder ends
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


def read(revision: str | None = None) -> Version:
    """The version that lies in the current folder, or that of a git revision."""
    path, lock = (parse(_text(name, revision)) or {} for name in (PATH, LOCK))
    private = {name for name, stage in path["stages"].items() if any(_uncached(out) for out in stage["outs"])}
    ran = [(name, lock["stages"][name]) for name in path["stages"] if name in lock.get("stages", {})]
    outputs = tuple(_entry(name, out, stage["cmd"], name in private) for name, stage in ran for out in stage["outs"])
    made = {entry.path for entry in outputs}
    read_by = [(name, dep) for name, stage in ran if name in private for dep in stage["deps"] if _is_data(dep["path"])]
    raw = (_entry(name, dep, "", True) for name, dep in read_by)
    return Version(outputs, tuple(entry for entry in raw if not made & {entry.path, *entry.path.parents}))


def _text(name: str, revision: str | None) -> str:
    if revision is None:
        return Path(name).read_text(encoding="utf-8") if Path(name).is_file() else ""
    text = git.show(revision, Path(name))
    if text is None:
        raise UserError(f"--rev {revision}", f"no {name} there", "a tag or commit of this workspace", "`git tag` lists the versions")
    return text


def _uncached(out: object) -> bool:
    return isinstance(out, dict) and any((options or {}).get("cache") is False for options in out.values())


def _is_data(path: str) -> bool:
    return Path(path).parts[0] == "data"


def _entry(stage: str, line: dict[str, Any], command: str, private: bool) -> Entry:
    return Entry(stage, Path(line["path"]), line["md5"], line.get("size", 0), private, command.startswith(TRAINS))
