"""How often the gates speak of an ordinary night, and of a night with a planted fault.

    python -m tests.benchmarks.nights [--nights 200] [--workspace FOLDER]

Nights are drawn from the conversations of a built workspace (where none is named, from an invented log with the sample's shares): growing
logs, and logs of which only the newest days are kept, with days of unequal size. Each is held against the night before it by the levels of
`params.yaml`. What later stages make of a night is drawn by the sample's shares, two rows at a time.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from flows.nights import gates, levels
from tests.builders.night_figures import FAULTS, Chat, Log, drawn, figures, invented

SIZES = (60, 300, 3600)  # conversations of the first night
DAILY = 0.05  # that a growing log gains
GROWN = 4  # times as large as at first
UNEVEN = 0.05  # by which windows differ in size


def main() -> int:
    """Print one line a size and kind of night."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.nights", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--nights", type=int, default=200)
    parser.add_argument("--workspace", type=Path)
    options = parser.parse_args()
    log = from_workspace(options.workspace) if options.workspace else invented(3600)
    for size in SIZES:
        for growing in (True, False):
            told = alarms(log, size, options.nights, growing=growing)
            kind = "growing" if growing else "window"
            sys.stdout.write(f"{size:>5} chats, {kind:<8} ordinary nights told of: {len(told)} of {options.nights} {told[:3] or ''}\n")
        for fault in FAULTS:
            states = detected(log, size, fault, 20)
            sys.stdout.write(f"{size:>5} chats, {fault:<32} stop {states.count('stop'):>3}, warn {states.count('warn'):>3}, of 20\n")
        sys.stdout.flush()
    return 0


def alarms(log: Log, size: int, nights: int, *, growing: bool, seed: int = 1) -> list[str]:
    """What the gates said of ordinary nights, one line for each night that they spoke of."""
    rng, settings = np.random.default_rng(seed), levels.load()
    night, told = drawn(log, size, rng), list[str]()
    before = figures(night, rng)
    for _ in range(nights):
        if len(night) > GROWN * size:  # begins anew, so that many nights stay quick
            night = drawn(log, size, rng)
            before = figures(night, rng)
        night = grown(night, log, rng) if growing else drawn(log, round(size * rng.uniform(1 - UNEVEN, 1 + UNEVEN)), rng)
        now = figures(night, rng)
        found = [one for one in gates.compare(before, now, settings) if one.verdict != gates.PASS]
        told += [found[0].line] if found else []
        before = now
    return told


def grown(night: Log, log: Log, rng: np.random.Generator) -> list[Chat]:
    """The night with a day more."""
    return [*night, *drawn(log, max(1, round(DAILY * len(night) * rng.uniform(0.3, 1.7))), rng)]


def detected(log: Log, size: int, fault: str, nights: int, seed: int = 2) -> list[str]:
    """What the gates said of nights with the fault."""
    rng, settings, states = np.random.default_rng(seed), levels.load(), list[str]()
    for _ in range(nights):
        before, now = figures(drawn(log, size, rng), rng), figures(FAULTS[fault](drawn(log, size, rng)), rng)
        states.append(gates.worst(one.verdict for one in gates.compare(before, now, settings)))
    return states


def from_workspace(root: Path) -> list[Chat]:
    """The conversations of a built workspace."""
    turns, votes = defaultdict[str, list[Any]](list), defaultdict[str, list[Any]](list)
    for row in pq.read_table(root / "data/02_clean/turns", columns=["conversation_id", "language", "source"]).to_pylist():
        turns[row["conversation_id"]].append(row)
    columns = ["conversation_id", "kind", "value", "scale_min", "scale_max", "annotator"]
    for row in pq.read_table(root / "data/02_clean/feedback", columns=columns).to_pylist():
        votes[row["conversation_id"]].append(row)
    return [_chat(rows, votes[name]) for name, rows in turns.items()]


def _chat(turns: list[Any], votes: list[Any]) -> Chat:
    known = [row["language"] for row in turns if row["language"]]
    voter = hash(votes[0]["annotator"]) if votes else 0
    return Chat(known[0] if known else "en", len(turns), turns[0]["source"], tuple(map(_vote, votes)), voter)


def _vote(row: Any) -> tuple[str, bool]:
    if row["scale_max"] is None:
        return "choice", False
    return row["kind"], row["value"] > (row["scale_min"] + row["scale_max"]) / 2


if __name__ == "__main__":
    sys.exit(main())
