"""Processes at work in a project, found as a person finds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def processes(pattern: str, root: Path) -> Iterator[int]:
    """Those that work in the folder and whose command matches; not those that only watch over others."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and (entry / "cwd").readlink() == root.resolve():
                command = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                if re.search(pattern, command) and "process_group" not in command and "starter.py" not in command:
                    yield int(entry.name)
