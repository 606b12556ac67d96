"""The difference of two versions: counts that add up, what changed between them, and a row for each pair that changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.changes import causes
from flows.changes.evidence import Evidence
from flows.changes.matching import STEP, Matched, match
from tasks.common.arrays import Rows, flat
from tasks.common.vocabulary.splits import SPLITS

ADDED, GONE, FLIPPED, MOVED, REWEIGHED = KINDS = ("added", "gone", "flipped", "moved", "re-weighed")
SHOWN = ("pair_id", "prompt_id", "recipe", "split", "confidence", "weight")
WHOLE = "all"
TEXTS = ("prompt", "chosen", "rejected")


@dataclass(frozen=True)
class Difference:
    """What differs between two versions."""

    before: str
    after: str
    pairs: dict[str, dict[str, int]]  # `before`, `after`, `added`, `gone`: pairs by split, and `all`
    kinds: dict[str, dict[str, int]]  # kind: pairs by reason
    between: causes.Between
    rows: list[dict[str, Any]]  # one a changed pair

    def count(self, kind: str) -> int:
        """Pairs that changed so."""
        return sum(self.kinds[kind].values())


def compare(before: Evidence, after: Evidence, step: float = STEP) -> Difference:
    """Compare two versions, pair by pair."""
    found = match(before.pairs, after.pairs, step)
    changed = found.flipped | found.moved | found.reweighed
    a = np.concatenate([found.before[changed], found.gone, np.full(len(found.added), -1)])
    b = np.concatenate([found.after[changed], np.full(len(found.gone), -1), found.added])
    kinds = _kinds(found, np.flatnonzero(changed))
    only_split = np.array([names == [MOVED] for names in kinds], bool)
    cause = causes.find(before, after, a, b, only_split)
    shown = zip(_shown(before.pairs, a), _shown(after.pairs, b), strict=True)
    rows: list[dict[str, Any]] = [
        {"kinds": names, "reason": reasons[0], "reasons": reasons, "detail": detail, "before": one, "after": two}
        for names, reasons, detail, (one, two) in zip(kinds, cause.reasons(), cause.details, shown, strict=True)
    ]
    by_kind = {kind: dict(_reasons(rows, kind).most_common()) for kind in KINDS}
    made = Difference(before.name, after.name, _counts(before.pairs, after.pairs, found), by_kind, causes.between(before, after), rows)
    demand_balance(made)
    return made


def _reasons(rows: list[dict[str, Any]], kind: str) -> Counter[str]:
    return Counter(str(row["reason"]) for row in rows if kind in row["kinds"])


def demand_balance(made: Difference) -> None:
    """Raise unless before - gone + added = after."""
    counts = {name: by_split[WHOLE] for name, by_split in made.pairs.items()}
    if counts["before"] - counts["gone"] + counts["added"] != counts["after"]:
        raise AssertionError(f"the difference does not add up: {counts}")


def _kinds(found: Matched, changed: Rows) -> list[list[str]]:
    """What happened to each changed pair: those that stayed, those that are gone, those that were added."""
    flags = {FLIPPED: found.flipped, MOVED: found.moved, REWEIGHED: found.reweighed}
    both = [[kind for kind, holds in flags.items() if holds[row]] for row in changed]
    return both + [[GONE]] * len(found.gone) + [[ADDED]] * len(found.added)


def _counts(before: pa.Table, after: pa.Table, found: Matched) -> dict[str, dict[str, int]]:
    """Pairs by split."""
    parts = {"before": before, "gone": before.take(found.gone), "added": after.take(found.added), "after": after}
    return {name: _by_split(table) for name, table in parts.items()}


def _by_split(pairs: pa.Table) -> dict[str, int]:
    counts = Counter(flat(pairs["split"]).to_pylist())
    return {**{split: counts[split] for split in SPLITS}, WHOLE: len(pairs)}


def _shown(pairs: pa.Table, rows: Rows) -> Iterator[dict[str, Any] | None]:
    """What is said of each of these pairs; none where there is none."""
    there = pairs.select(list(SHOWN)).take(rows[rows >= 0]).to_pylist()
    found = iter(there)
    return (next(found) if row >= 0 else None for row in rows)


def texts(made: Difference, before: Evidence, after: Evidence, shown: int) -> dict[str, tuple[str, str, str]]:
    """The redacted texts of the first changed pairs: the last message of the prompt, the chosen and the rejected answer."""
    wanted = [row["after"] or row["before"] for row in made.rows[:shown]]
    names = pa.array([pair["pair_id"] for pair in wanted], pa.large_string())
    found: dict[str, tuple[str, str, str]] = {}
    for pairs in (after.pairs, before.pairs):
        rows = pairs.filter(pc.is_in(pairs["pair_id"], value_set=names))
        for row in rows.select(["pair_id", "prompt", "chosen", "rejected"]).to_pylist():
            found.setdefault(row["pair_id"], (row["prompt"][-1]["content"], row["chosen"][-1]["content"], row["rejected"][-1]["content"]))
    return {pair["pair_id"]: found[pair["pair_id"]] for pair in wanted}


def as_json(made: Difference, texts: Mapping[str, tuple[str, str, str]]) -> dict[str, Any]:
    """The difference as a document; with the texts of those pairs that some are given of."""
    between = made.between
    return {
        "before": made.before,
        "after": made.after,
        "pairs": made.pairs,
        "kinds": made.kinds,
        "between": {
            "new_logs": between.new_logs,
            "gone_logs": between.gone_logs,
            "changed_logs": between.changed_logs,
            "parameters": [{"name": name, "before": old, "after": new} for name, old, new in between.parameters],
            "code": between.code,
            "inputs": between.inputs,
        },
        "rows": made.rows,
        **({"texts": {name: dict(zip(TEXTS, found, strict=True)) for name, found in texts.items()}} if texts else {}),
    }
