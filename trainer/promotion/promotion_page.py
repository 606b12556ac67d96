"""The page for people about a promotion: the decision, and the figures of both models that it rests on.

In: the document of `compare`, and the decision. Out: the page's text. No clock and no path of the machine in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.common.html.elements import card, document, gauge, grid_rows, section, table, text
from trainer.evaluation import quality
from trainer.evaluation.reliability_plot import EVEN
from trainer.promotion.decision import Decision
from trainer.promotion.writing import WRITERS

TITLE = "The new model and the last one"
COUNTED = {name: quality.COLUMNS[name] for name in ("characters", "unfinished", "circling", "again", "empty", "not_text")}
FACTS = {"name": "name", "source": "made from", "digest": "weights", "start": "start", "release": "release"}
SAID = {"challenger": "the new model", "champion": "the last one", "chosen": "chosen answers"}
DIGITS = 16  # of a digest
Report = Mapping[str, Any]


def page(comparison: Report, decided: Decision) -> str:
    """The whole page."""
    mark = "" if decided.promoted else " caution"
    head = f"<h1>{TITLE}</h1><p class='lead{mark}'>{text(decided.phrase[0].upper() + decided.phrase[1:])}.</p>"
    parts = [_preferences(comparison), _writing(comparison["writing"])] if "accuracy" in comparison else []
    return document(TITLE, head, *parts, _who(comparison))


def _preferences(comparison: Report) -> str:
    """How often either puts first what people chose."""
    rows = [
        (
            SAID[name],
            gauge(one["low"], one["accuracy"], one["high"], EVEN, False),
            f"{one['accuracy']:.3f} [{one['low']:.3f}, {one['high']:.3f}]",
            False,
        )
        for name, one in comparison["accuracy"].items()
    ]
    moved = comparison["difference"]
    lead = (
        f"The same {comparison['pairs']:,} test pairs in {comparison['groups']:,} groups, which neither was trained on. A pair is right "
        "where the chosen answer gained more on the model's own start than the rejected one. In brackets Wilson's interval. p is that of "
        "an exact McNemar test in which each group speaks once, the difference's interval that of a paired bootstrap over groups."
    )
    said = (
        f"The new model is {comparison['stands']}: difference {moved['mean']:+.3f} [{moved['low']:+.3f}, {moved['high']:+.3f}], "
        f"p {comparison['p']:.2g}."
    )
    body = grid_rows(("model", "share told right, 0 to 1", ""), rows)
    return section("Preferences told right", lead, f"<div class=card>{body}<p class=note>{text(said)}</p></div>")


def _writing(writing: Report) -> str:
    """What both write to the same prompts."""
    title = "What both write"
    if not writing["prompts"]:
        return section(title, "Not looked at: compare.generations.prompts is 0.")
    lead = (
        f"Answers to the same {writing['prompts']:,} test prompts, beside those that people chose, cut at the same length. Shares are of 1."
    )
    rows = [
        (SAID[name], *(f"{writing[name][key]:.2f}" for key in COUNTED), f"{writing['length_ratio'].get(name, 1.0):.2f}") for name in WRITERS
    ]
    worse = [f"<p class='note caution'>Worse: {text(one)}.</p>" for one in writing["worse"]]
    said = "".join(worse) or "<p class=note>The new model writes nothing clearly worse that can be counted.</p>"
    heads = ("writer", *COUNTED.values(), "length beside the chosen")
    return section(title, lead, card("Counted", said + table(heads, rows)))


def _who(comparison: Report) -> str:
    """Which two models these are."""
    rows = [(SAID[side], *(str((comparison[side] or {}).get(name, "–"))[:DIGITS] for name in FACTS)) for side in ("challenger", "champion")]
    lead = "Digests by their first digits. The last model is the one that was handed over before; a first model has none to beat."
    return section("Which models", lead, card("By what they are made of", table(("model", *FACTS.values()), rows)))
