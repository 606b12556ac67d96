"""What DVC would hang on or stumble over in a folder of inputs: pipes, sockets, devices, dead links, files and names it cannot read.

It opens whatever lies there, and waits for ever on a pipe. So each is refused before DVC is asked, in one line that names it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType

from tasks.core import pipeline
from tasks.core.errors import UserError

KINDS = MappingProxyType({stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"})
Ignored = Callable[[str], bool]  # DVC's own: whether a path is named in .dvcignore


def given(names: Sequence[str] = ()) -> list[Path]:
    """What lies under data/ and no stage makes, of these stages or of all: logs, and lists of benchmarks."""
    stages = pipeline.stages()
    made = {stage.output for stage in stages.values()}
    wanted = [stages[name] for name in names] or list(stages.values())
    return sorted({path for stage in wanted for path in stage.data if not made & {path, *path.parents}})


def must_be_files(roots: Iterable[Path], ignored: Ignored) -> None:
    """A UserError for the first thing at or below the roots that is no readable file or folder and not ignored."""
    for root in roots:
        for path in files(root):
            if (found := fault(path)) and not ignored(os.fspath(path.absolute())):
                remedy = "move it away, rename it, or name it in .dvcignore"
                raise UserError(_shown(path), found, "a file that can be read", remedy)


def files(root: Path) -> Iterator[Path]:
    """The root itself where it is no folder, else all files below it, and folders that may not be read; DVC follows no link to a folder."""
    if not root.is_dir():
        yield from [root] if root.exists() or root.is_symlink() else []
        return
    faults: list[OSError] = []
    for above, folders, files in os.walk(root, onerror=faults.append):
        folders.sort()
        yield from (Path(above, name) for name in sorted(files))
    yield from (Path(fault.filename) for fault in faults)


def fault(path: Path) -> str:
    """What is wrong with it; nothing where it can be read."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"a link that leads nowhere ({error.strerror})" if path.is_symlink() else str(error.strerror)
    if not stat.S_ISREG(mode):
        return KINDS.get(stat.S_IFMT(mode), "a folder that may not be read")
    if not os.access(path, os.R_OK):
        return "a file that may not be read"
    return "" if _is_text(path) else "a name that is no UTF-8"


def _is_text(path: Path) -> bool:
    """Whether the name can be written into `dvc.lock`."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(path: Path) -> str:
    """The path on one line, whatever is in its name."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return text if text.isprintable() else repr(text)[1:-1]
