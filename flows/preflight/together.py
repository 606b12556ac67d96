"""Whether sections of `params.yaml` go together: what each stage's own model cannot see, because it knows no other section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.common.vocabulary.splits import SPLITS
from tasks.core.errors import UserError
from tasks.core.shell import PARAMS
from trainer.compression import variant_names
from trainer.methods import names
from trainer.models import sources


def faults_between(read: Mapping[str, Any]) -> Iterator[UserError]:
    """Faults of sections that were read, one by one; a rule whose sections were not is left out."""
    for sections, rule in RULES:
        if all(name in read for name in sections):
            try:
                rule(*(read[name] for name in sections))
            except UserError as fault:
                yield UserError(f"{PARAMS}: {fault.where}", fault.found, fault.expected, fault.remedy)


def _pairs_for_methods(pair: Any, train: Any) -> None:  # noqa: ANN401  (models of stages that this module must not import)
    if not pair.in_use - {"signals"} and train.method in names.PAIRS:
        remedy = "set `use: true` at a recipe of the section pair, or train.method to kto"
        raise UserError(f"train.method: {train.method}", "no recipe in use, so there will be no pairs", "pairs to learn from", remedy)


def _room_for_answers(start: Any, train: Any) -> None:  # noqa: ANN401
    if train.method in names.REWARDED and train.own.max_new_tokens >= start.max_length:
        found, expected = f"a window of {start.max_length} tokens, which leaves no prompt room", f"fewer than {start.max_length}"
        raise UserError(
            f"train.{train.method}.max_new_tokens: {train.own.max_new_tokens}", found, expected, "lower it, or raise start.max_length"
        )


def _required_splits(split: Any, release: Any) -> None:  # noqa: ANN401
    empty = [name for name, share in zip(SPLITS, split.shares, strict=True) if not share and name in release.required_splits]
    if empty:
        found = f"split.{empty[0]}: 0, so that split will be empty"
        raise UserError(f"release.required_splits: {empty[0]}", found, "splits that get a share", f"raise split.{empty[0]}, or take it off")


def _layers_to_drop(start: Any, compress: Any) -> None:  # noqa: ANN401
    if start.model.source == sources.SCRATCH:
        variant_names.plan(compress.variants, start.model.num_hidden_layers)


RULES = (
    (("pair", "train"), _pairs_for_methods),
    (("start", "train"), _room_for_answers),
    (("split", "release"), _required_splits),
    (("start", "compress"), _layers_to_drop),
)
