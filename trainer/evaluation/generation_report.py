"""The part of the page about generations: how well was written, how often the policy's answer wins, and some answers to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.common.html.elements import card, gauge, grid_rows, section, table, text
from trainer.evaluation.generations import CAVEAT
from trainer.evaluation.quality import COLUMNS, WRITERS
from trainer.evaluation.reliability_plot import EVEN

CHARS = 900  # shown of a message
TITLE = "What policy and reference write"
Figures = Mapping[str, Any]


def section_of(figures: Figures) -> str:
    """The whole part."""
    caution = f"<p class='note caution'>{text(CAVEAT[0].upper() + CAVEAT[1:])}.</p>"
    if not figures["prompts"]:
        return section(TITLE, f"None were written: {figures['why_not']}.", caution)
    lead = (
        f"Policy and reference answer the same {figures['prompts']:,} test prompts, one of a group, with at most "
        f"{figures['most_tokens']:,} tokens at temperature {figures['temperature']:g}; {figures['groups_too_long']:,} groups have no "
        "prompt that leaves so much room."
    )
    body = card("Counted, beside the answers that people chose, cut at the same length", _faults(figures) + _writers(figures))
    body += card("How often the policy's answer gets the higher reward", caution + _rates(figures))
    examples = "".join(_example(one) for one in figures["examples"])
    return section(TITLE, lead, f"<div class=stack>{body}</div>", f"<h3 class=next>Some answers</h3>{examples}")


def _rates(figures: Figures) -> str:
    wins, even, equal = figures["wins"], figures["controlled"]["balanced"], figures["controlled"]["equal_length"]
    rows = [
        _rate(
            "all prompts", wins | {"low": wins["group_low"], "high": wins["group_high"]}, f"{wins['n']:,} prompts, {figures['ties']:,} ties"
        ),
        _rate("longer and shorter one half each", even, f"{even['longer']:,} longer, {even['shorter']:,} shorter, {even['equal']:,} equal"),
        _rate("at equal length", equal, f"pull of length {equal['pull']['weight']:+.2f}"),
    ]
    return grid_rows(("", "share won, 0 to 1", ""), rows)


def _rate(name: str, one: Mapping[str, float], words: str) -> tuple[str, str, str, bool]:
    if one["accuracy"] is None:
        return name, "<div class=gauge></div>", f"none: {words}", False
    label = f"{one['accuracy']:.3f} [{one['low']:.3f}, {one['high']:.3f}]; {words}"
    return name, gauge(one["low"], one["accuracy"], one["high"], EVEN, False), label, False


def _faults(figures: Figures) -> str:
    """What the policy writes clearly worse, or that it does not."""
    if not figures["faults"]:
        return "<p class=note>Nothing that can be counted is clearly worse than in the reference's answers and in the chosen ones.</p>"
    return "".join(f"<p class='note caution'>{text(fault[0].upper() + fault[1:])}.</p>" for fault in figures["faults"])


def _writers(figures: Figures) -> str:
    rows = [
        (name, *(f"{figures[name][key]:.2f}" for key in COLUMNS), f"{figures['reward'][name]:.2f}" if name in figures["reward"] else "–")
        for name in WRITERS
    ]
    return table(("writer", *COLUMNS.values(), "mean reward"), rows)


def _example(one: Figures) -> str:
    asked = "".join(_message(message["role"], message["content"]) for message in one["prompt"])
    better = one["policy"]["reward"] >= one["reference"]["reward"]
    sides = "".join(
        f"<div class='side{'' if liked else ' no'}'><h3>{name}, reward {one[name]['reward']:.2f}"
        f"{'' if one[name]['ended'] else ', unfinished'}</h3>{_message('assistant', one[name]['text'])}</div>"
        for name, liked in (("policy", better), ("reference", not better))
    )
    return f"<div class='card example'>{asked}<div class=sides>{sides}</div></div>"


def _message(role: str, content: str) -> str:
    short = content if len(content) <= CHARS else f"{content[:CHARS]} … ({len(content) - CHARS:,} more characters)"
    return f"<p class=say><span class=tag>{text(role)}</span>{text(short)}</p>"
