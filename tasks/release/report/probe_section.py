"""The section of the report about the probe: what a bag-of-words model learns from the pairs, and whether more votes would help.

In: the results of the probe. Out: HTML text, in the look of the rest of the report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tasks.common.html import elements
from tasks.common.html.elements import card, section, text
from tasks.release.probe.accuracy import Accuracy
from tasks.release.probe.learning_curve import Curve
from tasks.release.probe.probe import Probed

WIDTH, HEIGHT, LEFT, RIGHT, TOP, FOOT = 460, 210, 42, 12, 10, 34
STEPS = 40
SHOWN = 8
HALF = (0.495, 0.505)  # marks chance in a gauge


def probe(probed: Probed | None) -> str:
    """The whole section; empty without a probe."""
    if probed is None:
        return ""
    lead = (
        "A bag-of-words probe (TF-IDF, Bradley-Terry) was trained on some of the pairs and tested on others that share neither prompt nor "
        "conversation with them. Its accuracy is a lower bound: a model may learn more. It does not show whether people were right. Where "
        "confidences use words, training pairs that contradict the words are already dropped, which raises the accuracy: the figure for "
        "validation and test, from which words drop no pairs, is unbiased."
    )
    parts = [
        f"<div class=card><h3>Held-out accuracy</h3>{_judges(probed)}</div>",
        card("Learning curve", chart(probed.curve) + f"<p class=note>{_sentence(probed.curve.verdict)}</p>"),
        card("By recipe", _lanes(probed.by["recipe"])),
        card("Labels that are probably flipped", _suspects(probed)),
    ]
    return section("What the pairs teach", lead, f"<div class=grid>{''.join(parts)}</div>")


def _judges(probed: Probed) -> str:
    low, high = probed.ahead[1:]
    of = f"{probed.probed:,} pairs" if probed.probed == probed.pairs else f"{probed.probed:,} of {probed.pairs:,} pairs, sampled by id"
    note = (
        f"Better than taking the longer answer by {100 * probed.ahead[0]:.1f} points [{100 * low:.1f}, {100 * high:.1f}]. {of}, in "
        f"{probed.groups:,} groups. The mark shows chance."
    )
    untouched = {"words, validation and test": probed.untouched} if probed.untouched else {}
    rows = {"words": probed.accuracy, **untouched, "longer answer": probed.longer}
    return _lanes(rows, probed.at_chance()) + f"<p class=note>{text(note)}</p>"


def _lanes(rows: Mapping[str, Accuracy], highlight: bool = False) -> str:
    shown = list(rows.items())[:SHOWN]
    lanes = [
        (
            name or "(none)",
            elements.gauge(one.low, one.share, one.high, HALF, highlight and not place),
            f"{100 * one.share:.1f} % [{100 * one.low:.1f}, {100 * one.high:.1f}] of {one.pairs:,}",
            highlight and not place,
        )
        for place, (name, one) in enumerate(shown)
    ]
    return elements.grid_rows((), lanes)


def _suspects(probed: Probed) -> str:
    suspects, tried = probed.suspects, probed.planted
    rows = [(one.pair_id, one.split, one.recipe, f"{one.probability:.3f}") for one in suspects.listed[:SHOWN]]
    note = (
        f"{suspects.count:,} labels ({100 * suspects.share:.1f} %) have a probability below {suspects.threshold:.2f}. "
        f"When {100 * tried.share:.0f} % were flipped on purpose, {100 * tried.found:.0f} % of those were suspected and "
        f"{100 * tried.others:.1f} % of the others (area under the curve {tried.auc:.2f}; 0.50 is chance). probe.json lists more."
    )
    table = elements.table(("pair_id", "split", "recipe", "probability"), rows) if rows else ""
    return f"<p class=note>{text(note)}</p>{table}"


def chart(curve: Curve) -> str:
    """Accuracy against the number of pairs (log scale), with intervals and the fitted law, extrapolated a little."""
    least, most = curve.points[0].pairs, curve.points[-1].pairs * 4
    floor = min(0.5, *(one.low for one in curve.points))
    top = min(1.0, max(curve.at(most), *(one.high for one in curve.points)) + 0.02)

    def x(pairs: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(pairs / least) / math.log(most / least)

    def y(accuracy: float) -> float:
        return TOP + (HEIGHT - TOP - FOOT) * (1 - (accuracy - floor) / (top - floor))

    known, ahead = (
        " ".join(f"{x(pairs):.1f},{y(curve.at(pairs)):.1f}" for pairs in _steps_on_log_scale(*ends))
        for ends in ((least, curve.points[-1].pairs), (curve.points[-1].pairs, most))
    )
    marks = "".join(
        f'<line class=s0 x1="{x(one.pairs):.1f}" x2="{x(one.pairs):.1f}" y1="{y(one.low):.1f}" y2="{y(one.high):.1f}"/>'
        f'<circle class=s0 cx="{x(one.pairs):.1f}" cy="{y(one.accuracy):.1f}" r="4"><title>{one.pairs:,} pairs: {one.accuracy:.3f} '
        f"[{one.low:.3f}, {one.high:.3f}]</title></circle>"
        f'<text x="{x(one.pairs):.1f}" y="{HEIGHT - FOOT + 14}" text-anchor="{"start" if not place else "middle"}">{one.pairs:,}</text>'
        for place, one in enumerate(curve.points)
    )
    ends = "".join(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>' for value in (floor, top))
    foot = HEIGHT - FOOT
    axes = f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{foot}" y2="{foot}"/><line x1="{LEFT}" x2="{LEFT}" y1="{TOP}" y2="{foot}"/>'
    words = (
        f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 4}" text-anchor="middle">training pairs</text>'
        f'<text x="{x(most):.1f}" y="{foot + 14}" text-anchor="end">{most:,}</text>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="learning curve">{axes}<polyline class=law points="{known}"/>'
        f'<polyline class="law ahead" points="{ahead}"/>{marks}{ends}{words}</svg>'
    )


def _steps_on_log_scale(low: float, high: float) -> list[float]:
    return [low * (high / low) ** (step / STEPS) for step in range(STEPS + 1)]


def _sentence(words: str) -> str:
    return text(words[:1].upper() + words[1:] + ".")
