"""compare: the new model against the champion, on held-out pairs that neither was trained on and in what both write.

Reads `data/release`, the start and the new model as `compress` made it, the champion (`data/champion`), and the tombstones; writes
`comparison.json` and, flat, `metrics.json`. Nothing is scored where nothing has to be: before the first champion, and where both are the
same bytes. What is compared, and exactly how, say the modules of `trainer.promotion`.

    python -m trainer compare
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.common import champion as names
from tasks.core import manifest
from tasks.core.errors import UserError
from tasks.core.pipeline import Stage
from tasks.core.shell import log
from trainer.promotion.settings import Params

if TYPE_CHECKING:
    from trainer.models.training_context import TrainingContext
    from trainer.promotion.facts import Champion

__all__ = ["Params"]


def work(stage: Stage, params: Params, folder: Path) -> None:
    """Say what needs no figure; else score both models."""
    from trainer.models import training_context
    from trainer.promotion import facts, outcome

    new, release = stage.input("candidate"), stage.input("release")
    context = training_context.read(new, release)
    challenger = facts.of(context, new, stage.input("start"), release, stage.input("erased"))
    champion = facts.champion(stage.input("champion"))
    kind, why = outcome.before_figures(challenger, champion)
    report: dict[str, Any] = {"challenger": challenger, "champion": champion.facts if champion else None}
    if champion and kind == outcome.MEASURED:
        kind, why, figures = _measured(stage, params, context, champion)
        report |= figures
    report |= {"outcome": kind, "why": why}
    (folder / names.COMPARISON).write_bytes(manifest.dumps(report))
    (folder / "metrics.json").write_bytes(manifest.dumps(_flat(report)))
    log(stage.name, f"{kind}: {why}" if why else "both models were scored on the same pairs")


def _measured(stage: Stage, params: Params, context: TrainingContext, champion: Champion) -> tuple[str, str, dict[str, Any]]:
    """Outcome, reason and figures; incomparable where the champion cannot be read, or no pair fits both."""
    from trainer.models import runtime, training_context
    from trainer.promotion import comparison, outcome

    new, release, name = stage.input("candidate"), stage.input("release"), champion.facts["name"]
    runtime.prepare(context.threads, context.seed, offline=True)
    try:
        theirs = training_context.of(champion.model)
        sides = (comparison.Side(new, stage.input("start"), context), comparison.Side(champion.model, champion.start, theirs))
        figures = comparison.figures(release, sides, params)
    except UserError as error:
        if not error.where.startswith(str(stage.input("champion"))):
            raise
        return outcome.INCOMPARABLE, f"{name} cannot be asked: {error.where}: {error.found}", {}
    if not figures["pairs"]:
        return outcome.INCOMPARABLE, f"no test pair fits the windows of the new model and of {name}", {}
    return outcome.MEASURED, "", figures


def _flat(report: dict[str, Any]) -> dict[str, float | int]:
    """Numbers for `dvc metrics`; none where nothing was scored."""
    if "accuracy" not in report:
        return {"pairs": 0}
    flat = {"pairs": report["pairs"], "groups": report["groups"], "p": report["p"], "difference": report["difference"]["mean"]}
    flat |= {f"difference_{end}": report["difference"][end] for end in ("low", "high")}
    flat |= {f"accuracy_{name}": one["accuracy"] for name, one in report["accuracy"].items()}
    writing = report["writing"]
    flat |= {f"length_ratio_{name}": ratio for name, ratio in writing.get("length_ratio", {}).items()}
    return flat | {"prompts": writing["prompts"], "writes_worse": len(writing["worse"])}
