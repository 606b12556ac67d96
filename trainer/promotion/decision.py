"""Whether the new model takes the champion's place: a rule over the figures of `compare`, and the decision in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tasks.core.errors import UserError
from trainer.promotion import outcome
from trainer.promotion.settings import Rule

Report = Mapping[str, Any]


@dataclass(frozen=True)
class Decision:
    """What is done, and why."""

    promoted: bool
    phrase: str  # one line

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def decide(comparison: Report, rule: Rule) -> Decision:
    """The decision; a UserError where a champion that must be compared with cannot be."""
    kind, why = comparison["outcome"], comparison["why"]
    if kind == outcome.INCOMPARABLE and rule.require_champion and rule.rule != "always":
        expected = "a champion to hold the new model against"
        remedy = "run `dvc pull`, or set promote.require_champion to false, which promotes the new model"
        raise UserError("promote", why, expected, remedy)
    if kind == outcome.SAME:
        return Decision(False, f"kept {comparison['champion']['name']}: the new model is the same, byte by byte")
    if kind != outcome.MEASURED:
        return Decision(True, f"promoted the new model: {why}")
    return _measured(comparison, rule)


def _measured(comparison: Report, rule: Rule) -> Decision:
    worse, name = comparison["writing"]["worse"], comparison["champion"]["name"]
    promoted = rule.rule == "always" or (not worse and _prefers(comparison, rule))
    done = f"promoted the new model over {name}" if promoted else f"kept {name}"
    return Decision(promoted, f"{done}: {_figures(comparison)}" + (f"; it writes worse: {'; '.join(worse)}" if worse else ""))


def _prefers(comparison: Report, rule: Rule) -> bool:
    """Whether the new model prefers well enough."""
    if rule.rule == "better":
        return bool(comparison["stands"] == "better")
    return bool(comparison["stands"] != "worse" and comparison["difference"]["low"] >= -rule.tolerance)


def _figures(comparison: Report) -> str:
    mine, theirs = (comparison["accuracy"][side]["accuracy"] for side in ("challenger", "champion"))
    looked = "" if comparison["writing"]["prompts"] else ", what they write not looked at"
    return f"test {mine:.3f} against {theirs:.3f} on {comparison['pairs']} shared pairs, p {comparison['p']:.2g}{looked}"
