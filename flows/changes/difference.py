"""The difference of two versions: counts that add up, what changed between them, and a row for each pair that changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
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
    a = np.concatenate([np.full(len(found.added), -1), found.gone, found.before[changed]])
    b = np.concatenate([found.added, np.full(len(found.gone), -1), found.after[changed]])
    kinds = _kinds(found, np.flatnonzero(changed))
    only_split = np.array([names == [MOVED] for names in kinds], bool)
    cause = causes.find(before, after, a, b, only_split)
    rows = [
        {"kinds": names, "reason": reasons[0], "reasons": reasons, "detail": detail, "before": one, "after": two}
        for names, reasons, detail, one, two in zip(
            kinds, cause.reasons(), cause.details, _shown(before.pairs, a), _shown(after.pairs, b), strict=True
        )
    ]
    by_kind = {kind: dict(Counter(row["reason"] for row in rows if kind in row["kinds"]).most_common()) for kind in KINDS}
    made = Difference(before.name, after.name, _counts(before.pairs, after.pairs, found), by_kind, causes.between(before, after), rows)
    demand_balance(made)
    return made


def demand_balance(made: Difference) -> None:
    """Raise unless before - gone + added = after."""
    counts = {name: by_split[WHOLE] for name, by_split in made.pairs.items()}
    if counts["before"] - counts["gone"] + counts["added"] != counts["after"]:
        raise AssertionError(f"the difference does not add up: {counts}")


def _kinds(found: Matched, changed: Rows) -> list[list[str]]:
    """What happened to each changed pair; added and gone ones first."""
    flags = {FLIPPED: found.flipped, MOVED: found.moved, REWEIGHED: found.reweighed}
    both = [[kind for kind, holds in flags.items() if holds[row]] for row in changed]
    return [[ADDED]] * len(found.added) + [[GONE]] * len(found.gone) + both


def _counts(before: pa.Table, after: pa.Table, found: Matched) -> dict[str, dict[str, int]]:
    """Pairs by split."""
    parts = {"before": before, "gone": before.take(pa.array(found.gone)), "added": after.take(pa.array(found.added)), "after": after}
    return {name: _by_split(table) for name, table in parts.items()}


def _by_split(pairs: pa.Table) -> dict[str, int]:
    counts = Counter(flat(pairs["split"]).to_pylist())
    return {**{split: counts[split] for split in SPLITS}, WHOLE: len(pairs)}


def _shown(pairs: pa.Table, rows: Rows) -> Iterator[dict[str, Any] | None]:
    """What is said of each of these pairs; none where there is none."""
    there = pairs.select(list(SHOWN)).take(pa.array(rows[rows >= 0])).to_pylist()
    found = iter(there)
    return (next(found) if row >= 0 else None for row in rows)


def texts(pairs: pa.Table, wanted: set[str]) -> dict[str, tuple[str, str, str]]:
    """The redacted texts of pairs: the last message of the prompt, the chosen and the rejected answer."""
    rows = pairs.filter(pc.is_in(pairs["pair_id"], value_set=pa.array(sorted(wanted), pa.large_string())))
    shown = rows.select(["pair_id", "prompt", "chosen", "rejected"]).to_pylist()
    return {row["pair_id"]: tuple(row[name][-1]["content"] for name in ("prompt", "chosen", "rejected")) for row in shown}


def as_json(made: Difference) -> dict[str, Any]:
    """The difference as a document."""
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
    }
