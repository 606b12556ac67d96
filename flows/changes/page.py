"""A difference as one HTML page without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flows.changes.difference import KINDS, WHOLE, Difference
from flows.changes.lines import Texts, moves, name, value
from tasks.common.html.elements import card, number, percent, section, table, text
from tasks.common.html.style import STYLE
from tasks.common.vocabulary.splits import SPLITS

MEANING = {
    "added": "only in the version after",
    "gone": "only in the version before",
    "flipped": "chosen and rejected changed places",
    "moved": "in another split",
    "re-weighed": "another confidence or weight",
}


def render(made: Difference, shown: int, texts: Texts) -> str:
    """The page."""
    title = f"{made.before} → {made.after}"
    figures = "".join(_figure(number(count), label) for label, count in _figures(made))
    parts = (
        section("Counts", "Pairs before, less those gone, plus those added, are the pairs after.", card("Pairs by split", _counts(made))),
        section("Between the two", "What differs in logs, parameters, code and other inputs.", _between(made)),
        section("Why", "The first reason that holds of each changed pair: see the how-to page for their order.", _reasons(made)),
        section("Pairs", _lead(made, shown), card("Changed pairs", _rows(made, shown)), *_texts(texts)),
    )
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'><title>{text(title)}</title>"
    body = (
        f"<main><h1>{text(title)}</h1><p class=lead>What changed between two versions of the dataset.</p><div class=figures>{figures}</div>"
    )
    return f"<!doctype html><html lang=en><head>{head}<style>{STYLE}</style></head><body>{body}{''.join(parts)}</main></body></html>\n"


def _figures(made: Difference) -> Iterator[tuple[str, int]]:
    yield "pairs before", made.pairs["before"][WHOLE]
    yield "pairs after", made.pairs["after"][WHOLE]
    for kind in KINDS:
        yield kind, made.count(kind)


def _figure(figure: str, label: str) -> str:
    return f"<div class=figure><b>{text(figure)}</b><span>{text(label)}</span></div>"


def _counts(made: Difference) -> str:
    labels = {"before": made.before, "gone": "gone", "added": "added", "after": made.after}
    return table(["", *SPLITS, WHOLE], [[labels[key], *counts.values()] for key, counts in made.pairs.items()])


def _between(made: Difference) -> str:
    found = made.between
    kinds = (("new", found.new_logs), ("gone", found.gone_logs), ("changed", found.changed_logs))
    logs = [(label, log) for label, names in kinds for log in names]
    rest = [("code", stage) for stage in found.code] + [("input", path) for path in found.inputs]
    cards = [card("Logs", table(["log", "file"], logs))] if logs else []
    if found.parameters:
        rows = [(key, value(old), value(new)) for key, old, new in found.parameters]
        cards.append(card("Parameters", table(["parameter", "before", "after"], rows)))
    cards += [card("Code and other inputs", table(["what", "which"], rest))] if rest else []
    return f"<div class=grid>{''.join(cards)}</div>" if cards else "<p class=note>Nothing.</p>"


def _reasons(made: Difference) -> str:
    """A card a kind: its reasons as bars."""
    most = max((count for kind in KINDS for count in made.kinds[kind].values()), default=1)
    cards = [card(f"{kind}: {MEANING[kind]}", _bars(made.kinds[kind], most)) for kind in KINDS if made.kinds[kind]]
    return f"<div class=grid>{''.join(cards)}</div>" if cards else "<p class=note>No pair differs.</p>"


def _bars(counts: dict[str, int], most: int) -> str:
    rows = (
        f"<div class=row><span class=name>{text(reason)}</span>"
        f"<div class=track><i class=s0 style='width:{percent(count, most)}'></i></div><b>{number(count)}</b></div>"
        for reason, count in counts.items()
    )
    return f"<div class=bars>{''.join(rows)}</div>"


def _lead(made: Difference, shown: int) -> str:
    if len(made.rows) <= shown:
        return f"All {len(made.rows):,} pairs that changed."
    return f"The first {shown:,} of {len(made.rows):,} pairs that changed; the JSON form has all."


def _rows(made: Difference, shown: int) -> str:
    heads = ["pair", "change", "reason", "what"]
    return table(heads, [_cells(row) for row in made.rows[:shown]])


def _cells(row: dict[str, Any]) -> list[str]:
    return [name(row), ", ".join(row["kinds"]), ", ".join(row["reasons"]), "; ".join(filter(None, (moves(row), row["detail"])))]


def _texts(texts: Texts) -> Iterator[str]:
    for pair, (prompt, chosen, rejected) in texts.items():
        sides = "".join(
            f"<div class='side{mark}'><span class=tag>{label}</span><p class=say>{text(words)}</p></div>"
            for label, words, mark in (("chosen", chosen, ""), ("rejected", rejected, " no"))
        )
        yield f"<div class='card example'><h3>{text(pair)}</h3><p class=say>{text(prompt)}</p><div class=sides>{sides}</div></div>"
