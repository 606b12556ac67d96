"""The sections of the report about bias, people and training: what to know before the pairs are believed.

In: the facts of a release. Out: HTML text, in the look of the rest of the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.common.html import elements
from tasks.common.html.elements import card, section, text
from tasks.common.training_methods import Method, Weights
from tasks.release.analysis.bias import Share
from tasks.release.summary import Facts

GAP = "\u00a0"  # keeps a figure on one line
VALUES = 8  # rows shown of each dimension
MODELS = 20
MARKED = 12  # groups outside the band
DIMENSIONS = {"model": "models", "topic": "topics", "language": "languages", "source": "sources", "activity": "how much people chat"}
# The reasons of `pair` that say that votes contradict each other, in words.
DISAGREEING = {
    "tie": "the votes for both answers weigh the same",
    "contradicted": "stronger evidence says the opposite",
    "superseded": "the same person said the opposite later",
    "disliked": "who kept the answer called it worse than the other",
    "cycle": "A over B, B over C, C over A",
    "low_confidence": "too few votes, too divided ones, or all else speaks against them",
    "unreliable": "nobody behind it is better than chance",
}


def bias(facts: Facts) -> str:
    """What besides quality tells the chosen answer."""
    band, features = facts.bias.band, facts.bias.features
    lead = (
        "How often the chosen answer is the one with more of something, among the pairs whose answers differ in it. Far from 50 %, a model "
        f"may learn that instead of quality. The line is the {100 * facts.bias.confidence:g} % interval; a row is marked when all of it "
        f"lies outside {100 * band[0]:g} to {100 * band[1]:g} %; of the many groups, when it does so by more than chance would explain."
    )
    rows = [_lane(name, share, band) for name, share in features.items()]
    rows += [_lane("shown first", facts.bias.position, band)] if facts.bias.position.pairs else []
    shares = elements.grid_rows(("chosen has more", "share of pairs, 0 to 100 %", ""), rows)
    whole = f"<div class=card>{shares}{_alone(features['length'])}</div>"
    parts = [
        card(f"Chosen is longer, by {by}", elements.grid_rows((), [_lane(name, share, band) for name, share in groups.items()]))
        for by, groups in facts.bias.groups["length"].items()
        if groups
    ]
    legend = "<p class=legend><span><i class=key></i>the band</span></p>"
    return section(
        "What else tells the chosen answer",
        lead,
        legend,
        f"<div class=stack>{whole}<div class=grid>{''.join(parts)}</div>{_marked(facts)}</div>",
    )


def _lane(name: str, share: Share, band: tuple[float, float]) -> tuple[str, str, str, bool]:
    if share.share is None:
        return name or "(none)", "<div class=gauge></div>", "no answers differ in it", False
    words = f"{100 * share.share:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}] of {share.differ:,}"
    chart = elements.gauge(share.low, share.share, share.high, band, share.marked)
    return name or "(none)", chart, words + (" – outside the band" if share.marked else ""), share.marked


def _alone(length: Share) -> str:
    if length.auc is None:
        return ""
    return (
        f"<p class=note>A judge who takes the longer answer is right in {100 * length.score:.1f} % "
        f"[{100 * length.score_low:.1f}, {100 * length.score_high:.1f}] of all pairs; one who sees the length of single answers reaches an "
        f"area under the curve of {length.auc:.3f}.</p>"
    )


def _marked(facts: Facts) -> str:
    """Groups outside the band in features other than length, which have cards of their own; those farthest outside."""
    low, high = facts.bias.band
    marked = [
        (feature, by, value, share)
        for feature, parts in facts.bias.groups.items()
        for by, groups in parts.items()
        for value, share in groups.items()
        if share.marked and feature != "length"
    ]
    marked.sort(key=lambda one: (-max(one[-1].low - high, low - one[-1].high), one[:3]))
    rows = [
        (feature, by, value or "(none)", f"{100 * (one.share or 0):.1f} %", f"{100 * one.low:.1f} to {100 * one.high:.1f} %", one.differ)
        for feature, by, value, one in marked[:MARKED]
    ]
    more = f"<p class=note>{len(marked) - MARKED} more stand in bias.json.</p>" if len(marked) > MARKED else ""
    table = elements.table(("chosen has more", "by", "group", "share", "interval", "pairs that differ"), rows)
    return card("Other groups outside the band", table + more) if rows else ""


def people(facts: Facts) -> str:
    """Who gives feedback, how far they agree, and which models they prefer."""
    parts = [
        f"<div class=grid>{_selection(facts.people.selection)}</div>" if facts.people.selection else "",
        _agreement(facts.people.agreement, facts.people.annotators),
        _calibration(facts.people.calibration),
        f"<div class=grid>{_models(facts.people.models)}{_contradictions(facts)}</div>",
    ]
    lead = "Feedback comes from some people about some answers. Where the bars differ much, pairs speak for a part of those who chat."
    return section("Who stands behind the pairs", lead, f"<div class=stack>{''.join(parts)}</div>")


def _selection(selection: Mapping[str, list[dict[str, Any]]]) -> str:
    cards = []
    for dimension, name in DIMENSIONS.items():
        rows = selection.get(dimension, [])[:VALUES]
        if len(rows) > 1:
            cards.append(card(f"Who gets feedback: {name}", _shares(rows)))
    return "".join(cards)


def _shares(rows: list[dict[str, Any]]) -> str:
    """Two bars a value: its share of all answers, and of the judged ones."""
    lines = [
        "<div class=lane>"
        f"<span>{text(row['value'] or '(none)')}</span>"
        f"<div>{_twice(row['answers_share'] or 0, row['judged_share'] or 0)}</div>"
        f"<small>{_rate(row['judged_rate'])} judged{_liked(row)}</small></div>"
        for row in rows
    ]
    return elements.legend(("of all answers", "of judged answers")) + f"<div class=lanes>{''.join(lines)}</div>"


def _twice(first: float, second: float) -> str:
    bars = (f"<i class=s{place} style='width:{100 * part:.2f}%'></i>" for place, part in enumerate((first, second)))
    return "".join(f"<div class='track thin'>{bar}</div>" for bar in bars)


def _rate(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f} %"


def _liked(row: Mapping[str, Any]) -> str:
    return "" if row["up_rate"] is None else f", {_rate(row['up_rate'])} of {row['ups'] + row['downs']:,} verdicts good"


def _agreement(rows: list[dict[str, Any]], annotators: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    known = {(row["kind"], row["annotator_kind"]): row for row in annotators}
    heads = ("act", "by", "acts", "judged", "by several", "same", "alpha", "kappa", "reliability", "spammers")
    lines = [
        (
            row["kind"], row["annotator_kind"], row["votes"], row["items"], row["shared_items"], _figure(row["raw"]), _figure(row["alpha"]),
            _figure(row["kappa"]), _reliability(row, known.get((row["kind"], row["annotator_kind"]))), row["spammers"],
        )
        for row in rows
    ]  # fmt: skip
    note = (
        "same: how often others say the same of one item; alpha: Krippendorff's, 0 as by chance; kappa: Cohen's, where two judge; "
        "reliability: how often one act is right, and the middle half of the people."
    )
    return card("How far people agree", elements.table(heads, lines) + f"<p class=note>{note}</p>")


def _calibration(rows: list[dict[str, Any]]) -> str:
    """How often one act of each recipe is right, and whether that is estimated or assumed."""
    if not rows:
        return ""
    heads = ("recipe", "pairs", "second opinions", "same", "one act is right", "known from", "second opinions missing")
    lines = [
        (
            row["recipe"], row["pairs"], f"{row['shared']:,.0f}", _figure(row["agreement"]), _figure(row["reliability"]), row["basis"],
            f"{row['missing']:,}" if row["missing"] else "none",
        )
        for row in rows
    ]  # fmt: skip
    note = (
        "assumed: single votes do not say how often they are right, and too few answers are judged by two people; overlap: estimated from "
        "those that are; words: estimated with a judge of words that learnt from other pairs. Missing: how many second opinions on answers "
        "that were judged already would tell the figure by agreement alone."
    )
    return card("How sure a pair is", elements.table(heads, lines) + f"<p class=note>{note}</p>")


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _reliability(row: Mapping[str, Any], annotators: Mapping[str, Any] | None) -> str:
    spread = (annotators or {}).get("quartiles")
    return _figure(row["reliability"]) + (f" ({spread[0]:.2f} to {spread[2]:.2f})" if spread else "")


def _models(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    lines = [
        (
            row["model"],
            f"{row['score']:+.2f}" + (f"{GAP}±{GAP}{1.96 * row['error']:.2f}" if row["error"] == row["error"] else ""),
            f"{100 * row['won']:.0f}{GAP}%",
            row["pairs"],
            row["group"] + 1,
        )
        for row in rows[:MODELS]
    ]
    more = f"<p class=note>{len(rows) - MODELS} more models are not shown.</p>" if len(rows) > MODELS else ""
    note = "<p class=note>Bradley-Terry log odds with 95 % intervals; models of different groups never met.</p>"
    return card("Models, as preferred", elements.table(("model", "score", "won", "pairs", "group"), lines) + more + note)


def _contradictions(facts: Facts) -> str:
    entry = facts.ledgers.get("pair", {}).get("pairs")
    reasons = entry["reasons"] if entry else {}
    rows = [(name.replace("_", " "), words, reasons.get(name, 0)) for name, words in DISAGREEING.items()]
    return card("Where votes contradict", elements.table(("reason", "what it means", "couples left out"), rows)) if entry else ""


def training(facts: Facts) -> str:
    """What the release is enough for."""
    choice = facts.choice
    tiles = "".join(
        f"<div class=figure><b>{count:,}</b><span>{text(name.replace('_', ' '))}</span></div>" for name, count in choice.evidence.items()
    )
    noise = "–" if choice.label_noise is None else f"{100 * choice.label_noise:.1f} %"
    tiles += f"<div class=figure><b>{noise}</b><span>expected label noise</span></div>"
    cards = "".join(_method(method) for method in choice.methods.values()) + card("Weights for KTO", _weights(choice.kto))
    lead = f"{choice.verdict()} Counted: training rows that people's feedback gave, without variants and repeats."
    return section("What training it is enough for", lead, f"<div class=figures>{tiles}</div><div class='grid below'>{cards}</div>")


def _method(method: Method) -> str:
    rows = elements.grid_rows(
        (),
        [
            (need.what, elements.meter(min(1.0, need.has / need.needs)), f"{need.has:,} of {need.needs:,} needed", False)
            for need in method.needs
        ],
    )
    word = "<span class=enough>enough</span>" if method.enough else "<span class=lacking>not enough</span>"
    return f"<div class=card><h3>{text(method.title[0].upper() + method.title[1:])} · {word}</h3>{rows}</div>"


def _weights(kto: Weights) -> str:
    rows: list[tuple[object, ...]] = [
        ("liked answers", f"{kto.desirable:,}", _weight(kto.desirable_weight)),
        ("disliked answers", f"{kto.undesirable:,}", _weight(kto.undesirable_weight)),
    ]
    note = (
        "KTO needs answers of both labels."
        if kto.ratio is None
        else f"{kto.ratio:.2f} liked to 1 disliked; with these weights their products lie between 1 : 1 and 4 : 3, as TRL asks."
    )
    return elements.table(("label", "rows", "weight"), rows) + f"<p class=note>{note}</p>"


def _weight(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
