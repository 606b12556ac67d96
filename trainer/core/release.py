"""The preference pairs of a release, read only after every file of it has been held against its manifest.

In: a release's folder with `manifest.json` and `preference/<split>-*.parquet`. Out: `Pair`s of one split, sorted by id.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core import manifest
from tasks.core.errors import UserError

SPLITS = ("train", "validation", "test")
COLUMNS = ("pair_id", "prompt", "chosen", "rejected", "recipe", "source", "language", "weight")

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Pair:
    """One preference: two answers to the same messages, of which people preferred `chosen`."""

    pair_id: str
    prompt: Messages
    chosen: Messages
    rejected: Messages
    recipe: str
    source: str
    language: str
    weight: float


def verified(folder: Path) -> str:
    """SHA-256 of the manifest of a release whose files are all as the manifest says; a UserError otherwise."""
    manifest.verify(folder)
    return manifest.file_digest(folder / manifest.NAME)


def pairs(folder: Path, split: str) -> list[Pair]:
    """All pairs of one split, in the order of their ids; none where the split has no file."""
    files = sorted((folder / "preference").glob(f"{split}-*.parquet"))
    rows = [row for file in files for row in _rows(file)]
    return sorted((_pair(row) for row in rows), key=lambda pair: pair.pair_id)


def _rows(file: Path) -> list[dict[str, Any]]:
    """The file's rows, with the columns that training and evaluation read."""
    try:
        rows: list[dict[str, Any]] = pq.read_table(file, columns=list(COLUMNS)).to_pylist()
    except pa.ArrowInvalid as error:  # what pyarrow raises for a column that is not there, too
        raise UserError(str(file), str(error).splitlines()[0], "the columns " + ", ".join(COLUMNS), "make the release again") from error
    return rows


def _pair(row: dict[str, Any]) -> Pair:
    return Pair(**{name: row[name] for name in COLUMNS})


def train_pairs(folder: Path) -> list[Pair]:
    """The pairs to learn from; a UserError where there is none."""
    found = pairs(folder, "train")
    if not found:
        raise UserError(
            str(folder / "preference"),
            "no pair in the split train",
            "at least one",
            "look in data/10_pair/ledger.json for the reasons, or bring more feedback",
        )
    return found


def shuffled(given: list[Pair], seed: int) -> list[Pair]:
    """The same pairs with chosen and rejected swapped in a random half: nothing is left to learn.

    Exactly half are swapped. Tossed coins would leave a small majority on one side, which a model can learn.
    """
    swap = np.random.default_rng(seed).permutation(len(given)) % 2 == 1
    return [replace(pair, chosen=pair.rejected, rejected=pair.chosen) if turn else pair for pair, turn in zip(given, swap, strict=True)]
