"""Draw the path of the data as an SVG, from `dvc.yaml` alone: one box a stage, in the order in which they run.

    python -m docs.make_picture        # writes docs/assets/path.svg

In: the stages, their descriptions, what each reads that no stage makes, and what each writes. Out: a picture without scripts or
outside references that follows the reader's light or dark mode. The same `dvc.yaml` gives the same bytes.
"""

from __future__ import annotations

import itertools
import math
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parent.parent
PICTURE = Path(__file__).parent / "assets" / "path.svg"
COLUMNS, WIDTH, HEIGHT, GAP, LANE = 4, 204, 142, 28, 34  # boxes in a row; a box; between two boxes; between two rows
HEAD, MARGIN, LETTERS = 36, 16, 27  # above each part; around the picture; letters in a line of a box
PARTS = {"dataset": "The dataset", "model": "The model"}
STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1f2328 }
.part { font-size: 15px; font-weight: 600; fill: #57606a }
.name { font-size: 16px; font-weight: 600 }
.words { font-size: 12.5px }
.path { font-size: 11.5px; font-family: ui-monospace, "DejaVu Sans Mono", monospace; fill: #57606a }
.box { stroke-width: 1.5 }
.dataset { fill: #eef4ff; stroke: #4c7bd9 }
.model { fill: #fff3e6; stroke: #d07a20 }
.arrow { fill: none; stroke: #818b98; stroke-width: 2 }
.tip { fill: #818b98 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .part, .path { fill: #9da7b3 }
  .dataset { fill: #16233b; stroke: #5b8def }
  .model { fill: #33230f; stroke: #d98a3a }
}
"""


class Box(NamedTuple):
    """One stage: its part of the path, what it does, the folders that people put something into, and the folder that it writes."""

    name: str
    part: str
    words: str
    reads: tuple[str, ...]
    writes: str


class Placed(NamedTuple):
    """A box and where its upper left corner lies."""

    box: Box
    left: int
    top: int


def boxes(stages: Mapping[str, Mapping[str, Any]]) -> list[Box]:
    """The stages of a `dvc.yaml`, in its order."""
    made = [next(iter(entry["outs"][0])) for entry in stages.values()]
    found = []
    for (name, entry), output in zip(stages.items(), made, strict=True):
        given = tuple(path for path in entry["deps"] if path.startswith("data/") and not any(_within(path, out) for out in made))
        part = "model" if entry["cmd"].startswith("python -m trainer") else "dataset"
        found.append(Box(name, part, entry["desc"], given, output))
    return found


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def placed(path: Iterable[Box]) -> list[Placed]:
    """The boxes in rows, left to right; each part begins a row of its own, and its rows are about as long as each other."""
    top, found = MARGIN, list[Placed]()
    for _, members in itertools.groupby(path, lambda box: box.part):
        part = list(members)
        length = math.ceil(len(part) / math.ceil(len(part) / COLUMNS))
        top += HEAD
        for row in (part[first : first + length] for first in range(0, len(part), length)):
            found += (Placed(box, MARGIN + column * (WIDTH + GAP), top) for column, box in enumerate(row))
            top += HEIGHT + LANE
    return found


def draw(stages: Mapping[str, Mapping[str, Any]]) -> str:
    """The picture as the text of an SVG file."""
    path = placed(boxes(stages))
    width, height = 2 * MARGIN + COLUMNS * WIDTH + (COLUMNS - 1) * GAP, path[-1].top + HEIGHT + MARGIN
    names = ", ".join(item.box.name for item in path)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
    lines = [head, f"<title>The path of the data: {escape(names)}</title>", f"<style>{STYLE}</style>"]
    lines += ['<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" markerHeight="5" orient="auto">']
    lines += ['<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>']
    lines += _titles(path)
    lines += (_arrow(before, after) for before, after in itertools.pairwise(path))
    for item in path:
        lines += _box(item)
    return "\n".join([*lines, "</svg>", ""])


def _titles(path: Iterable[Placed]) -> Iterator[str]:
    """The name of each part, above its first box."""
    seen = set[str]()
    for box, left, top in path:
        if box.part not in seen:
            seen.add(box.part)
            yield f'<text class="part" x="{left}" y="{top - 14}">{escape(PARTS[box.part])}</text>'


def _arrow(before: Placed, after: Placed) -> str:
    """From a box to the next: straight in a row, else around below the row and back to the left."""
    right, middle = before.left + WIDTH, before.top + HEIGHT // 2
    if after.top == before.top:
        way = f"M{right + 2} {middle}H{after.left - 4}"
    else:
        lane = before.top + HEIGHT + LANE // 2 - 2
        down = before.left + WIDTH // 2
        way = f"M{down} {before.top + HEIGHT + 2}V{lane}H{after.left + WIDTH // 2}V{after.top - 4}"
    return f'<path class="arrow" marker-end="url(#tip)" d="{way}"/>'


def _box(item: Placed) -> Iterator[str]:
    """The box with its name, what it does, and the folders."""
    box, left, top = item
    yield f'<rect class="box {box.part}" x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
    yield f'<text class="name" x="{left + 12}" y="{top + 24}">{escape(box.name)}</text>'
    for number, line in enumerate(textwrap.wrap(box.words, LETTERS)):
        yield f'<text class="words" x="{left + 12}" y="{top + 43 + 16 * number}">{escape(line)}</text>'
    folders = [f"reads {' '.join(box.reads)}"] if box.reads else []
    for number, line in enumerate([f"→ {box.writes}", *reversed(folders)]):
        yield f'<text class="path" x="{left + 12}" y="{top + HEIGHT - 10 - 14 * number}">{escape(line)}</text>'


def main() -> int:
    """Write the picture of this checkout's `dvc.yaml`."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    PICTURE.write_text(draw(stages), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
