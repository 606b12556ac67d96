"""What compress says: `pareto.json`, with and without clocks, the flat figures, and the lines of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainer.compression import pareto
from trainer.compression.variant_names import ORIGINAL

if TYPE_CHECKING:
    from trainer.compression.latency import Latency

Document = dict[str, Any]
MUCH = 0.5  # share of broken answers beyond which variants can hardly be told apart by it


def summarize(variants: Mapping[str, Document], latencies: Mapping[str, Latency], budget: Mapping[str, Any]) -> Document:
    """All that holds no clock: the variants, the front of validation accuracy and size, and the pick."""
    limit = budget["ms_per_token"]
    candidates = {
        name: pareto.Candidate(
            one["validation"]["accuracy"], one["errors"]["share"], one["bytes"], None if limit is None else latencies[name].ms_per_token
        )
        for name, one in variants.items()
    }
    asked = pareto.Budget(budget["accuracy_points"] or 0.0, budget["error_points"] or 0.0, limit)
    points = {name: (-one.accuracy, one.size) for name, one in candidates.items()}
    return {
        "variants": dict(variants),
        "front": pareto.front(points),
        "front_of": ["accuracy on validation", "bytes"],
        "budget": dict(budget),
        "pick": pareto.pick({name: candidates[name] for name in _open(variants, budget)}, ORIGINAL, asked),
    }


def _open(variants: Mapping[str, Document], budget: Mapping[str, Any]) -> list[str]:
    """The variants that may be picked, by how their weights are stored."""
    return [name for name, one in variants.items() if one["plain"] or name == ORIGINAL or not budget["plain"]]


def timed(document: Document, latencies: Mapping[str, Document]) -> Document:
    """The same with the times of this machine, and the front of accuracy, size and time."""
    variants = {name: one | {"time": latencies[name]} for name, one in document["variants"].items()}
    points = {name: (-one["validation"]["accuracy"], one["bytes"], one["time"]["ms_per_token"]) for name, one in variants.items()}
    return document | {"variants": variants, "front": pareto.front(points), "front_of": [*document["front_of"], "milliseconds a token"]}


def flat_metrics(document: Document) -> dict[str, float]:
    """The figures that `dvc metrics show` prints: of the original and of the pick."""
    figures: dict[str, float] = {"variants": len(document["variants"]), "front": len(document["front"])}
    for role, name in (("original", ORIGINAL), ("pick", document["pick"])):
        one = document["variants"][name]
        figures |= {f"{role}_bytes": one["bytes"], f"{role}_errors": one["errors"]["share"]}
        figures |= {f"{role}_{split}_{what}": one[split][what] for split in ("validation", "test") for what in ("accuracy", "margin")}
    return figures


def lines(document: Document, latencies: Mapping[str, Latency]) -> list[str]:
    """The table and the pick in words."""
    table = [f"{'':18}{'bytes':>12}{'validation':>12}{'test':>8}{'margin':>9}{'broken':>9}{'ms a token':>12}{'tokens/s':>10}"]
    for name, one in document["variants"].items():
        mark = "* " if name in document["front"] else "  "
        table.append(
            f"{mark + name:18}{one['bytes']:>12,}{one['validation']['accuracy']:>12.4f}{one['test']['accuracy']:>8.4f}"
            f"{one['test']['margin']:>9.2f}{one['errors']['share']:>9.3f}{latencies[name].ms_per_token:>12.2f}{latencies[name].tokens_per_second:>10,.0f}"
        )
    return [*table, "* on the front of validation accuracy and size", *_caution(document), explain_pick(document)]


def _caution(document: Document) -> list[str]:
    """A line where the original itself writes so badly that the budget of broken answers tells little."""
    errors = document["variants"][ORIGINAL]["errors"]
    if errors["share"] <= MUCH:
        return []
    return [f"note: {errors['share']:.0%} of the original's own answers are broken, so the budget of broken answers tells little here"]


def explain_pick(document: Document) -> str:
    """The pick and why."""
    budget, name = document["budget"], document["pick"]
    asked = f"at most {budget['accuracy_points']:g} points of accuracy lost and {budget['error_points']:g} more broken answers in a hundred"
    if budget["ms_per_token"] is not None:
        asked += f", at most {budget['ms_per_token']:g} ms a token on this machine"
    asked += ", in a form that transformers and vLLM load" if budget["plain"] else ""
    if name == ORIGINAL:
        return f"no smaller variant is within the budget ({asked}): the original is handed over"
    one, base = document["variants"][name], document["variants"][ORIGINAL]
    return f"picked {name}: {one['bytes'] / base['bytes']:.2f} of the original's bytes, the smallest within the budget ({asked})"


def advice(said: Mapping[str, Any]) -> list[str]:
    """A line where the policy itself writes worse than it should, of which compression makes nothing better."""
    faults = said.get("faults")
    return (
        [f"caution: the policy writes worse than before, so what is handed over is not recommended: {'; '.join(faults)}"] if faults else []
    )
