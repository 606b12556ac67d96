"""Small charts as HTML and SVG text, without scripts: stacked bars, histograms, tables. All text is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from expectations.pairs import SPLITS
from tasks.releasing.facts import Counts, Histogram

WIDTH, HEIGHT, FOOT = 360, 130, 18


def text(value: object) -> str:
    """Anything as HTML text."""
    return html.escape(str(value), quote=True)


def number(value: float) -> str:
    """A number as people read it: thousands apart, at most two decimals."""
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


def section(title: str, lead: str, *parts: str) -> str:
    """A titled part of the page."""
    return f"<section><h2>{text(title)}</h2><p class=lead>{text(lead)}</p>{''.join(parts)}</section>"


def card(title: str, body: str) -> str:
    """A framed part of a section."""
    return f"<div class=card><h3>{text(title)}</h3>{body}</div>"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers stand right."""
    lines = [list(row) for row in rows]
    body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in lines)
    kinds = [" class=n" if lines and isinstance(lines[0][place], int | float) else "" for place in range(len(heads))]
    top = "".join(f"<th{kind}>{text(head)}</th>" for head, kind in zip(heads, kinds, strict=True))
    return f"<div class=scroll><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def split_bars(values: Mapping[str, Counts], most: int) -> str:
    """One stacked bar a value, one colour a split; what lies behind the first `most` is added up."""
    rows = list(values.items())
    rest = rows[most:]
    if rest:
        rows = [*rows[:most], (f"{len(rest)} more", {split: sum(counts[split] for _, counts in rest) for split in SPLITS})]
    top = max([sum(counts.values()) for _, counts in rows] or [1]) or 1
    return "<div class=bars>" + "".join(_split_bar(name, counts, top) for name, counts in rows) + "</div>"


def legend(names: Sequence[str]) -> str:
    """Which colour is what."""
    return "<p class=legend>" + "".join(f"<span><i class=s{place}></i>{text(name)}</span>" for place, name in enumerate(names)) + "</p>"


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
    """What stayed and what went, as parts of the widest row of the funnel."""
    return (
        f"<div class=track><i class=kept style='width:{_percent(kept, top)}'></i>"
        f"<i class=dropped style='width:{_percent(dropped, top)}'></i></div>"
    )


def gauge(low: float, at: float, high: float, band: tuple[float, float], marked: bool) -> str:
    """A share (0..1) with its interval, over the band where it says nothing; a mark at one half."""
    label = f"{100 * at:.1f} %, interval {100 * low:.1f} to {100 * high:.1f} %"
    return (
        f"<div class='gauge{' off' if marked else ''}' role=img aria-label='{label}' title='{label}'>"
        f"<i class=band style='left:{_percent(band[0], 1)};width:{_percent(band[1] - band[0], 1)}'></i>"
        f"<i class=span style='left:{_percent(low, 1)};width:{_percent(high - low, 1)}'></i>"
        f"<i class=dot style='left:{_percent(at, 1)}'></i></div>"
    )


def meter(part: float) -> str:
    """A share (0..1) as a bar."""
    return f"<div class=track><i class=s0 style='width:{_percent(part, 1)}'></i></div>"


def grid_rows(heads: Sequence[str], rows: Iterable[tuple[str, str, str, bool]]) -> str:
    """Rows of a name, a chart and what it says; a marked row stands out."""
    top = "<div class='lane heads'>" + "".join(f"<em>{text(head)}</em>" for head in heads) + "</div>" if heads else ""
    body = "".join(
        f"<div class='lane{' bad' if marked else ''}'><span>{text(name)}</span>{chart}<small>{text(words)}</small></div>"
        for name, chart, words, marked in rows
    )
    return f"<div class=lanes>{top}{body}</div>"


def _split_bar(name: str, counts: Counts, top: int) -> str:
    parts = "".join(
        f"<i class=s{place} style='width:{_percent(counts[split], top)}' title='{split}: {counts[split]:,}'></i>"
        for place, split in enumerate(SPLITS)
    )
    label = text(name or "(none)")
    total = sum(counts.values())
    return f"<div class=row><span class=name title='{label}'>{label}</span><div class=track>{parts}</div><b>{total:,}</b></div>"


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        return f"<td class=n>{number(value)}</td>"
    return f"<td>{text(value)}</td>"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / max(whole, 1):.2f}%"
