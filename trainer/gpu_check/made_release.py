"""A release that is made on the spot: made-up words, and a preference that a model can learn; the same bytes on every machine.

In: how long prompts and answers may be. Out: a folder as the stage `release` writes it, with the columns that training reads. A chosen
answer has every fourth word from one short list, a rejected one from another.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.common.vocabulary.splits import SPLITS
from tasks.core import manifest
from trainer.data.release_reader import Example, Pair, Prompt

COUNTS = dict(zip(SPLITS, (256, 32, 16), strict=True))
WORDS, TOLD = 1500, 20  # words in all, and of either list
SYLLABLES = ("ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "wu", "ze")


def write(folder: Path, longest: tuple[int, int]) -> None:
    """Write pairs, single answers and prompts of all splits, with a manifest; `longest` prompt and answer, in words."""
    chance = random.Random(7)
    for split, count in COUNTS.items():
        pairs = [_pair(chance, f"{split}-{number:04}", longest) for number in range(count)]
        _table(folder / "preference", split, pairs)
        _table(folder / "unpaired", split, [_example(pair, bool(number % 2)) for number, pair in enumerate(pairs)])
        _table(folder / "prompts", split, [Prompt(pair.pair_id, pair.prompt, "made", "en", "") for pair in pairs])
    files = {str(path.relative_to(folder)): _entry(path) for path in sorted(folder.rglob("*.parquet"))}
    (folder / manifest.NAME).write_bytes(manifest.dumps({"files": files}))


def _pair(chance: random.Random, name: str, longest: tuple[int, int]) -> Pair:
    prompt = _text(chance, longest[0], ())
    good, bad = ([_word(number + start) for number in range(TOLD)] for start in (0, TOLD))
    chosen, rejected = _text(chance, longest[1], good), _text(chance, longest[1], bad)
    return Pair(
        pair_id=name,
        prompt=_said("user", prompt),
        chosen=_said("assistant", chosen),
        rejected=_said("assistant", rejected),
        recipe="made",
        source="made",
        language="en",
        topic="",
        cluster_id=name,
        margin=None,
        confidence=1.0,
        weight=1.0,
        conversations=[name],
    )


def _example(pair: Pair, label: bool) -> Example:
    answer = pair.chosen if label else pair.rejected
    return Example(pair.pair_id, pair.prompt, answer, label, "made", pair.source, pair.language, pair.topic, pair.weight)


def _text(chance: random.Random, longest: int, told: Sequence[str]) -> str:
    """A quarter to all of `longest` words, every fourth of them from `told`."""
    words = [_word(chance.randrange(2 * TOLD, WORDS)) for _ in range(chance.randint(longest // 4, longest))]
    for at in range(0, len(words) if told else 0, 4):
        words[at] = chance.choice(told)
    return " ".join(words)


def _word(number: int) -> str:
    base = len(SYLLABLES)
    return SYLLABLES[number % base] + SYLLABLES[number // base % base] + SYLLABLES[number // base**2]


def _said(role: str, content: str) -> list[dict[str, Any]]:
    return [{"role": role, "content": content}]


def _table(folder: Path, split: str, rows: Sequence[Pair] | Sequence[Example] | Sequence[Prompt]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows]), folder / f"{split}-00000.parquet")


def _entry(path: Path) -> dict[str, object]:
    return {"bytes": path.stat().st_size, "sha256": manifest.file_digest(path)}
