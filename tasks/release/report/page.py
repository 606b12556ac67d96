"""The report for people: one HTML file that needs nothing but itself, to be read before the release is trusted.

In: the facts of a release. Out: the page's text. No clock and no path of the machine in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expectations.pairs import SPLITS
from tasks.common.html import elements
from tasks.common.html.elements import card, section, text
from tasks.common.html.style import STYLE
from tasks.release import split_certificate
from tasks.release.report import charts, findings, probe_section
from tasks.release.summary import BY, Facts

EXAMPLE_CHARS = 1200
BARS = 10
REASONS = 6
STRATA = 24
# Tables of the path in the order of the data; raw files and quarantined records are counted with `records`.
SHOWN = ("records", "turns", "feedback", "candidates", "pairs", "unpaired", "prompts")


def page(title: str, redacted: str, facts: Facts) -> str:
    """The whole report; `redacted` says what redaction took and what it left."""
    parts = [
        _head(title, redacted, facts),
        _path(facts),
        _leaks(facts),
        _counts(facts),
        _balance(facts),
        _shapes(facts),
        findings.bias(facts),
        findings.people(facts),
        probe_section.probe(facts.probed),
        findings.training(facts),
        _examples(facts),
        _raw(facts),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head>\n<body><main>\n" + "\n".join(parts) + "\n</main></body></html>\n"
    )


def _head(title: str, redacted: str, facts: Facts) -> str:
    pairs = facts.rows["preference"]
    figures = [("preference pairs", sum(pairs.values())), *((split, pairs[split]) for split in SPLITS)]
    figures += [("unpaired examples", sum(facts.rows["unpaired"].values())), ("prompts", sum(facts.rows["prompts"].values()))]
    tiles = "".join(f"<div class=figure><b>{count:,}</b><span>{text(name)}</span></div>" for name, count in figures)
    lead = "What went in, what came out and why, and what the pairs look like."
    return f"<h1>{text(title)}</h1><p class=lead>{lead}</p><p class=note>{text(redacted)}</p><div class=figures>{tiles}</div>"


def _path(facts: Facts) -> str:
    steps = [(stage, table, tables[table]) for stage, tables in facts.ledgers.items() for table in SHOWN if table in tables]
    tops: dict[str, int] = {}
    for _, table, entry in steps:
        tops[table] = max(tops.get(table, 1), entry["in"] + entry["made"])
    firsts = {stage: place for place, (stage, _, _) in reversed(list(enumerate(steps)))}
    body = "".join(_step(stage if firsts[stage] == at else "", table, entry, tops[table]) for at, (stage, table, entry) in enumerate(steps))
    lead = (
        "Every row is accounted for: in + made = kept + dropped, at every stage. Bars are scaled to the most rows that the table ever had."
    )
    return section("The path of the data", lead, _path_legend(), f"<div class=card>{body}</div>")


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


def _leaks(facts: Facts) -> str:
    counts = {what.replace("_", " "): count for what, count in facts.certificate["shared"].items()}
    tiles = "".join(
        f"<div class=figure><b class={'good' if not count else 'bad'}>{count:,}</b><span>{text(what)} in two splits</span></div>"
        for what, count in counts.items()
    )
    lead = f"Counted over the released rows themselves; the whole proof stands in {split_certificate.NAME}."
    return section("Nothing crosses the split", lead, f"<div class=figures>{tiles}</div>", _closest(facts), _boilerplate(facts))


def _closest(facts: Facts) -> str:
    """The two most alike prompts of two splits, as far as the search sees."""
    search, nearest = facts.certificate["search"], facts.certificate["highest_similarity"]
    found = ", ".join(f"{100 * share:.4g} % of those with similarity {level}" for level, share in search["recall_at"].items())
    if nearest is None:
        told = "No held-out prompt shares anything that the search sees with a training prompt"
    else:
        told = f"The most alike prompts, held out and for training, have similarity {nearest['similarity']:.2f} (1: the same words)"
    compared = f"The search finds {text(found)}; it compared {search['compared']:,} couples."
    return f"<p class=note>{text(told)}. {compared}</p>{_by_letters(facts)}"


def _by_letters(facts: Facts) -> str:
    """What the second search found, what moved since earlier releases, and what no search sees."""
    letters, moved = facts.certificate["characters"], facts.certificate["moved"]
    alike = f"{letters['held_out_at_least_threshold']:,} held-out prompts are like a training prompt in at least "
    alike += f"{letters['threshold']:.0%} of their n-grams of letters, {letters['same']:,} in all of them"
    still = f"{moved['checked']:,} prompts were held against their place in earlier releases: {moved['moved']:,} moved"
    unseen = elements.table(("not seen",), [(line,) for line in facts.certificate["not_seen"]])
    return f"<p class=note>{text(alike)}. {text(still)}.</p><details><summary>What no search sees</summary>{unseen}</details>"


def _boilerplate(facts: Facts) -> str:
    """What may lie in two splits, and by which rule."""
    rows = [(name.replace("_", " "), entry["rule"], entry["shared"]) for name, entry in facts.certificate["boilerplate"].items()]
    if not any(count for *_, count in rows):
        return ""
    return card("Too common to tell anything", elements.table(("what", "it", "in two splits"), rows))


def _counts(facts: Facts) -> str:
    cards = "".join(card(f"Pairs by {column}", charts.split_bars(facts.by[column], BARS)) for column in BY)
    return section(
        "What the pairs come from",
        "One bar a value, one colour a split.",
        elements.legend(SPLITS),
        f"<div class=grid>{cards}</div>",
    )


def _balance(facts: Facts) -> str:
    rows = [(name, written, every, round(weight, 2)) for name, (written, every, weight) in facts.strata.items()]
    variants = ", ".join(f"{name} {count:,}" for name, count in facts.augmenters.items()) or "none"
    lead = f"Training pairs as people wrote them, and after augmenting and rebalancing. Pairs added by: {variants}."
    body = elements.table(("language · topic · recipe", "as written", "released", "sum of weights"), rows[:STRATA])
    more = f"<p class=note>{len(rows) - STRATA} smaller strata are not shown.</p>" if len(rows) > STRATA else ""
    return section("Balance of the training split", lead, f"<div class=card>{body}{more}</div>")


def _shapes(facts: Facts) -> str:
    labels = elements.table(("unpaired label", "rows"), list(facts.labels.items()))
    cards = [
        card("Margin (where the recipe has one)", charts.histogram("margin", {"margin": facts.margin})),
        card("Confidence", charts.histogram("confidence", {"confidence": facts.confidence})),
        card(
            "Characters of the answer (up to the 99th percentile)",
            elements.legend(("chosen", "rejected")) + charts.histogram("characters", facts.chars),
        ),
        card("Liked and disliked", labels),
    ]
    lead = "How much better, how surely, how long, and how many single answers are liked."
    return section("What the pairs look like", lead, f"<div class=grid>{''.join(cards)}</div>")


def _examples(facts: Facts) -> str:
    body = "".join(_example(row) for row in facts.examples)
    return section("Some pairs", "The first of each recipe by id.", body)


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


def _raw(facts: Facts) -> str:
    rows = [
        (entry["file"], entry["name"], entry["format"] or "not a log", entry["records"] or 0, entry["quarantined"] or 0)
        for entry in facts.raw
    ]
    body = elements.table(("id in origins", "file", "format", "records", "quarantined"), rows[:200])
    more = f"<p class=note>{len(rows) - 200} more files stand in manifest.json.</p>" if len(rows) > 200 else ""
    return section("The raw files", "What the ids in the column origins stand for.", f"<div class=card>{body}{more}</div>")
