"""The location of WordNet's files; separate from the reader, so that importing it is fast."""

from __future__ import annotations

import os
from pathlib import Path

FILES = ("data.noun", "data.verb", "data.adj", "data.adv", "index.noun", "index.verb", "index.adj", "index.adv", "cntlist.rev")


def folder() -> Path:
    """$WNSEARCHDIR, else Debian's folder."""
    return Path(os.environ.get("WNSEARCHDIR") or "/usr/share/wordnet")


def missing() -> str | None:
    """The first missing file; None when all exist."""
    return next((str(folder() / name) for name in FILES if not (folder() / name).is_file()), None)
