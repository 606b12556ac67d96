"""Measure the probe: on real preferences, as labels are turned, and in finding labels that were turned on purpose.

    python -m tests.benchmarks.probe [RELEASE ...]

Prints, for Anthropic's harmless pairs (where the real inputs lie beside the checkout) and for each release named, the out-of-fold
accuracy beside "the longer answer wins", with 0 to 50 % of the labels turned; the area under the curve with which turned labels
are found (20 %, three draws); what the probe says of more votes; and the CPU seconds.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core import params
from tasks.core.tables import Pairs
from tasks.release import stage as release
from tasks.release.probe import folds, probe, suspect_labels
from tests.builders.harmless import harmless
from tests.conftest import ROOT, SHARED

SETTINGS = params.load(ROOT / "params.yaml", "release", release.Params).probe
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5)
PLANTED, DRAWS = 0.2, 3


def turned(pairs: pa.Table, picked: list[bool]) -> pa.Table:
    """The pairs with chosen and rejected swapped where `picked` says so."""
    rows = pairs.to_pylist()
    swap = {True: ("rejected", "chosen"), False: ("chosen", "rejected")}
    swapped = [row | {"chosen": row[swap[turn][0]], "rejected": row[swap[turn][1]]} for row, turn in zip(rows, picked, strict=True)]
    return pa.Table.from_pylist(swapped, schema=pairs.schema)


def drawn(size: int, share: float, seed: int) -> list[bool]:
    """This share of the places, drawn."""
    places = set(random.Random(seed).sample(range(size), round(share * size)))
    return [place in places for place in range(size)]


def area(pairs: pa.Table, seed: int) -> float:
    """How well turned labels are found by their out-of-fold probability, over all repeats of the probe."""
    picked = drawn(len(pairs), PLANTED, seed)
    given = turned(pairs, picked)
    numbers, names = folds.groups(given)
    trial = probe.Trial(probe.counted(given, SETTINGS.embedding), numbers, names, SETTINGS)
    margins = np.mean([trial.margins(repeat, 1.0) for repeat in range(SETTINGS.repeats)], axis=0)
    return suspect_labels.auc(-margins, np.array(picked))


def measure(name: str, pairs: pa.Table) -> None:
    """Print all figures of one set."""
    known = folds.sample(folds.written(pairs), SETTINGS.max_pairs, SETTINGS.seed)
    for share in SHARES:
        began = time.process_time()
        found = probe.run_probe(turned(known, drawn(len(known), share, 0)), SETTINGS)
        if found is None:
            sys.stdout.write(f"{name}: too few groups\n")
            return
        spent = time.process_time() - began
        longer = f"longer {found.longer.share:.3f}"
        say = f"{name}: {share:4.0%} turned: accuracy {found.accuracy}, {longer}, {found.suspects.count:,} suspected, {spent:.1f} CPU s"
        sys.stdout.write(f"{say}; {found.curve.verdict}\n")
    areas = [area(known, seed) for seed in range(DRAWS)]
    sys.stdout.write(f"{name}: {PLANTED:.0%} turned are found with AUC {', '.join(f'{one:.3f}' for one in areas)}\n")


def released(folder: Path) -> pa.Table:
    """The pairs of a release, all splits."""
    parts = []
    for file in sorted((folder / "preference").glob("*.parquet")):
        table = pq.read_table(file)
        parts.append(table.append_column("split", pa.array([file.name.split("-")[0]] * len(table))))
    return pa.concat_tables(parts)


def main(folders: list[str]) -> None:
    """All sets that there are."""
    if (SHARED / "data" / "hh_rlhf").is_dir():
        measure("harmless", pa.Table.from_pylist(harmless(SHARED / "data"), schema=Pairs.schema()))
    for folder in folders:
        measure(Path(folder).parent.parent.name, released(Path(folder)))


if __name__ == "__main__":
    main(sys.argv[1:])
