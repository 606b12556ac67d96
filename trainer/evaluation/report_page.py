"""The page for people: one HTML file that needs nothing but itself, to be read before the model is trusted.

In: the report of an evaluation. Out: the page's text. No clock and no path of the machine in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.common.html.elements import card, document, gauge, grid_rows, legend, section, table, text
from trainer.evaluation import evaluation_metrics, generation_report, reliability_plot
from trainer.evaluation.preference_accuracy import STRATA
from trainer.evaluation.reliability_plot import EVEN

Report = Mapping[str, Any]
JUDGES = {
    "implicit": "policy, implicit reward",
    "likelihood": "policy, likelihood",
    "per_token": "policy, likelihood per token",
    "reference_likelihood": "reference, likelihood",
    "reference_per_token": "reference, likelihood per token",
    "reward": "reward model",
    "longer": "baseline: the longer wins",
    "tfidf": "baseline: TF-IDF Bradley-Terry",
}
BESIDE = {
    "implicit": "policy, implicit",
    "likelihood": "policy, likelihood",
    "reference_likelihood": "reference, likelihood",
    "reward": "reward model",
    "longer": "longer wins",
    "tfidf": "TF-IDF",
}
TITLE = "Evaluation on held-out preferences"


def page(report: Report) -> str:
    """The whole page."""
    parts = [_head(report), _accuracy(report), _strata(report), _lengths(report), _calibration(report), _control(report)]
    parts.append(generation_report.section_of(report["generations"]))
    return document(TITLE, *parts, style=reliability_plot.STYLE)


def _head(report: Report) -> str:
    test, control, wins = report["test"], report["control"], report["generations"].get("wins")
    tiles = [
        ("policy, implicit reward", test["implicit"]["accuracy"]),
        ("reward model", test["reward"]["accuracy"]),
        ("TF-IDF baseline", test["tfidf"]["accuracy"]),
        ("the longer wins", test["longer"]["accuracy"]),
        ("control, mean of seeds", control.get("mean")),
        ("generations won", wins and wins["accuracy"]),
    ]
    body = "".join(f"<div class=figure><b>{evaluation_metrics.share(value)}</b><span>{text(name)}</span></div>" for name, value in tiles)
    words = report["verdict"]["sentence"]
    lead = f"{words[0].upper()}{words[1:]}. {test['implicit']['n']:,} test pairs in {test['groups']:,} groups."
    beside = evaluation_metrics.beside(test)
    mark = " caution" if report["verdict"]["faults"] else ""
    said = f"<p class='lead{mark}'>{text(lead)}</p><p class=lead>{text(beside[0].upper() + beside[1:])}.</p>"
    return f"<h1>{TITLE}</h1>{said}<div class=figures>{body}</div>"


def _accuracy(report: Report) -> str:
    band = _band(report["control"])
    cards = [card(f"{split} ({report[split]['groups']:,} groups)", _bars(report[split], band)) for split in ("test", "validation")]
    lead = (
        "How often the answer that people chose is put first; a tie counts one half. Bars are 95 % intervals of the bootstrap over groups "
        "(pairs with near-equal prompts or of one conversation are drawn together); in brackets, first that one, then Wilson's. By the "
        "implicit reward the reference ties on every pair: 0.5. p-values are those of exact tests in which each group speaks once."
    )
    key = "<p class=legend><span><i class=key></i>what the control on shuffled labels reaches (interval of its mean)</span></p>"
    return section("Preferences told right", lead, key if "low" in report["control"] else "", f"<div class=stack>{''.join(cards)}</div>")


def _band(control: Report) -> tuple[float, float]:
    return max(0.0, control.get("low", EVEN[0])), min(1.0, control.get("high", EVEN[1]))


def _bars(figures: Report, band: tuple[float, float]) -> str:
    rows = []
    for name, label in JUDGES.items():
        one = figures[name]
        words = f"{one['accuracy']:.3f} [{span(one, 'group_')}] [{span(one)}] of {one['n']:,}"
        rows.append((label, gauge(one["group_low"], one["accuracy"], one["group_high"], band, False), words, False))
    return grid_rows(("judge", "share told right, 0 to 1", ""), rows)


def span(one: Mapping[str, float], kind: str = "") -> str:
    """An interval, which no line parts."""
    return f"{one[f'{kind}low']:.3f},\u00a0{one[f'{kind}high']:.3f}"


def _strata(report: Report) -> str:
    cards = []
    for stratum in STRATA:
        rows = [
            (value or "(none)", judged["implicit"]["n"], *(_told(judged[name]) for name in BESIDE))
            for value, judged in report["test"][stratum].items()
        ]
        cards.append(card(f"By {stratum}", table((stratum, "pairs", *BESIDE.values()), rows)))
    lead = (
        "Test pairs; in brackets the interval of the bootstrap over groups. The reference's own implicit share is 0.5 everywhere. Small "
        "strata say little, and one without a fault (or without a hit) seems to have no interval, because no resample of it has one: "
        "Wilson's stands in report.json."
    )
    return section("The same by recipe, source, language and topic", lead, f"<div class=stack>{''.join(cards)}</div>")


def _told(one: Mapping[str, float]) -> str:
    return f"{one['accuracy']:.3f} [{span(one, 'group_')}]"


def _lengths(report: Report) -> str:
    rows, tells = [], []
    for name, figures in report["test"]["lengths"].items():
        even, equal, pull = figures["balanced"], figures["equal_length"], figures["equal_length"]["pull"]
        sides = (evaluation_metrics.share(even.get(f"accuracy_{side}")) for side in ("longer", "shorter"))
        cell = f"{evaluation_metrics.share(even['accuracy'])} [{span(even)}]"
        rows.append((JUDGES[name], *sides, cell, f"{equal['accuracy']:.3f} [{span(equal)}]", _weight(pull)))
        if "preference" in figures:
            tells.append((JUDGES[name], *(_weight(figures["preference"][which]) for which in ("margin", "length"))))
    even = report["test"]["lengths"]["implicit"]["balanced"]
    lead = (
        f"In {even['longer']:,} test pairs the chosen answer is the longer one, in {even['shorter']:,} the shorter, in {even['equal']:,} "
        "neither (characters). Balanced: both sides count one half, so the longer-wins judge gets exactly 0.5. At equal length: what a "
        "logistic regression of being right on the difference of length predicts for no difference, as length-controlled AlpacaEval does. "
        "Pull above 0: right more often where the chosen answer is longer."
    )
    heads = ("judge", "chosen longer", "chosen shorter", "balanced", "at equal length", "pull of length")
    other = (
        "People's choice regressed on margin and length together, log-odds for one root mean square of margins and for the squashed "
        "difference of length: a margin whose weight is clearly above 0 tells more than length does."
    )
    second = table(("judge", "weight of its margin", "weight of length beside it"), tells)
    cards = card("Accuracy with length taken out", table(heads, rows)) + card(
        "Margin and length side by side", f"<p class=note>{other}</p>{second}"
    )
    return section("Without the hint of length", lead, f"<div class=stack>{cards}</div>")


def _weight(one: Mapping[str, float]) -> str:
    return f"{one['weight']:+.2f} [{one['low']:+.2f}, {one['high']:+.2f}]"


def _calibration(report: Report) -> str:
    figures = report["calibration"]
    names = {"validation": "validation", "test": "test", "test_tempered": "test, at the temperature"}
    heads = ("pairs of", "pairs", "sure", "right", "calibration error", "Brier", "log loss")
    keys = ("confidence", "accuracy", "ece", "brier", "log_loss")
    rows = [(label, figures[name]["pairs"], *(f"{figures[name][key]:.3f}" for key in keys)) for name, label in names.items()]
    bins = [
        (f"{row['from']:.2f} to {row['to']:.2f}", row["n"], f"{row['confidence']:.3f}", f"{row['accuracy']:.3f} [{span(row)}]")
        for row in figures["test"]["table"]
        if row["n"]
    ]
    drawn = reliability_plot.reliability({"test": figures["test"]["table"], "tempered": figures["test_tempered"]["table"]})
    lead = (
        "Sigmoid of the difference of two rewards, read as the probability that people chose the one with the higher reward. "
        f"Temperature {figures['temperature']:.3f}, fitted on validation. Mistakes in people's labels bound how right anyone can be."
    )
    plot = card("How right it is when it is so sure (test)", legend(("as it is", "at the temperature")) + drawn)
    tables = card("In all", table(heads, rows)) + card("Test, as it is, by confidence", table(("sure", "pairs", "mean", "right"), bins))
    return section("Calibration of the reward model", lead, f"<div class=grid>{plot}<div class=stack>{tables}</div></div>")


def _control(report: Report) -> str:
    control = report["control"]
    words = evaluation_metrics.control(control)
    lead = (
        "The same method, start and schedule on training pairs of which a random half is the wrong way round. There is nothing to learn, "
        "so the mean over seeds belongs near 0.5. The start has seen real chosen answers, but the implicit reward is the difference to the "
        "start: what the start knows cancels. One run leans to one side by chance, in all pairs alike: judge the mean."
    )
    rows = [
        (f"seed {at}", gauge(one, one, one, EVEN, False), f"{one:.3f}", False) for at, one in enumerate(control.get("accuracies", ()), 1)
    ]
    if "low" in control:
        mean = gauge(max(0.0, control["low"]), control["mean"], min(1.0, control["high"]), EVEN, False)
        rows.append(("mean", mean, f"{control['mean']:.3f} [{span(control)}], spread of runs {control['spread']:.3f}", False))
    body = f"<div class=card>{grid_rows((), rows)}</div>" if rows else ""
    return section("Control: trained on shuffled labels", lead, f"<p class=note>{text(words[0].upper() + words[1:])}.</p>", body)
