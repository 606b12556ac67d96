"""Runs one augmenter over many texts and checks the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import daft
import pyarrow as pa

from tasks.augment.augmenter import Augmenter, Settings
from tasks.augment.checks import fault
from tasks.augment.registry import build
from tasks.common.arrays import strings
from tasks.common.vocabulary.reasons.augment import UNTRANSLATED
from tasks.core import engine

TEXT = pa.large_string()
Column = Callable[..., daft.Expression]


def reword_and_check(name: str, settings: Settings, texts: pa.Array[Any], seeds: pa.Array[Any]) -> pa.Table:
    """Columns `text` (paraphrase; null where that failed) and `reason` (why it is rejected; null when it is not), in order."""
    augmenter = build(name, settings)  # here, so that only one thread loads dictionaries
    rows: dict[str, Any] = {"at": pa.array(range(len(texts)), pa.int64()), "old": texts, "seed": seeds}
    if not augmenter.IN_ENGINE:
        rows["new"] = pa.array(augmenter.reword(strings(texts), strings(seeds)), TEXT)
    frame = daft.from_arrow(pa.table(rows))
    new = daft.col("new") if "new" in rows else _reword(name, settings)(daft.col("old"), daft.col("seed"))
    frame = frame.with_column("new", new)
    frame = frame.with_column("reason", _judge(name, settings)(daft.col("old"), daft.col("new")))
    table = frame.select("at", daft.col("new").alias("text"), "reason").to_arrow()
    return table.sort_by("at").drop_columns(["at"])


def _reword(name: str, settings: Settings) -> Column:
    @engine.batch(TEXT)
    def reword(old: daft.Series, seed: daft.Series) -> pa.Array[Any]:
        return pa.array(build(name, settings).reword(old.to_pylist(), seed.to_pylist()), TEXT)

    return reword


def _judge(name: str, settings: Settings) -> Column:
    @engine.batch(TEXT)
    def judge(old: daft.Series, new: daft.Series) -> pa.Array[Any]:
        return pa.array(verdicts(build(name, settings), old.to_pylist(), new.to_pylist()), TEXT)

    return judge


def verdicts(augmenter: Augmenter, old: Sequence[str], new: Sequence[str | None]) -> list[str | None]:
    """The reason to reject each variant, as one word; None when it is accepted."""
    pairs = zip(old, new, strict=True)
    return [UNTRANSLATED if after is None else fault(before, after) or augmenter.gate(before, after) for before, after in pairs]
