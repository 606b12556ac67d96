"""The metrics of a training stage: what its log says, and `metrics.json`, flat, for `dvc metrics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core import manifest

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainer.data.encode import FilteredExamples, FilteredPairs

Metrics = dict[str, float]


def sizes(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Metrics:
    """Parameters of the model and tokens of its vocabulary."""
    return {"parameters": sum(weight.numel() for weight in model.parameters()), "tokens": len(tokenizer)}


def describe(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    """The line of the log about the model."""
    figures = sizes(model, tokenizer)
    return f"model: {figures['parameters']:,} parameters, {figures['tokens']:,} tokens"


def counts(encoding: FilteredPairs | FilteredExamples) -> Metrics:
    """Pairs or single answers used and left out, with the reasons."""
    reasons = {f"left_out_{reason}": count for reason, count in encoding.reasons.items()}
    return {encoding.what: len(encoding.kept), "left_out": encoding.left_out, **reasons}


def final_means(logged: Sequence[Metrics]) -> Metrics:
    """Mean of the last tenth of every logged figure: a single step's batch says little."""
    last = logged[-max(1, len(logged) // 10) :]
    return {name: sum(step[name] for step in last) / len(last) for name in logged[0]} if logged else {}


def write(folder: Path, figures: Mapping[str, float]) -> None:
    """Write `metrics.json`, six digits after the point."""
    rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in figures.items()}
    (folder / "metrics.json").write_bytes(manifest.dumps(rounded))
