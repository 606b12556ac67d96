"""Builds the variants: each recipe once, however many storages it is saved in, and each measured as it loads from disk.

In: the policy's folder and the recipes. Out: for each variant a folder in the output directory, and its figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.shell import log
from trainer.compression import distillation, layer_dropping, layers, pruning, variant_names
from trainer.compression.evaluator import Evaluator
from trainer.compression.variant_names import VariantSpec
from trainer.data import encode, release_reader
from trainer.models import model_io, packed
from trainer.models.training_context import TrainingContext
from trainer.settings import Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class VariantBuilder:
    """What is needed to make variants."""

    policy: Path
    release: Path
    context: TrainingContext
    evaluator: Evaluator
    choose_pairs: int
    margin: float
    schedule: Schedule
    kept_layers: list[list[int]] = field(default_factory=list)  # which layers stay when one goes, two go, ...: each is searched for once

    def load(self) -> PreTrainedModel:
        """The policy, fresh from disk."""
        return model_io.load(str(self.policy))[0]


def plan(policy: Path, names: Sequence[str]) -> list[VariantSpec]:
    """The recipes that the names tell; a UserError for one that this policy cannot give. Only its configuration is read."""
    from transformers import AutoConfig

    return variant_names.plan(names, AutoConfig.from_pretrained(policy, trust_remote_code=False).get_text_config().num_hidden_layers)


def build_variants(
    builder: VariantBuilder, wanted: Sequence[VariantSpec], output_dir: Path, stage: str
) -> Iterator[tuple[VariantSpec, dict[str, Any]]]:
    """Each variant with its figures, in the given order of what is made."""
    firsts = {spec.made: place for place, spec in reversed(list(enumerate(wanted)))}
    for (kind, amount), group in groupby(sorted(wanted, key=lambda spec: firsts[spec.made]), key=lambda spec: spec.made):
        model, notes = BUILDERS[kind](builder, amount)
        same = list(group)
        for spec in same:
            packed.save(model, builder.evaluator.tokenizer, output_dir / spec.name, spec.storage)
        del model
        for spec in same:
            folder = output_dir / spec.name
            found: dict[str, Any] = {"storage": spec.storage, "bytes": size(folder), "plain": spec.storage in packed.PLAIN}
            figures = found | notes | builder.evaluator.evaluate(model_io.load(str(folder))[0])
            log(stage, _line(spec.name, figures))
            yield spec, figures


def _line(name: str, figures: dict[str, Any]) -> str:
    """What the log says of a variant."""
    accuracy, margin = (figures["validation"][what] for what in ("accuracy", "margin"))
    return f"{name}: {figures['bytes']:,} bytes, accuracy {accuracy:.4f} on validation, margin {margin:.2f}"


def size(folder: Path) -> int:
    """Bytes of all files that a user of the model needs: weights, configuration, tokenizer."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _whole(builder: VariantBuilder, _: int) -> tuple[PreTrainedModel, dict[str, Any]]:
    return builder.load(), {}


def _pruned(builder: VariantBuilder, percent: int) -> tuple[PreTrainedModel, dict[str, Any]]:
    model = builder.load()
    pruning.prune(model, percent)
    return model, {}


def _dropped(builder: VariantBuilder, gone: int) -> tuple[PreTrainedModel, dict[str, Any]]:
    model = builder.load()
    while len(builder.kept_layers) < gone:
        before = builder.kept_layers[-1] if builder.kept_layers else range(layers.count(model))
        builder.kept_layers.append(
            layer_dropping.without_one(builder.load, lambda other: builder.evaluator.quick_evaluation(other, builder.choose_pairs), before)
        )
    kept = builder.kept_layers[gone - 1]
    layers.keep(model, kept)
    return model, {"layers": kept}


def _student(builder: VariantBuilder, count: int) -> tuple[PreTrainedModel, dict[str, Any]]:
    teacher, student = builder.load(), builder.load()
    kept = distillation.evenly(layers.count(teacher), count)
    layers.keep(student, kept)
    context = builder.context
    rows = encode.require_pairs(
        "train", release_reader.pairs(builder.release, "train"), builder.evaluator.tokenizer, context.max_length
    ).kept
    logged = distillation.train(
        student, teacher, rows, builder.evaluator.tokenizer.pad_token_id, builder.margin, builder.schedule, context.seed
    )
    return student, {
        "layers": kept,
        "steps": len(logged),
        "loss": [{name: round(log[name], 6) for name in log} for log in (logged[0], logged[-1])],
    }


BUILDERS = {variant_names.WHOLE: _whole, "prune": _pruned, "drop": _dropped, "student": _student}
