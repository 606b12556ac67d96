"""What people lay into the folders that stages read: nothing on which reading would wait for ever. Nothing is opened here."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from tasks.core import pipeline
from tasks.core.errors import UserError

KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def given() -> list[Path]:
    """What stages read and no stage makes."""
    stages = pipeline.stages().values()
    made = [stage.output for stage in stages]
    read = dict.fromkeys(path for stage in stages for path in stage.data)
    return [path for path in read if not any(path.is_relative_to(output) for output in made)]


def demand_readable() -> None:
    """A UserError that names the first pipe, socket or device among them: DVC reads all that lies there, and would wait for it."""
    for path, kind in unreadable(given()):
        raise UserError(str(path), kind, "files and folders only: whoever reads it waits for ever", "take it out of there")


def unreadable(folders: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Pipes, sockets and devices in these folders or behind links in them, and what each is."""
    for folder in folders:
        for path in walk(folder):
            try:
                kind = KINDS.get(stat.S_IFMT(path.stat().st_mode))
            except OSError:  # gone meanwhile, or a link that leads nowhere: nobody waits for that
                continue
            if kind:
                yield path, kind


def walk(folder: Path) -> Iterator[Path]:
    """All that lies in the folder and is no folder, in order; the path itself where it is none."""
    if not folder.is_dir():
        yield from [folder] if folder.exists() else []
    for above, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(above, name) for name in sorted(names))
