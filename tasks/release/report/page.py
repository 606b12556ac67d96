"""The report: one self-contained HTML file, to be read before the release is used.

In: the summary of a release. Out: the page's text, without times or local paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.common.html import elements
from tasks.common.html.elements import card, document, section, text
from tasks.common.vocabulary.splits import SPLITS
from tasks.release import split_certificate
from tasks.release.report import charts, findings, probe_section
from tasks.release.summary import BY, Summary

EXAMPLE_CHARS = 1200
BARS = 10
REASONS = 6
STRATA = 24
# Tables in pipeline order; raw files and quarantined records are counted with `records`.
SHOWN = ("records", "turns", "feedback", "candidates", "pairs", "unpaired", "prompts")


def page(title: str, redacted: str, summary: Summary) -> str:
    """The whole report; `redacted` states what was redacted and what was not."""
    parts = [
        _head(title, redacted, summary),
        _path(summary),
        _leaks(summary),
        _counts(summary),
        _balance(summary),
        _shapes(summary),
        findings.bias(summary),
        findings.people(summary),
        probe_section.probe(summary.probed),
        findings.training(summary),
        _examples(summary),
        _raw(summary),
    ]
    return document(title, *parts)


def _head(title: str, redacted: str, summary: Summary) -> str:
    pairs = summary.rows["preference"]
    figures = [("preference pairs", sum(pairs.values())), *((split, pairs[split]) for split in SPLITS)]
    figures += [("unpaired examples", sum(summary.rows["unpaired"].values())), ("prompts", sum(summary.rows["prompts"].values()))]
    tiles = "".join(f"<div class=figure><b>{count:,}</b><span>{text(name)}</span></div>" for name, count in figures)
    lead = "What went in, what came out and why, and what the pairs look like."
    return f"<h1>{text(title)}</h1><p class=lead>{lead}</p><p class=note>{text(redacted)}</p><div class=figures>{tiles}</div>"


def _path(summary: Summary) -> str:
    steps = [(stage, table, tables[table]) for stage, tables in summary.ledgers.items() for table in SHOWN if table in tables]
    tops: dict[str, int] = {}
    for _, table, entry in steps:
        tops[table] = max(tops.get(table, 1), entry["in"] + entry["made"])
    firsts = {stage: place for place, (stage, _, _) in reversed(list(enumerate(steps)))}
    body = "".join(_step(stage if firsts[stage] == at else "", table, entry, tops[table]) for at, (stage, table, entry) in enumerate(steps))
    lead = "Every row is accounted for: in + made = kept + dropped at every stage. Bars are scaled to the table's largest number of rows."
    return section("The pipeline", lead, _path_legend(), f"<div class=card>{body}</div>")


def _path_legend() -> str:
    return "<p class=legend><span><i class=kept></i>kept</span><span><i class=dropped></i>dropped</span></p>"


def _step(stage: str, table: str, entry: Mapping[str, Any], top: int) -> str:
    reasons = sorted(entry["reasons"].items(), key=lambda item: (-item[1], item[0]))
    words = [f"{reason.replace('_', ' ')} {count:,}" for reason, count in reasons[:REASONS]]
    if len(reasons) > REASONS:
        words.append(f"{len(reasons) - REASONS} more reasons")
    made = f"{entry['in']:,} in" + (f", {entry['made']:,} made" if entry["made"] else "")
    dropped = f", {entry['dropped']:,} dropped: {', '.join(words)}" if entry["dropped"] else ""
    bar = charts.share_bar(entry["kept"], entry["dropped"], top)
    return (
        f"<div class='step{' first' if stage else ''}'><span>{text(stage)}</span><em>{text(table)}</em>{bar}"
        f"<b>{entry['kept']:,} kept</b><small>{text(made + dropped)}</small></div>"
    )


def _leaks(summary: Summary) -> str:
    counts = {what.replace("_", " "): count for what, count in summary.certificate["shared"].items()}
    tiles = "".join(
        f"<div class=figure><b class={'good' if not count else 'bad'}>{count:,}</b><span>{text(what)} in two splits</span></div>"
        for what, count in counts.items()
    )
    lead = f"Counted over the released rows; the full proof is in {split_certificate.NAME}."
    return section("Split leakage", lead, f"<div class=figures>{tiles}</div>", _closest(summary), _boilerplate(summary))


def _closest(summary: Summary) -> str:
    """The two most similar prompts of two splits, as far as the search finds them."""
    search, nearest = summary.certificate["search"], summary.certificate["highest_similarity"]
    recall = ", ".join(f"{100 * share:.4g} % of the pairs with similarity {level}" for level, share in search["recall_at"].items())
    if nearest is None:
        closest = "The search finds no similarity between held-out and training prompts"
    else:
        closest = f"The most similar held-out and training prompts have similarity {nearest['similarity']:.2f} (1: the same words)"
    compared = f"The search finds {text(recall)}; it compared {search['compared']:,} pairs of prompts."
    return f"<p class=note>{text(closest)}. {compared}</p>{_by_characters(summary)}"


def _by_characters(summary: Summary) -> str:
    """Results of the search by characters, prompts that moved since earlier releases, and what no search finds."""
    letters, moved = summary.certificate["characters"], summary.certificate["moved"]
    alike = f"{letters['held_out_at_least_threshold']:,} held-out prompts share at least "
    alike += f"{letters['threshold']:.0%} of their character n-grams with a training prompt, {letters['same']:,} share all"
    still = f"{moved['checked']:,} prompts were compared with their split in earlier releases: {moved['moved']:,} moved"
    unseen = elements.table(("not detected",), [(line,) for line in summary.certificate["not_seen"]])
    return f"<p class=note>{text(alike)}. {text(still)}.</p><details><summary>What no search detects</summary>{unseen}</details>"


def _boilerplate(summary: Summary) -> str:
    """What may be in two splits, and by which rule."""
    rows = [(name.replace("_", " "), entry["rule"], entry["shared"]) for name, entry in summary.certificate["boilerplate"].items()]
    if not any(count for *_, count in rows):
        return ""
    return card("Too common to link prompts", elements.table(("what", "rule", "in two splits"), rows))


def _counts(summary: Summary) -> str:
    cards = "".join(card(f"Pairs by {column}", charts.split_bars(summary.by[column], BARS)) for column in BY)
    return section(
        "Where the pairs come from",
        "One bar per value, one colour per split.",
        elements.legend(SPLITS),
        f"<div class=grid>{cards}</div>",
    )


def _balance(summary: Summary) -> str:
    rows = [(name, written, every, round(weight, 2)) for name, (written, every, weight) in summary.strata.items()]
    variants = ", ".join(f"{name} {count:,}" for name, count in summary.augmenters.items()) or "none"
    lead = f"Original training pairs, and the pairs after augmentation and rebalancing. Pairs added by: {variants}."
    body = elements.table(("language · topic · recipe", "original", "released", "sum of weights"), rows[:STRATA])
    more = f"<p class=note>{len(rows) - STRATA} smaller strata are not shown.</p>" if len(rows) > STRATA else ""
    return section("Balance of the training split", lead, f"<div class=card>{body}{more}</div>")


def _shapes(summary: Summary) -> str:
    labels = elements.table(("unpaired label", "rows"), list(summary.labels.items()))
    cards = [
        card("Margin (where the recipe has one)", charts.histogram("margin", {"margin": summary.margin})),
        card("Confidence", charts.histogram("confidence", {"confidence": summary.confidence})),
        card(
            "Characters of the answer (up to the 99th percentile)",
            elements.legend(("chosen", "rejected")) + charts.histogram("characters", summary.chars),
        ),
        card("Unpaired labels", labels),
    ]
    lead = "Margin, confidence and length, and the labels of unpaired answers."
    return section("What the pairs look like", lead, f"<div class=grid>{''.join(cards)}</div>")


def _examples(summary: Summary) -> str:
    body = "".join(_example(row) for row in summary.examples)
    return section("Example pairs", "The first pairs of each recipe by id.", body)


def _example(row: Mapping[str, Any]) -> str:
    tags = [row["recipe"], row["language"], row["source"], row["split"], f"confidence {row['confidence']:.2f}"]
    if row["margin"] is not None:
        tags.append(f"margin {row['margin']:.2f}")
    marks = "".join(f"<span class=tag>{text(tag)}</span>" for tag in tags)
    sides = "".join(
        f"<div class='{kind}'><h3>{side}</h3>{_messages(row[side])}</div>" for side, kind in (("chosen", "side"), ("rejected", "side no"))
    )
    return f"<div class='card example'>{marks}{_messages(row['prompt'])}<div class=sides>{sides}</div></div>"


def _messages(messages: list[dict[str, str]]) -> str:
    return "".join(
        f"<p class=say><span class=tag>{text(message['role'])}</span>{text(_short(message['content']))}</p>" for message in messages
    )


def _short(content: str) -> str:
    return content if len(content) <= EXAMPLE_CHARS else content[:EXAMPLE_CHARS] + f" … ({len(content) - EXAMPLE_CHARS:,} more characters)"


def _raw(summary: Summary) -> str:
    rows = [(entry["file"], entry["format"] or "not a log", entry["records"] or 0, entry["quarantined"] or 0) for entry in summary.raw]
    body = elements.table(("id in origins", "format", "records", "quarantined"), rows[:200])
    more = f"<p class=note>{len(rows) - 200} more files are in manifest.json.</p>" if len(rows) > 200 else ""
    lead = "The files that the ids in the column origins refer to. Their names stay with the logs: pairwright trace tells them there."
    return section("The raw files", lead, f"<div class=card>{body}{more}</div>")
