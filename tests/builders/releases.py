"""Small releases for tests: pairs with a planted preference, laid out and signed as the stage `release` does it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core import ids, manifest
from tasks.core.tables import Pairs, Prompts, Unpaired

THINGS = (
    "router",
    "printer",
    "invoice",
    "password",
    "account",
    "screen",
    "phone line",
    "mailbox",
    "order",
    "backup",
    "keyboard",
    "contract",
)
TROUBLES = ("does not start", "is too slow", "shows an error", "was changed without notice", "cannot be found", "stopped working today")
OPENINGS = ("Hello,", "Hi there,", "Good morning,", "Please help:", "One question:", "Hey,")
FILLERS = (
    "This happens now and then.", "The team looks after it.", "Other people had the same last week.", "It is described in the manual.",
    "The status page has the details.", "It was seen on several machines.",
)  # fmt: skip
# Each feature: what the better answer does, and what the worse one does instead, of about the same length.
FEATURES: dict[str, tuple[str, str]] = {
    "polite": ("Thank you for telling us, and sorry for the trouble.", "You should have read the terms before you wrote to us."),
    "steps": ("1. Switch it off. 2. Wait a minute. 3. Switch it on.", "Switch it off or on or do something else with it."),
    "sure": ("This solves it.", "Maybe this might perhaps help."),
    "offer": ("Write again if it does not help.", "Do not write to us again about it."),
    "on_topic": ("As for the {thing}: it {trouble}, so do this.", "As for the {other}: it is fine, so do this."),
}


def answer(chance: random.Random, thing: str, trouble: str, good: set[str]) -> str:
    """An answer that has the good form of the features in `good`, the bad form of the others, in random order among fillers."""
    other = chance.choice([name for name in THINGS if name != thing])
    parts = [FEATURES[name][0 if name in good else 1].format(thing=thing, trouble=trouble, other=other) for name in FEATURES]
    parts += chance.sample(FILLERS, chance.randint(0, 3))
    chance.shuffle(parts)
    return " ".join(parts)


def planted_pair(chance: random.Random, split: str, number: int, noise: float) -> dict[str, Any]:
    """One pair whose chosen answer has more good features; with probability `noise` the wrong way round."""
    thing, trouble = chance.choice(THINGS), chance.choice(TROUBLES)
    names = list(FEATURES)
    better = chance.randint(2, len(names))
    worse = chance.randint(0, better - 2)
    sides = [answer(chance, thing, trouble, set(chance.sample(names, count))) for count in (better, worse)]
    if chance.random() < noise:
        sides.reverse()
    return row(f"{chance.choice(OPENINGS)} my {thing} {trouble}. Case {split} {number}.", sides[0], sides[1], split)


def row(prompt: str, chosen: str, rejected: str, split: str, **other: object) -> dict[str, Any]:
    """A row of the table of pairs with everything that `other` does not say filled in."""
    prompt_id = ids.stable_id(prompt)
    return {
        "pair_id": ids.stable_id(prompt_id, chosen, rejected),
        "prompt_id": prompt_id,
        "prompt": [{"role": "user", "content": prompt}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        "recipe": "choice",
        "version": 1,
        "annotators": "people",
        "margin": None,
        "confidence": 1.0,
        "evidence": 1,
        "votes_for": 1,
        "votes_against": 0,
        "votes_tied": 0,
        "distance": None,
        "chosen_model": None,
        "rejected_model": None,
        "language": "en",
        "topic": "",
        "source": "sample",
        "cluster_id": prompt_id,
        "split": split,
        "weight": 1.0,
        "augmented_from": None,
        "augmenter": None,
        "conversations": [prompt_id],
        "votes": [ids.stable_id("vote", prompt_id)],
        "origins": [],
        **other,
    }


def planted(counts: dict[str, int], seed: int = 0, noise: float = 0.1) -> list[dict[str, Any]]:
    """Pairs of all splits; the noise is in every split, as people's mistakes are."""
    chance = random.Random(seed)
    return [planted_pair(chance, split, number, noise) for split, count in counts.items() for number in range(count)]


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A release of these pairs in `folder`, with its manifest."""
    (folder / "preference").mkdir(parents=True)
    for split in ("train", "validation", "test"):
        table = pa.Table.from_pylist([one for one in rows if one["split"] == split], schema=Pairs.schema())
        pq.write_table(table, folder / "preference" / f"{split}-00000.parquet")
    sign(folder)
    return folder


def examples(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Single answers from pairs: of each pair one side, liked and disliked in turn."""
    sides = [(row, "rejected" if number % 2 else "chosen") for number, row in enumerate(rows)]
    same = [field.name for field in Unpaired.schema() if field.name in rows[0]]
    return [
        {name: row[name] for name in same}
        | {
            "example_id": ids.stable_id(row["prompt_id"], row[side][0]["content"]),
            "completion": row[side],
            "label": side == "chosen",
            "basis": "thumbs",
            "model": None,
        }
        for row, side in sides
    ]


def add_unpaired(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Put single answers into a release that lies in `folder`, and sign it again."""
    (folder / "unpaired").mkdir()
    for split in ("train", "validation", "test"):
        table = pa.Table.from_pylist([one for one in rows if one["split"] == split], schema=Unpaired.schema())
        pq.write_table(table, folder / "unpaired" / f"{split}-00000.parquet")
    sign(folder)
    return folder


def add_prompts(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Put the prompts of rows, and one that is far too long, into a release that lies in `folder`, and sign it again."""
    names = ("prompt_id", "prompt", "language", "topic", "source", "origins")
    given = [{name: one[name] for name in names} for one in (*rows, row("Why? " * 300, "Yes.", "No.", "train"))]
    (folder / "prompts").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(given, schema=Prompts.schema()), folder / "prompts/train-00000.parquet")
    sign(folder)
    return folder


def sign(folder: Path) -> None:
    """Write the manifest of what lies in the folder now."""
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": manifest.file_digest(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != manifest.NAME
    }
    (folder / manifest.NAME).write_bytes(manifest.dumps({"files": files}))
