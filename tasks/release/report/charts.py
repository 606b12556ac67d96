"""Charts of counts as HTML and SVG text, without scripts: bars stacked by split, histograms, the funnel. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.common.html.elements import percent, text
from tasks.common.vocabulary.splits import SPLITS
from tasks.release.summary import Counts, Histogram

WIDTH, HEIGHT, FOOT = 360, 130, 18


def split_bars(values: Mapping[str, Counts], most: int) -> str:
    """One stacked bar per value, one colour per split; values after the first `most` are summed up."""
    rows = list(values.items())
    rest = rows[most:]
    if rest:
        rows = [*rows[:most], (f"{len(rest)} more", {split: sum(counts[split] for _, counts in rest) for split in SPLITS})]
    top = max([sum(counts.values()) for _, counts in rows] or [1]) or 1
    return "<div class=bars>" + "".join(_split_bar(name, counts, top) for name, counts in rows) + "</div>"


def histogram(label: str, series: Mapping[str, Histogram]) -> str:
    """Histograms over the same edges, side by side in each bin."""
    edges = next(iter(series.values())).edges
    top = max([count for shape in series.values() for count in shape.counts] or [1]) or 1
    slot = WIDTH / (len(edges) - 1)
    bar = slot * 0.84 / len(series)
    marks = [
        f'<rect class=s{place} x="{bin_ * slot + slot * 0.08 + place * bar:.1f}" y="{HEIGHT - HEIGHT * count / top:.1f}" width="{bar:.1f}" '
        f'height="{HEIGHT * count / top:.1f}" rx="1.5"><title>{edges[bin_]:.3g} to {edges[bin_ + 1]:.3g}: {count:,}</title></rect>'
        for place, shape in enumerate(series.values())
        for bin_, count in enumerate(shape.counts)
    ]
    ticks = [
        f'<text x="{x * WIDTH:.0f}" y="{HEIGHT + FOOT - 3}" text-anchor="{anchor}">{edges[0] + (edges[-1] - edges[0]) * x:.3g}</text>'
        for x, anchor in ((0, "start"), (0.5, "middle"), (1, "end"))
    ]
    axis = f'<line x1="0" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}"/>'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT + FOOT}" role="img" aria-label="{text(label)}">{axis}{"".join(marks)}{"".join(ticks)}</svg>'


def share_bar(kept: int, dropped: int, top: int) -> str:
    """Kept and dropped rows, as parts of the widest row of the funnel."""
    return (
        f"<div class=track><i class=kept style='width:{percent(kept, top)}'></i>"
        f"<i class=dropped style='width:{percent(dropped, top)}'></i></div>"
    )


def _split_bar(name: str, counts: Counts, top: int) -> str:
    parts = "".join(
        f"<i class=s{place} style='width:{percent(counts[split], top)}' title='{split}: {counts[split]:,}'></i>"
        for place, split in enumerate(SPLITS)
    )
    label = text(name or "(none)")
    total = sum(counts.values())
    return f"<div class=row><span class=name title='{label}'>{label}</span><div class=track>{parts}</div><b>{total:,}</b></div>"
