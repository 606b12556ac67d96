"""The tables of a release, read only after every file of it has been held against its manifest.

In: a release's folder with `manifest.json`, `preference/`, `unpaired/` and `prompts/`, each with `<split>-*.parquet`.
Out: the rows of one split, sorted by id: `Pair`s, `Example`s (one answer, liked or not) and `Prompt`s.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.common import tokenization
from tasks.core import authenticity
from tasks.core.errors import UserError

Messages = tokenization.Messages


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
    topic: str
    cluster_id: str  # near-equal prompts share one
    margin: float | None  # how much better `chosen` is, as the recipe counts it
    confidence: float  # probability that `chosen` is the better one
    weight: float
    conversations: list[str]


@dataclass(frozen=True)
class Example:
    """One answer that people liked (`label`) or did not."""

    example_id: str
    prompt: Messages
    completion: Messages
    label: bool
    basis: str
    source: str
    language: str
    topic: str
    weight: float


@dataclass(frozen=True)
class Prompt:
    """Messages that wait for an answer."""

    prompt_id: str
    prompt: Messages
    source: str
    language: str
    topic: str


Row = TypeVar("Row", Pair, Example, Prompt)
COLUMNS = tuple(field.name for field in fields(Pair))


def verified(folder: Path) -> str:
    """SHA-256 of the manifest of a release that is whole and that its workspace made; a UserError otherwise."""
    return authenticity.accept(folder)


def pairs(folder: Path, split: str) -> list[Pair]:
    """All pairs of one split, in the order of their ids; none where the split has no file."""
    return _table(folder, "preference", split, Pair)


def examples(folder: Path, split: str) -> list[Example]:
    """All single answers of one split with their label, in the order of their ids."""
    return _table(folder, "unpaired", split, Example)


def prompts(folder: Path, split: str) -> list[Prompt]:
    """All prompts of one split, in the order of their ids."""
    return _table(folder, "prompts", split, Prompt)


def _table(folder: Path, table: str, split: str, kind: type[Row]) -> list[Row]:
    """Rows of one table and split, sorted by their first column, the id."""
    columns = [field.name for field in fields(kind)]
    rows = [row for file in sorted((folder / table).glob(f"{split}-*.parquet")) for row in _rows(file, columns)]
    return [kind(**row) for row in sorted(rows, key=lambda row: str(row[columns[0]]))]


def _rows(file: Path, columns: list[str]) -> list[dict[str, Any]]:
    """The file's rows, with the columns that training and evaluation read."""
    try:
        offered = ["tools"] if "tools" in pq.read_schema(file).names else []  # only a release of logs that offer tools has them
        rows: list[dict[str, Any]] = pq.read_table(file, columns=columns + offered).to_pylist()
    except pa.ArrowInvalid as error:  # what pyarrow raises for a column that is not there, too
        raise UserError(str(file), str(error).splitlines()[0], "the columns " + ", ".join(columns), "make the release again") from error
    tools = [row.pop("tools", None) for row in rows]
    return [row | {"prompt": tokenization.spoken(row["prompt"], offered)} for row, offered in zip(rows, tools, strict=True)]


def train_pairs(folder: Path, shuffle: bool, seed: int) -> list[Pair]:
    """The pairs to learn from, with half of the labels swapped where `shuffle` says so; a UserError where there is none."""
    found = pairs(folder, "train")
    if not found:
        raise UserError(
            str(folder / "preference"),
            "no pair in the split train",
            "at least one",
            "look in data/10_pair/ledger.json for the reasons, or bring more feedback",
        )
    return shuffled(found, seed) if shuffle else found


def shuffled(given: list[Pair], seed: int) -> list[Pair]:
    """The same pairs with chosen and rejected swapped in a random half: nothing is left to learn.

    Exactly half are swapped. Tossed coins would leave a small majority on one side, which a model can learn.
    """
    swap = np.random.default_rng(seed).permutation(len(given)) % 2 == 1
    return [replace(pair, chosen=pair.rejected, rejected=pair.chosen) if turn else pair for pair, turn in zip(given, swap, strict=True)]


def train_examples(folder: Path, shuffle: bool, seed: int) -> list[Example]:
    """The single answers to learn from, with labels that say nothing where `shuffle` says so; a UserError where there is none."""
    found = examples(folder, "train")
    if not found:
        raise UserError(
            str(folder / "unpaired"),
            "no single answer in the split train",
            "answers that people liked, and answers that they did not",
            "bring thumbs or ratings, or set train.method to dpo",
        )
    return shuffled_examples(found, seed) if shuffle else found


def shuffled_examples(given: list[Example], seed: int) -> list[Example]:
    """The same answers with labels that say nothing, in the same numbers as before.

    As many liked answers become disliked as disliked become liked, and so many that of either kind the same share is called liked.
    """
    generator = np.random.default_rng(seed)
    kinds = [[at for at, one in enumerate(given) if one.label is label] for label in (True, False)]
    count = round(len(kinds[0]) * len(kinds[1]) / max(1, len(given)))
    swap = {kind[place] for kind in kinds for place in generator.permutation(len(kind))[:count]}
    return [replace(one, label=not one.label) if at in swap else one for at, one in enumerate(given)]


def label_smoothing(folder: Path) -> float | None:
    """The share of pairs that the release believes to be the wrong way round; None where it does not say."""
    path = folder / "methods.json"
    estimate: float | None = json.loads(path.read_bytes()).get("label_smoothing") if path.is_file() else None
    return estimate
