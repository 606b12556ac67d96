"""The lists in `locks/`: every package that an installation holds, its version, and the sha256 of each file that the index has of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

FOLDER = Path("locks")
ELSEWHERE = FOLDER / "elsewhere.txt"
CONSTRAINTS = Path("constraints.txt")
ENTRY = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)\s*(?:;\s*(?P<marker>[^\\]+?))?\s*(?:\\|$)")
DIGEST = re.compile(r"--hash=sha256:([0-9a-f]{64})(?![0-9a-f])")


@dataclass(frozen=True)
class Locked:
    """One entry."""

    name: str  # as the index spells it, in small letters with hyphens
    version: str
    marker: str  # where it is installed; nothing for everywhere
    digests: tuple[str, ...]
    text: str  # as it stands in the file

    @property
    def here(self) -> bool:
        """Whether this machine and this Python install it."""
        return not self.marker or Marker(self.marker).evaluate()


def read(path: Path) -> dict[str, Locked]:
    """The entries of the file by name."""
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, Locked]:
    """The entries of the text by name; lines that begin with `#` are the reader's."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).strip()
    entries = [_entry(block) for block in re.split(r"\n(?=\S)", lines) if block.strip()]
    return {entry.name: entry for entry in entries}


def _entry(block: str) -> Locked:
    found = ENTRY.match(block)
    if not found:
        raise ValueError(f"no entry of a lock: {block[:80]!r}")
    return Locked(
        canonicalize_name(found["name"]), found["version"], (found["marker"] or "").strip(), tuple(DIGEST.findall(block)), block.rstrip()
    )


def pins(text: str) -> dict[str, str]:
    """Name -> version of a file of constraints."""
    return {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)}


def files(root: Path) -> list[Path]:
    """Every list of packages: those of the project, and those of the presets of the trainer."""
    found = [*sorted((root / FOLDER).glob("*.txt")), *sorted((root / "trainer" / "presets").glob("*.txt"))]
    return [path for path in found if path != root / ELSEWHERE]


def everything(paths: Iterable[Path]) -> dict[str, Locked]:
    """The entries of all the files by name."""
    return {name: entry for path in paths for name, entry in read(path).items()}
