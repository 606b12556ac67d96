"""What a variant's name says: a recipe, and after a `+` a storage. `drop-1+int8` is a layer less, stored as integers.

Recipes: `whole` (the policy as it is), `prune-P` (P percent of the weights set to zero), `drop-N` (N layers less),
`student-N` (a student of N layers). A storage alone (`int8`) stores the whole policy. Storages: `trainer.models.packed`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.core.errors import UserError
from trainer.models import packed

WHOLE, ORIGINAL = "whole", "original"
KINDS = ("prune", "drop", "student")
STORAGES = (*packed.PLAIN[1:], *packed.PACKED)
KNOWN = "prune-P, drop-N or student-N, alone or followed by a storage (prune-40+int8); or a storage: " + ", ".join(STORAGES)
RECIPE = re.compile(rf"({'|'.join(KINDS)})-([1-9]\d*)")


@dataclass(frozen=True)
class VariantSpec:
    """A variant: what is done to the model, how much of it, and how it is stored."""

    name: str
    kind: str
    amount: int
    storage: str

    @property
    def made(self) -> tuple[str, int]:
        """What two variants share that differ in their storage only."""
        return self.kind, self.amount


def parse(name: str) -> VariantSpec:
    """The recipe that a name tells; a UserError with the known ones otherwise."""
    if name in STORAGES:
        return VariantSpec(name, WHOLE, 0, name)
    first, _, storage = name.partition("+")
    found = RECIPE.fullmatch(first)
    if not found or (storage not in STORAGES and name != first):
        raise UserError("compress.variants", repr(name), KNOWN, "correct the name")
    kind, amount = found[1], int(found[2])
    return VariantSpec(name, kind, amount, storage or ("sparse" if kind == "prune" else "float32"))


def plan(names: Sequence[str], layers: int) -> list[VariantSpec]:
    """The original and all named variants; a UserError for one that a model of so many layers cannot give."""
    specs = [parse(name) for name in names]
    for spec in specs:
        least, most = {"prune": (1, 99), "drop": (1, layers - 1), "student": (1, layers - 1)}.get(spec.kind, (0, 0))
        if not least <= spec.amount <= most:
            raise UserError(
                f"compress.variants: {spec.name}",
                f"a policy of {layers} layers" if spec.kind != "prune" else f"{spec.amount} percent",
                f"{spec.kind}-{least} to {spec.kind}-{most}" if most >= least else "more than one layer",
                "correct the name, or take it off the list",
            )
    if len(set(names)) < len(names) or not names:
        raise UserError("compress.variants", "no variant" if not names else "a variant twice", "each variant once", "correct the list")
    return [VariantSpec(ORIGINAL, WHOLE, 0, "float32"), *specs]
