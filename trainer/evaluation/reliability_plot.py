"""The plots of the evaluation's page as SVG text, without scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.common.html.elements import text

SIDE, LEFT, FOOT = 300, 44, 34
FROM, TO = 0.5, 1.0  # of the confidence
LEAST = 3.0  # radius of the smallest dot
TICKS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
EVEN = (0.497, 0.503)  # a mark at one half, where a gauge has no band of its own
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)

STYLE = """
svg.plot { max-width: 430px } svg.plot text { font-size: 10px } svg .even { stroke: var(--soft); stroke-dasharray: 4 4 }
svg .m0 { fill: var(--s0); stroke: var(--s0) } svg .m1 { fill: var(--s1); stroke: var(--s1) }
svg line.m0, svg polyline.m0 { stroke: var(--s0); fill: none } svg line.m1, svg polyline.m1 { stroke: var(--s1); fill: none }
svg polyline { stroke-width: 1.5; opacity: .75 } svg circle { fill-opacity: .85 }
h3.next { margin-top: 1.4rem }
@media (min-width: 621px) { .stack > .card > .lanes .lane { grid-template-columns: 14rem minmax(7rem, 1fr) minmax(9rem, 20rem) } }
"""


def reliability(series: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Share that is right against confidence, a dot a bin; on the dashed line a model is as right as it is sure."""
    marks = "".join(_series(rows, place) for place, rows in enumerate(series.values()))
    even = f'<line class=even x1="{_x(FROM):.1f}" y1="{_y(0.5):.1f}" x2="{_x(TO):.1f}" y2="{_y(1.0):.1f}"/>'
    label = "share right against confidence: " + ", ".join(series)
    width, height = LEFT + SIDE + 10, SIDE + FOOT + 6
    return f'<svg class=plot viewBox="0 0 {width} {height}" role="img" aria-label="{text(label)}">{_axes()}{even}{marks}</svg>'


def _series(rows: Sequence[Mapping[str, float]], place: int) -> str:
    known = [row for row in rows if row["n"]]
    top = max([row["n"] for row in known] or [1])
    line = " ".join(f"{_x(row['confidence']):.1f},{_y(row['accuracy']):.1f}" for row in known)
    return f'<polyline class=m{place} points="{line}"/>' + "".join(_dot(row, place, top) for row in known)


def _dot(row: Mapping[str, float], place: int, top: float) -> str:
    x, words = _x(row["confidence"]), f"{row['n']} pairs: sure {row['confidence']:.3f}, right {row['accuracy']:.3f}"
    bar = f'<line class=m{place} x1="{x:.1f}" x2="{x:.1f}" y1="{_y(row["low"]):.1f}" y2="{_y(row["high"]):.1f}"/>'
    radius = LEAST + 5 * (row["n"] / top) ** 0.5
    return f'{bar}<circle class=m{place} cx="{x:.1f}" cy="{_y(row["accuracy"]):.1f}" r="{radius:.1f}"><title>{words}</title></circle>'


def _axes() -> str:
    """Grid lines with their numbers, and what the axes are."""
    parts = []
    for at in TICKS:
        parts.append(f'<line x1="{_x(at):.1f}" x2="{_x(at):.1f}" y1="{_y(0):.1f}" y2="{_y(1):.1f}"/>')
        parts.append(f'<text x="{_x(at):.1f}" y="{_y(0) + 14:.1f}" text-anchor="middle">{at:g}</text>')
    for at in SHARES:
        parts.append(f'<line x1="{_x(FROM):.1f}" x2="{_x(TO):.1f}" y1="{_y(at):.1f}" y2="{_y(at):.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{_y(at) + 3:.1f}" text-anchor="end">{at:g}</text>')
    parts.append(f'<text x="{_x(0.75):.1f}" y="{_y(0) + 29:.1f}" text-anchor="middle">how sure the model is</text>')
    middle = f"9 {_y(0.5):.1f}"
    parts.append(f'<text transform="translate({middle}) rotate(-90)" text-anchor="middle">share that is right</text>')
    return "".join(parts)


def _x(confidence: float) -> float:
    return LEFT + SIDE * (confidence - FROM) / (TO - FROM)


def _y(share: float) -> float:
    return 6 + SIDE * (1 - share)
