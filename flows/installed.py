"""Workspaces of an installed package: `pairwright init`, and what stands there for the code.

In a checkout the stages' code is files of the project, which DVC follows. The code of an installed package lies outside of every
workspace. So each stage of a workspace that `init` made depends on `.pairwright/code/STAGE` instead: the list of that stage's code files
with their digests. `refresh` writes these lists anew, so that after an upgrade of the package just those stages are stale whose code
changed. Every `pairwright` command that looks at stages calls it; a bare `dvc repro` goes by what the last of them wrote.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

import tasks
from tasks.common import champion as names
from tasks.common import salt
from tasks.core import manifest, pipeline
from tasks.core.errors import UserError
from tasks.core.params import parse

HOME = Path(tasks.__file__).parent.parent  # of our packages: a checkout, or site-packages
SHIPPED = (HOME / "tasks" / "library" / "pairwright" / "workspace", HOME / "pairwright" / "workspace")
PATH = "pipeline.yaml"  # how `dvc.yaml` is called there, since DVC would take a second one for a pipeline of its own
CODE = Path(".pairwright/code")
COPIED = {
    "params.yaml": "params.yaml",
    "prefect.yaml": "prefect.yaml",
    "gitignore": ".gitignore",
    "dvcignore": ".dvcignore",
    "dvc-config": ".dvc/config",
    "dvc-gitignore": ".dvc/.gitignore",
}
PAGES = {  # the inputs that they explain, by stage
    "splits.md": ("split", "splits"),
    "erased.md": ("ingest", "erased"),
    "benchmarks.md": ("decontaminate", "benchmarks"),
    "champion.md": (names.COMPARE, names.CHAMPION),
}
VERSIONS, VERSIONS_PAGE = "versions", "versions.md"  # folder of the records of versions, beside the release, and its page
ADDED = {".gitignore": "!/.pairwright/code/\n", ".dvcignore": "!.pairwright/code\n"}
HEAD = """# The path of the data. The code of each stage is that of the installed package: .pairwright/code/STAGE lists its files
# with their digests, and `pairwright` keeps the lists up to date.
"""


def shipped() -> Path:
    """The folder with the files of a workspace."""
    found = next((folder for folder in SHIPPED if (folder / PATH).is_file()), None)
    if found is None:
        raise UserError(str(SHIPPED[-1]), "no files of a workspace", "those that the package brings", "install pairwright again")
    return found


def init(folder: Path) -> Path:
    """Make a workspace in a new or empty folder, and say where in it logs go; a UserError where something lies there."""
    if folder.exists() and (not folder.is_dir() or any(path.name != ".git" for path in folder.iterdir())):
        raise UserError(str(folder), "something that lies there", "a new or an empty folder", "choose another one")
    if shutil.which("git") is None:
        raise UserError("git", "no such command", "git, which keeps the workspace's versions", "install it")
    source = shipped()
    for name, place in COPIED.items():
        _put(folder / place, (source / name).read_text(encoding="utf-8") + ADDED.get(place, ""))
    (folder / "dvc.yaml").write_text(HEAD + yaml.safe_dump(_path(), sort_keys=False, width=140, allow_unicode=True), encoding="utf-8")
    for name, (stage, data) in PAGES.items():
        _put(folder / pipeline.stage(stage, folder).input(data) / "README.md", (source / name).read_text(encoding="utf-8"))
    release = pipeline.stage("release", folder).output
    _put(folder / release.parent / VERSIONS / "README.md", (source / VERSIONS_PAGE).read_text(encoding="utf-8"))
    raw = folder / pipeline.stage("ingest", folder).input("raw")
    raw.mkdir()
    refresh(folder)
    (folder / CODE.parent / salt.FINGERPRINT).write_text(salt.fingerprint(salt.PUBLIC) + "\n", encoding="utf-8")
    if not (folder / ".git").exists():
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return raw


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _path() -> dict[str, Any]:
    """`dvc.yaml` with a list of digests in the place of each stage's code."""
    document: dict[str, Any] = parse((shipped() / PATH).read_text(encoding="utf-8"))
    for name, stage in document["stages"].items():
        stage["deps"] = [*(dep for dep in stage["deps"] if not _is_code(dep)), str(CODE / name)]
    return document


def _is_code(dep: str) -> bool:
    return Path(dep).parts[0] not in ("data", CODE.parts[0])


def refresh(folder: Path = Path()) -> None:
    """Write the lists of digests anew where they changed; nothing in a checkout, whose stages depend on the code itself."""
    listed = [name for name, stage in pipeline.stages(folder).items() if CODE / name in stage.code]
    document = parse((shipped() / PATH).read_text(encoding="utf-8"))["stages"] if listed else {}
    for name in listed:
        path, text = folder / CODE / name, "".join(_lines(filter(_is_code, document[name]["deps"])))
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            _put(path, text)


def _lines(deps: Iterable[str]) -> Iterator[str]:
    """One line a file of the code, by name: digest and path."""
    for file in sorted({file for dep in deps for file in _files(HOME / dep)}):
        yield f"{_digest(file)}  {file.relative_to(HOME).as_posix()}\n"


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise UserError(str(path), "no such file", "code of the package", "install pairwright again")
    inside = [path] if path.is_file() else path.rglob("*")
    return [file for file in inside if file.is_file() and "__pycache__" not in file.parts]


@functools.cache
def _digest(file: Path) -> str:
    return manifest.file_digest(file)
