"""Which pages there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from flows.reference import commands, formats, licences, metrics, parameters, reasons, tables

FOLDER = Path("docs/reference")
PAGES: dict[str, Callable[[Path], str]] = {
    "formats": formats.render,
    "tables": tables.render,
    "parameters": parameters.render,
    "commands": commands.render,
    "reasons": reasons.render,
    "metrics": metrics.render,
    "licences": licences.render,
}


def write(root: Path) -> Iterator[Path]:
    """Write every page of the project in `root`; yields their paths."""
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    for name, render in PAGES.items():
        path = root / FOLDER / f"{name}.md"
        path.write_text(render(root), encoding="utf-8")
        yield path
