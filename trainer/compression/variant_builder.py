"""Where variants are made: each recipe once, however many storages it is saved in, and each measured as it loads from disk.

In: the policy's folder and the recipes. Out: for each variant a folder on the shelf, and its figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.core.shell import tell
from trainer.compression import distillation, layer_dropping, layers, pruning, variant_names
from trainer.compression.evaluator import Bench
from trainer.compression.variant_names import Recipe
from trainer.data import encode, release_reader
from trainer.models import model_io, packed
from trainer.models.training_context import Basis
from trainer.settings import Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Workshop:
    """What is needed to make variants."""

    policy: Path
    release: Path
    basis: Basis
    bench: Bench
    choose_pairs: int
    margin: float
    schedule: Schedule
    stays: list[list[int]] = field(default_factory=list)  # which layers stay when one goes, two go, ...: each is searched for once

    def load(self) -> PreTrainedModel:
        """The policy, fresh from disk."""
        return model_io.load(str(self.policy))[0]


def planned(policy: Path, names: Sequence[str]) -> list[Recipe]:
    """The recipes that the names tell; a UserError for one that this policy cannot give. Only its configuration is read."""
    from transformers import AutoConfig

    return variant_names.plan(names, AutoConfig.from_pretrained(policy).get_text_config().num_hidden_layers)


def make(shop: Workshop, wanted: Sequence[Recipe], shelf: Path, stage: str) -> Iterator[tuple[Recipe, dict[str, Any]]]:
    """Each variant with its figures, in the given order of what is made."""
    firsts = {recipe.made: place for place, recipe in reversed(list(enumerate(wanted)))}
    for (kind, amount), group in groupby(sorted(wanted, key=lambda recipe: firsts[recipe.made]), key=lambda recipe: recipe.made):
        model, notes = MAKERS[kind](shop, amount)
        same = list(group)
        for recipe in same:
            packed.save(model, shop.bench.tokenizer, shelf / recipe.name, recipe.storage)
        del model
        for recipe in same:
            folder = shelf / recipe.name
            found: dict[str, Any] = {"storage": recipe.storage, "bytes": size(folder), "plain": recipe.storage in packed.PLAIN}
            figures = found | notes | shop.bench.judge(model_io.load(str(folder))[0])
            told = figures["validation"]
            tell(
                stage,
                f"{recipe.name}: {figures['bytes']:,} bytes, accuracy {told['accuracy']:.4f} on validation, margin {told['margin']:.2f}",
            )
            yield recipe, figures


def size(folder: Path) -> int:
    """Bytes of all files that a user of the model needs: weights, configuration, tokenizer."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _whole(shop: Workshop, _: int) -> tuple[PreTrainedModel, dict[str, Any]]:
    return shop.load(), {}


def _pruned(shop: Workshop, percent: int) -> tuple[PreTrainedModel, dict[str, Any]]:
    model = shop.load()
    pruning.prune(model, percent)
    return model, {}


def _dropped(shop: Workshop, gone: int) -> tuple[PreTrainedModel, dict[str, Any]]:
    model = shop.load()
    while len(shop.stays) < gone:
        before = shop.stays[-1] if shop.stays else range(layers.count(model))
        shop.stays.append(layer_dropping.without_one(shop.load, lambda other: shop.bench.quick(other, shop.choose_pairs), before))
    kept = shop.stays[gone - 1]
    layers.keep(model, kept)
    return model, {"layers": kept}


def _student(shop: Workshop, count: int) -> tuple[PreTrainedModel, dict[str, Any]]:
    teacher, student = shop.load(), shop.load()
    kept = distillation.evenly(layers.count(teacher), count)
    layers.keep(student, kept)
    base = shop.basis
    rows = encode.demanded("train", release_reader.pairs(shop.release, "train"), shop.bench.tokenizer, base.max_length).kept
    logged = distillation.train(student, teacher, rows, shop.bench.tokenizer.pad_token_id, shop.margin, shop.schedule, base.seed)
    return student, {
        "layers": kept,
        "steps": len(logged),
        "loss": [{name: round(log[name], 6) for name in log} for log in (logged[0], logged[-1])],
    }


MAKERS = {variant_names.WHOLE: _whole, "prune": _pruned, "drop": _dropped, "student": _student}
