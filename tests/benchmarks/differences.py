"""What `pairwright diff` takes for two versions of many pairs: CPU seconds and peak memory of the command, and whether its counts add up.

    python -m tests.benchmarks.differences [--pairs 100000]

Of the version after, a share each is gone, new, flipped, moved and weighed anew, by new votes and by another parameter.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Figures, run_measured, table
from tests.builders import shelves
from tests.builders.projects import set_param
from tests.builders.shelves import Rows, pair, vote
from tests.conftest import ROOT

WORDS = (
    "the",
    "router",
    "order",
    "parcel",
    "account",
    "screen",
    "works",
    "again",
    "after",
    "a",
    "restart",
    "please",
    "open",
    "page",
    "or",
    "call",
)
SHARE = 0.02  # of the pairs, for each kind of change


def main() -> int:
    """Print the figures; 1 where the command says something else than was planted."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.differences", description=__doc__)
    parser.add_argument("--pairs", type=int, default=100_000)
    count = parser.parse_args().pairs
    with tempfile.TemporaryDirectory(prefix="pairwright-differences-") as scratch:
        root, planted = planted_versions(Path(scratch) / "project", count)
        command = [sys.executable, "-m", "flows.cli", "diff", "1", "2"]
        used = run_measured(command, root)
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        said = subprocess.run([*command, "--json"], cwd=root, env=env, capture_output=True, check=True).stdout
        found = {kind: sum(reasons.values()) for kind, reasons in json.loads(said)["kinds"].items()}
    sys.stdout.write(table([Figures("diff", 2 * count, used.cpu_seconds, used.peak_mb, used.wall_seconds, f"planted {planted}")]))
    return int(found != planted)


def planted_versions(root: Path, count: int) -> tuple[Path, dict[str, int]]:
    """A project with two versions, and how many pairs were changed how."""
    draw, each = random.Random(1), int(count * SHARE)
    before = [made(number, draw) for number in range(count)]
    after = [dict(one) for one in before[each:]] + [made(count + number, draw) for number in range(each)]
    for one in after[:each]:
        one["chosen"], one["rejected"] = one["rejected"], one["chosen"]
    for one in after[each : 2 * each]:
        one["split"] = "test"
    for one in after[2 * each : 3 * each]:
        one["confidence"] = 0.6
    shelf = shelves.make(root)
    shelf.put(tables(before))
    set_param(root, "rebalance", "seed", 99)
    shelf.put(tables(after))
    return root, {"added": each, "gone": each, "flipped": each, "moved": each, "re-weighed": each}


def made(number: int, draw: random.Random) -> dict[str, Any]:
    """A pair of some length."""
    prompt, chosen, rejected = (f"{' '.join(draw.choices(WORDS, k=size))} {number}" for size in (12, 60, 60))
    return pair(prompt, chosen, f"{rejected}.", votes=(f"v{number}",), number=number)


def tables(rows: Rows) -> dict[str, Any]:
    """The tables that a difference reads."""
    votes = [vote(one["votes"][0], one["prompt"][0]["content"], person=f"person {one['number'] % 999}") for one in rows]
    turns = [{"conversation_id": one["conversations"][0], "turn_id": str(at)} for one in rows for at in range(2)]
    return {
        "10_pair/pairs": shelves.table("pairs", rows),
        "10_pair/dropped/pairs": shelves.dropped("pairs", [one | {"dropped": "low_confidence"} for one in rows[::10]]),
        "10_pair/votes": shelves.table("votes", votes),
        "02_clean/turns": shelves.table("turns", turns),
        "02_clean/feedback": shelves.table("feedback", [{"feedback_id": one["feedback_id"]} for one in votes]),
        "02_clean/files": shelves.table("files", [{"file": shelves.FILE, "name": "log.jsonl"}]),
    }


if __name__ == "__main__":
    sys.exit(main())
