"""The plot of the variants as one SVG without scripts: accuracy against size, and against time. Filled dots are on the front.

In: `pareto.json` with times. Out: the SVG's text. A dot's bar is Wilson's 95 % interval; the dashed line is the original's accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from trainer.compression.variant_names import ORIGINAL

WIDE, HIGH, LEFT, TOP, GAP = 400, 300, 58, 64, 74
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1c2430}.soft{fill:#667080}.h{font-size:15px;font-weight:600}line,path{stroke:#cfd6e0}"
    ".lead{stroke:#667080}"
    ".bar{stroke:#9fb4e6}.even{stroke:#d3554f;stroke-dasharray:4 4}circle{stroke:#3566d6;stroke-width:2;fill:#fff}"
    "circle.front{fill:#3566d6}circle.pick{stroke:#d3554f;fill:none}"
)
DOT, LINE, MARKS = 6.0, 13.0, 7  # half of a dot, height of a name, most steps of an axis
Document = Mapping[str, Any]
Scale = Callable[[float], float]


class Box(NamedTuple):
    """Where something is drawn."""

    left: float
    right: float
    top: float
    foot: float

    def meets(self, other: Box) -> bool:
        """Whether the two overlap."""
        return self.left < other.right and other.left < self.right and self.top < other.foot and other.top < self.foot


def plot(document: Document) -> str:
    """The whole picture."""
    width, height = 2 * (LEFT + WIDE) + GAP + 20, TOP + HIGH + 60
    size = _panel(document, "megabytes on disk", [one["bytes"] / 1e6 for one in document["variants"].values()])
    time = _panel(
        document, "milliseconds a token, one thread, one answer", [one["time"]["ms_per_token"] for one in document["variants"].values()]
    )
    legend = "filled: on the front of accuracy, size and time; ring: picked; bars: 95 % intervals; dashed: the original"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f'<style>{STYLE}</style><rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text class="h" x="{LEFT}" y="24">Held-out preference accuracy of the variants (validation)</text>'
        f'<text class="soft" x="{LEFT}" y="44">{legend}</text>'
        f'<g transform="translate({LEFT} {TOP})">{size}</g><g transform="translate({LEFT + WIDE + GAP} {TOP})">{time}</g></svg>\n'
    )


def _panel(document: Document, title: str, xs: Sequence[float]) -> str:
    """Accuracy against one measure."""
    variants = document["variants"]
    scores = [one["validation"] for one in variants.values()]
    low, high = min(score["low"] for score in scores), max(score["high"] for score in scores)
    across, up = _scale(0.0, max(xs) * 1.08, 0, WIDE), _scale(low, max(high, low + 0.01), HIGH, 0)
    even = up(variants[ORIGINAL]["validation"]["accuracy"])
    bars = [
        f'<line class="bar" x1="{across(x):.1f}" x2="{across(x):.1f}" y1="{up(s["low"]):.1f}" y2="{up(s["high"]):.1f}"/>'
        for x, s in zip(xs, scores, strict=True)
    ]
    spots = [(name, across(x), up(score["accuracy"])) for name, x, score in zip(variants, xs, scores, strict=True)]
    dots = [_dot(name, x, y, document) for name, x, y in spots]
    line = f'<line class="even" x1="0" x2="{WIDE}" y1="{even:.1f}" y2="{even:.1f}"/>'
    return _axes(title, across, up, max(xs) * 1.08, (low, high)) + line + "".join(bars + dots + _labels(spots))


def _dot(name: str, x: float, y: float, document: Document) -> str:
    kind = "front" if name in document["front"] else "off"
    ring = f'<circle class="pick" cx="{x:.1f}" cy="{y:.1f}" r="9"/>' if name == document["pick"] else ""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"><title>{escape(name)}</title></circle>{ring}'


def _labels(spots: Sequence[tuple[str, float, float]]) -> list[str]:
    """Names beside their dots, moved down where a dot or another name stands; a line leads from a moved name to its dot."""
    placed = [Box(x - DOT, x + DOT, y - DOT, y + DOT) for _, x, y in spots]
    made = []
    for name, x, y in sorted(spots, key=lambda spot: (spot[2], spot[1])):
        long = 7.0 * len(name)
        left = x + 11 if x + 11 + long < WIDE + 16 else x - 11 - long
        box = Box(left, left + long, y - 1.2 * LINE, y - 0.2 * LINE)
        while any(box.meets(other) for other in placed):
            box = Box(box.left, box.right, box.top + 1, box.foot + 1)
        placed.append(box)
        middle = (box.top + box.foot) / 2
        if abs(middle - y) > LINE:
            made.append(f'<line class="lead" x1="{x:.1f}" y1="{y:.1f}" x2="{left if left > x else left + long:.1f}" y2="{middle:.1f}"/>')
        made.append(f'<text x="{left:.1f}" y="{middle + 4:.1f}">{escape(name)}</text>')
    return made


def _axes(title: str, across: Scale, up: Scale, most: float, span: tuple[float, float]) -> str:
    """Both axes with marks at round numbers."""
    frame = f'<path d="M0 0V{HIGH}H{WIDE}" fill="none"/>'
    marks = [f'<text class="soft" text-anchor="middle" x="{across(x):.1f}" y="{HIGH + 18}">{x:g}</text>' for x in _round(0.0, most)]
    marks += [f'<text class="soft" text-anchor="end" x="-8" y="{up(y) + 4:.1f}">{y:g}</text>' for y in _round(*span)]
    return f'{frame}{"".join(marks)}<text text-anchor="middle" x="{WIDE / 2}" y="{HIGH + 40}">{escape(title)}</text>'


def _round(low: float, high: float) -> list[float]:
    """At most eight round numbers from low to high: multiples of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10((high - low) / MARKS))
    step = next(step * power for step in (1, 2, 5, 10) if (high - low) / (step * power) <= MARKS)
    return [round(at * step, 10) for at in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _scale(low: float, high: float, begin: float, end: float) -> Scale:
    return lambda value: begin + (value - low) / (high - low) * (end - begin)
