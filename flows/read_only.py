"""DVC's view of a workspace in which this user may not write: somebody else's, or one on a read-only disk.

DVC locks a repository to answer any question, and its locks lie in `.dvc/tmp`. Where nothing can be written there, nobody is kept out
by a lock, so they may as well lie elsewhere: in a folder that goes with the question.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvc.repo import Repo

LOCKS = Path(".dvc/tmp")


def writable() -> bool:
    """Whether DVC can lock the current folder's repository."""
    lock = LOCKS / "lock"
    return all(os.access(path, os.W_OK) for path in (LOCKS if LOCKS.exists() else LOCKS.parent, *([lock] if lock.exists() else [])))


@contextmanager
def opened() -> Iterator[Repo]:
    """The current folder's repository, to ask it things."""
    from dvc.repo import Repo

    if writable():
        with Repo(".") as repository:
            yield repository
        return
    with tempfile.TemporaryDirectory(prefix="pairwright-") as folder:
        elsewhere = type("Elsewhere", (Repo,), {"tmp_dir": folder, "_ignore": lambda repository: None})  # _ignore writes .gitignore
        with elsewhere(".") as repository:
            yield repository
