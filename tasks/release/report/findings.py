"""The sections of the report about spurious cues, annotators and training methods.

In: the summary of a release. Out: HTML text, in the style of the rest of the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.common.html import elements
from tasks.common.html.elements import card, section, text
from tasks.common.training_methods import Method, Weights
from tasks.common.vocabulary.reasons.pair import DISAGREEING
from tasks.release.analysis.bias import Share
from tasks.release.summary import Summary

GAP = "\u00a0"  # keeps a figure on one line
VALUES = 8  # rows shown of each dimension
MODELS = 20
MARKED = 12  # groups outside the band
DIMENSIONS = {"model": "models", "topic": "topics", "language": "languages", "source": "sources", "activity": "how much people chat"}


def bias(summary: Summary) -> str:
    """Spurious cues: what besides quality predicts the chosen answer."""
    band, features = summary.bias.band, summary.bias.features
    lead = (
        "How often the chosen answer has more of a feature, among the pairs whose answers differ in it. Far from 50 %, a model may learn "
        f"the feature instead of quality. The line is the {100 * summary.bias.confidence:g} % interval; a row is marked when the interval "
        f"lies outside {100 * band[0]:g} to {100 * band[1]:g} % (for groups: corrected for their number)."
    )
    rows = [_bias_row(name, share, band) for name, share in features.items()]
    rows += [_bias_row("shown first", summary.bias.position, band)] if summary.bias.position.pairs else []
    shares = elements.grid_rows(("chosen has more", "share of pairs, 0 to 100 %", ""), rows)
    whole = f"<div class=card>{shares}{_length_alone(features['length'])}</div>"
    parts = [
        card(f"Chosen is longer, by {by}", elements.grid_rows((), [_bias_row(name, share, band) for name, share in groups.items()]))
        for by, groups in summary.bias.groups["length"].items()
        if groups
    ]
    legend = "<p class=legend><span><i class=key></i>the band</span></p>"
    return section(
        "Spurious cues",
        lead,
        legend,
        f"<div class=stack>{whole}<div class=grid>{''.join(parts)}</div>{_marked_groups(summary)}</div>",
    )


def _bias_row(name: str, share: Share, band: tuple[float, float]) -> tuple[str, str, str, bool]:
    if share.share is None:
        return name or "(none)", "<div class=gauge></div>", "no answers differ in it", False
    words = f"{100 * share.share:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}] of {share.differ:,}"
    chart = elements.gauge(share.low, share.share, share.high, band, share.marked)
    return name or "(none)", chart, words + (" – outside the band" if share.marked else ""), share.marked


def _length_alone(length: Share) -> str:
    if length.auc is None:
        return ""
    return (
        f"<p class=note>Always taking the longer answer is right for {100 * length.score:.1f} % "
        f"[{100 * length.score_low:.1f}, {100 * length.score_high:.1f}] of all pairs; the length of single answers alone reaches an "
        f"area under the ROC curve of {length.auc:.3f}.</p>"
    )


def _marked_groups(summary: Summary) -> str:
    """The groups farthest outside the band, in features other than length (which has its own cards)."""
    low, high = summary.bias.band
    outside = [
        (feature, by, value, share)
        for feature, parts in summary.bias.groups.items()
        for by, groups in parts.items()
        for value, share in groups.items()
        if share.marked and feature != "length"
    ]
    outside.sort(key=lambda one: (-max(one[-1].low - high, low - one[-1].high), one[:3]))
    rows = [
        (feature, by, value or "(none)", f"{100 * (one.share or 0):.1f} %", f"{100 * one.low:.1f} to {100 * one.high:.1f} %", one.differ)
        for feature, by, value, one in outside[:MARKED]
    ]
    more = f"<p class=note>{len(outside) - MARKED} more are in bias.json.</p>" if len(outside) > MARKED else ""
    table = elements.table(("chosen has more", "by", "group", "share", "interval", "pairs that differ"), rows)
    return card("Other groups outside the band", table + more) if rows else ""


def people(summary: Summary) -> str:
    """Who gives feedback, how well annotators agree, and which models they prefer."""
    parts = [
        f"<div class=grid>{_selection(summary.people.selection)}</div>" if summary.people.selection else "",
        _agreement(summary.people.agreement, summary.people.annotators),
        _calibration(summary.people.calibration),
        f"<div class=grid>{_models(summary.people.models)}{_contradictions(summary)}</div>",
    ]
    lead = "Feedback comes from some users about some answers. Where the bars differ much, the pairs represent only a part of the users."
    return section("Annotators", lead, f"<div class=stack>{''.join(parts)}</div>")


def _selection(selection: Mapping[str, list[dict[str, object]]]) -> str:
    cards = []
    for dimension, name in DIMENSIONS.items():
        rows = selection.get(dimension, [])[:VALUES]
        if len(rows) > 1:
            cards.append(card(f"Who gets feedback: {name}", _shares(rows)))
    return "".join(cards)


def _shares(rows: list[dict[str, Any]]) -> str:
    """Two bars per value: its share of all answers, and of the rated ones."""
    lines = [
        "<div class=lane>"
        f"<span>{text(row['value'] or '(none)')}</span>"
        f"<div>{_two_bars(row['answers_share'] or 0, row['judged_share'] or 0)}</div>"
        f"<small>{_rate(row['judged_rate'])} rated{_approval(row)}</small></div>"
        for row in rows
    ]
    return elements.legend(("of all answers", "of rated answers")) + f"<div class=lanes>{''.join(lines)}</div>"


def _two_bars(first: float, second: float) -> str:
    bars = (f"<i class=s{place} style='width:{100 * part:.2f}%'></i>" for place, part in enumerate((first, second)))
    return "".join(f"<div class='track thin'>{bar}</div>" for bar in bars)


def _rate(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f} %"


def _approval(row: Mapping[str, Any]) -> str:
    return "" if row["up_rate"] is None else f", {_rate(row['up_rate'])} of {row['ups'] + row['downs']:,} positive"


def _agreement(rows: list[dict[str, Any]], annotators: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    known = {(row["kind"], row["annotator_kind"]): row for row in annotators}
    heads = ("feedback", "by", "votes", "items", "by several", "agreement", "alpha", "kappa", "reliability", "spammers")
    lines = [
        (
            row["kind"], row["annotator_kind"], row["votes"], row["items"], row["shared_items"], _figure(row["raw"]), _figure(row["alpha"]),
            _figure(row["kappa"]), _reliability(row, known.get((row["kind"], row["annotator_kind"]))), row["spammers"],
        )
        for row in rows
    ]  # fmt: skip
    note = (
        "agreement: raw agreement on items with several votes; alpha: Krippendorff's, 0 at chance; kappa: Cohen's, for two annotators; "
        "reliability: how often a vote is right, with the interquartile range over annotators."
    )
    return card("Annotator agreement", elements.table(heads, lines) + f"<p class=note>{note}</p>")


def _calibration(rows: list[dict[str, Any]]) -> str:
    """Reliability of one vote for each recipe, estimated or assumed."""
    if not rows:
        return ""
    heads = ("recipe", "pairs", "second opinions", "agreement", "reliability", "basis", "second opinions missing")
    lines = [
        (
            row["recipe"], row["pairs"], f"{row['shared']:,.0f}", _figure(row["agreement"]), _figure(row["reliability"]), row["basis"],
            f"{row['missing']:,}" if row["missing"] else "none",
        )
        for row in rows
    ]  # fmt: skip
    note = (
        "reliability: how often one vote is right; assumed: too few answers are rated by two people to estimate it; overlap: estimated "
        "from answers rated by several people; words: estimated with a bag-of-words model trained on other pairs. Missing: how many second "
        "opinions on rated answers are needed to estimate it from agreement alone."
    )
    return card("Reliability of votes", elements.table(heads, lines) + f"<p class=note>{note}</p>")


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
    note = "<p class=note>Bradley-Terry log odds with 95 % intervals; models of different groups were never compared.</p>"
    return card("Models by preference", elements.table(("model", "score", "won", "pairs", "group"), lines) + more + note)


def _contradictions(summary: Summary) -> str:
    entry = summary.ledgers.get("pair", {}).get("pairs")
    reasons = entry["reasons"] if entry else {}
    rows = [(name.replace("_", " "), words, reasons.get(name, 0)) for name, words in DISAGREEING.items()]
    return card("Contradicting votes", elements.table(("reason", "what it means", "pairs dropped"), rows)) if entry else ""


def training(summary: Summary) -> str:
    """Which training methods the release has enough data for."""
    choice = summary.choice
    tiles = "".join(
        f"<div class=figure><b>{count:,}</b><span>{text(name.replace('_', ' '))}</span></div>" for name, count in choice.evidence.items()
    )
    noise = "–" if choice.label_noise is None else f"{100 * choice.label_noise:.1f} %"
    tiles += f"<div class=figure><b>{noise}</b><span>expected label noise</span></div>"
    cards = "".join(_method(method) for method in choice.methods.values()) + card("Weights for KTO", _weights(choice.kto))
    lead = f"{choice.verdict()} Counts are of training rows without variants and repeats."
    return section("Training methods", lead, f"<div class=figures>{tiles}</div><div class='grid below'>{cards}</div>")


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
        ("good answers", f"{kto.desirable:,}", _weight(kto.desirable_weight)),
        ("bad answers", f"{kto.undesirable:,}", _weight(kto.undesirable_weight)),
    ]
    note = (
        "KTO needs answers of both labels."
        if kto.ratio is None
        else f"{kto.ratio:.2f} good to 1 bad; the weights bring the products between 1 : 1 and 4 : 3, as TRL recommends."
    )
    return elements.table(("label", "rows", "weight"), rows) + f"<p class=note>{note}</p>"


def _weight(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
