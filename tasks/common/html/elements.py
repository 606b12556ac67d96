"""The pieces that any report page is made of, as HTML text without scripts: sections, cards, tables, gauges. All text is escaped here."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from tasks.common.html.style import STYLE


def text(value: object) -> str:
    """Anything as HTML text."""
    return html.escape(str(value), quote=True)


def number(value: float) -> str:
    """A number as people read it: thousands apart, at most two decimals."""
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


def percent(part: float, whole: float) -> str:
    """A part of the whole as a width of CSS."""
    return f"{100 * part / max(whole, 1):.2f}%"


def document(title: str, *parts: str, style: str = "") -> str:
    """A page that needs nothing but itself; `style` is what it has beside the common rules."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}{style}</style></head>\n<body><main>\n" + "\n".join(parts) + "\n</main></body></html>\n"
    )


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


def legend(names: Sequence[str]) -> str:
    """Which colour is what."""
    return "<p class=legend>" + "".join(f"<span><i class=s{place}></i>{text(name)}</span>" for place, name in enumerate(names)) + "</p>"


def gauge(low: float, at: float, high: float, band: tuple[float, float], marked: bool) -> str:
    """A share (0..1) with its interval, over the band where it says nothing; a mark at one half."""
    label = f"{100 * at:.1f} %, interval {100 * low:.1f} to {100 * high:.1f} %"
    return (
        f"<div class='gauge{' off' if marked else ''}' role=img aria-label='{label}' title='{label}'>"
        f"<i class=band style='left:{percent(band[0], 1)};width:{percent(band[1] - band[0], 1)}'></i>"
        f"<i class=span style='left:{percent(low, 1)};width:{percent(high - low, 1)}'></i>"
        f"<i class=dot style='left:{percent(at, 1)}'></i></div>"
    )


def meter(part: float) -> str:
    """A share (0..1) as a bar."""
    return f"<div class=track><i class=s0 style='width:{percent(part, 1)}'></i></div>"


def grid_rows(heads: Sequence[str], rows: Iterable[tuple[str, str, str, bool]]) -> str:
    """Rows of a name, a chart and what it says; a marked row stands out."""
    top = "<div class='lane heads'>" + "".join(f"<em>{text(head)}</em>" for head in heads) + "</div>" if heads else ""
    body = "".join(
        f"<div class='lane{' bad' if marked else ''}'><span>{text(name)}</span>{chart}<small>{text(words)}</small></div>"
        for name, chart, words, marked in rows
    )
    return f"<div class=lanes>{top}{body}</div>"


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        return f"<td class=n>{number(value)}</td>"
    return f"<td>{text(value)}</td>"
