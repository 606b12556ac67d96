"""The plot of the variants as one SVG without scripts: accuracy against size, and against time. Filled dots are on the front.

In: `pareto.json` with times. Out: the SVG's text. A dot's bar is Wilson's 95 % interval; the dashed line is the original's accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from trainer.compression.recipes import ORIGINAL

WIDE, HIGH, LEFT, TOP, GAP = 400, 300, 58, 64, 74
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1c2430}.soft{fill:#667080}.h{font-size:15px;font-weight:600}line,path{stroke:#cfd6e0}"
    ".bar{stroke:#9fb4e6}.even{stroke:#d3554f;stroke-dasharray:4 4}circle{stroke:#3566d6;stroke-width:2;fill:#fff}"
    "circle.front{fill:#3566d6}circle.pick{stroke:#d3554f;fill:none}"
)
Document = Mapping[str, Any]
Scale = Callable[[float], float]


def plot(told: Document) -> str:
    """The whole picture."""
    width, height = 2 * (LEFT + WIDE) + GAP + 20, TOP + HIGH + 60
    size = _panel(told, "megabytes on disk", [one["bytes"] / 1e6 for one in told["variants"].values()])
    time = _panel(told, "milliseconds a token, one thread, one answer", [one["time"]["ms_per_token"] for one in told["variants"].values()])
    legend = "filled: on the front of accuracy, size and time; ring: picked; bars: 95 % intervals; dashed: the original"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f'<style>{STYLE}</style><rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text class="h" x="{LEFT}" y="24">Held-out preference accuracy of the variants (validation)</text>'
        f'<text class="soft" x="{LEFT}" y="44">{legend}</text>'
        f'<g transform="translate({LEFT} {TOP})">{size}</g><g transform="translate({LEFT + WIDE + GAP} {TOP})">{time}</g></svg>\n'
    )


def _panel(told: Document, title: str, xs: Sequence[float]) -> str:
    """Accuracy against one measure."""
    variants = told["variants"]
    scores = [one["validation"] for one in variants.values()]
    low, high = min(score["low"] for score in scores), max(score["high"] for score in scores)
    across, up = _scale(0.0, max(xs) * 1.08, 0, WIDE), _scale(low, max(high, low + 0.01), HIGH, 0)
    even = up(variants[ORIGINAL]["validation"]["accuracy"])
    bars = [
        f'<line class="bar" x1="{across(x):.1f}" x2="{across(x):.1f}" y1="{up(s["low"]):.1f}" y2="{up(s["high"]):.1f}"/>'
        for x, s in zip(xs, scores, strict=True)
    ]
    spots = [(name, across(x), up(score["accuracy"])) for name, x, score in zip(variants, xs, scores, strict=True)]
    dots = [_dot(name, x, y, told) for name, x, y in spots]
    line = f'<line class="even" x1="0" x2="{WIDE}" y1="{even:.1f}" y2="{even:.1f}"/>'
    return _axes(title, across, up, max(xs) * 1.08, (low, high)) + line + "".join(bars + dots + _labels(spots))


def _dot(name: str, x: float, y: float, told: Document) -> str:
    kind = "front" if name in told["front"] else "off"
    ring = f'<circle class="pick" cx="{x:.1f}" cy="{y:.1f}" r="9"/>' if name == told["pick"] else ""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"><title>{escape(name)}</title></circle>{ring}'


def _labels(spots: Sequence[tuple[str, float, float]]) -> list[str]:
    """Names beside their dots, moved down where another name stands."""
    placed: list[tuple[float, float, float]] = []
    made = []
    for name, x, y in sorted(spots, key=lambda spot: (spot[2], spot[1])):
        long = 7.0 * len(name)
        left = x + 11 if x + 11 + long < WIDE + 16 else x - 11 - long
        line = y - 6
        while any(abs(line - other) < 13 and left < right and begin < left + long for begin, right, other in placed):
            line += 13
        placed.append((left, left + long, line))
        made.append(f'<text x="{left:.1f}" y="{line:.1f}">{escape(name)}</text>')
    return made


def _axes(title: str, across: Scale, up: Scale, most: float, span: tuple[float, float]) -> str:
    """Both axes with five marks each."""
    frame = f'<path d="M0 0V{HIGH}H{WIDE}" fill="none"/>'
    xs = [most * step / 4 for step in range(5)]
    ys = [span[0] + (span[1] - span[0]) * step / 4 for step in range(5)]
    marks = [f'<text class="soft" text-anchor="middle" x="{across(x):.1f}" y="{HIGH + 18}">{x:.3g}</text>' for x in xs]
    marks += [f'<text class="soft" text-anchor="end" x="-8" y="{up(y) + 4:.1f}">{y:.2f}</text>' for y in ys]
    return f'{frame}{"".join(marks)}<text text-anchor="middle" x="{WIDE / 2}" y="{HIGH + 40}">{escape(title)}</text>'


def _scale(low: float, high: float, begin: float, end: float) -> Scale:
    return lambda value: begin + (value - low) / (high - low) * (end - begin)
