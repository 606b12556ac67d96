"""Where a command keeps copies of raw logs for as long as it works: inside the workspace, for its owner's eyes alone.

Only who holds the workspace's lock may have one, so what whoever takes the lock finds there is left of a command that was killed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(".pairwright") / "scratch"
OWNER_ONLY = 0o700


@contextmanager
def made() -> Iterator[Path]:
    """The folder, new and empty, and gone afterwards."""
    sweep()
    FOLDER.mkdir(mode=OWNER_ONLY, parents=True)
    try:
        yield FOLDER
    finally:
        sweep()


def sweep() -> None:
    """Take away what a killed command left."""
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
