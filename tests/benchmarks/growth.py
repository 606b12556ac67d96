"""Grow a log day by day and build it at once: what moves between train and held out, what leaks, and which shares come out.

    python -m tests.benchmarks.growth [--days 10] [--logs sample real]

The sample's log is cut by the numbers of its conversations; the real one is what lies in `oasst` and `hh_rlhf` among the real inputs, the
first lines first. All stages up to `split` run in one workspace, a day after the other, and once more in a fresh one on the last day. Leaks
are sought apart from the pipeline: over letters and figures alone, with the edit distance, among all couples.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rapidfuzz import fuzz, process

from tasks.core import pipeline
from tests.builders.projects import DATA_STAGES, make_project, run_stages
from tests.conftest import ROOT, SHARED

STAGES = DATA_STAGES[: DATA_STAGES.index("split") + 1]
SALT = {"PAIRWRIGHT_SALT": "salt of the benchmark"}
CHATS = 3400  # numbers of conversations in the sample
ALIKE = 92.0  # of 100: two questions with fewer than one letter in twelve changed
Releases = list[list[dict[str, Any]]]


def main() -> int:
    """Print the figures of each log."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--logs", nargs="+", default=list(LOGS), choices=list(LOGS))
    options = parser.parse_args()
    for name in options.logs:
        with tempfile.TemporaryDirectory(prefix="pairwright-growth-") as scratch:
            grown, once = Path(scratch) / "grown", Path(scratch) / "once"
            releases = [release(grown, LOGS[name], number / options.days) for number in range(1, options.days + 1)]
            at_once = release(once, LOGS[name], 1.0)
            for line in (*told(releases, f"{name}, {options.days} days"), *told([at_once], f"{name}, at once")):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
    return 0


def release(root: Path, log: Callable[[Path, float], None], share: float) -> list[dict[str, Any]]:
    """The rows that `split` keeps of a share of the log, in a workspace that may have had earlier releases."""
    if not root.exists():
        make_project(root)
    raw = root / "data" / "raw"
    raw.mkdir(exist_ok=True)
    log(raw, share)
    run_stages(root, STAGES, **SALT)
    folder = pipeline.stage("split", ROOT).output / "candidates"
    columns = ["prompt_id", "prompt", "users", "conversations", "votes", "split"]
    rows: list[dict[str, Any]] = pq.read_table(root / folder, columns=columns).to_pylist()
    lost = root / folder.parent / "dropped"
    return [*rows, {"dropped": sum(pq.read_metadata(path).num_rows for path in lost.glob("candidates/*.parquet"))}]


def told(releases: Releases, name: str) -> list[str]:
    """The lines about one way of building."""
    dropped = releases[-1].pop()["dropped"]
    for rows in releases[:-1]:
        rows.pop()
    counts: dict[str, int] = defaultdict(int)
    for row in releases[-1]:
        counts[row["split"]] += 1
    total = max(1, sum(counts.values()))
    shares = ", ".join(f"{split} {counts[split] / total:.3f}" for split in ("train", "validation", "test"))
    lines = [f"{name}: {total:,} rows ({shares}), {dropped} dropped as crossing"]
    if len(releases) > 1:
        daily = [sum(row["split"] == "test" for row in rows) / max(1, len(rows)) for rows in releases]
        between = moved(releases, held=True)
        lines.append("  share of test, by day: " + " ".join(f"{share:.3f}" for share in daily))
        lines.append(f"  rows that moved between train and held out: {moved(releases)}; between validation and test: {between}")
    return [*lines, *(f"  {what} in train and held out: {count}" for what, count in leaks(releases).items())]


def moved(releases: Releases, *, held: bool = False) -> int:
    """Prompts that lay in train on one day and were held out on another; with `held`, in validation and in test."""
    seen: dict[str, set[str]] = defaultdict(set)
    for row in (row for rows in releases for row in rows):
        seen[row["prompt_id"]].add(row["split"])
    return sum({"validation", "test"} <= where if held else len(where) > 1 and "train" in where for where in seen.values())


def leaks(releases: Releases) -> dict[str, int]:
    """What lay in train on any day and was held out on any: people, conversations, and questions that read the same or nearly so."""
    sides: dict[str, dict[bool, set[str]]] = {key: {True: set(), False: set()} for key in ("people", "conversations", "questions")}
    for row in (row for rows in releases for row in rows):
        train = row["split"] == "train"
        sides["people"][train] |= set(row["users"])
        sides["conversations"][train] |= set(row["conversations"])
        sides["questions"][train].add(bare(row))
    found = {what: len(side[True] & side[False]) for what, side in sides.items()}
    held, train = (sorted(sides["questions"][side]) for side in (False, True))
    found["questions nearly (edit distance)"] = nearly(held, train)
    return found


def bare(row: dict[str, Any]) -> str:
    """All that the user says, in letters and figures alone."""
    said = " ".join(message["content"] or "" for message in row["prompt"] if message["role"] == "user")
    return " ".join(re.findall(r"\w+", said.lower()))[:2000]


def nearly(held: list[str], train: list[str]) -> int:
    """Held-out questions of some length that are like a training question in nearly all letters."""
    held = [text for text in held if len(text) >= 40]
    found = 0
    for start in range(0, len(held), 500):
        scores = process.cdist(held[start : start + 500], train, scorer=fuzz.ratio, score_cutoff=ALIKE, workers=1, dtype=np.uint8)
        found += int((scores.max(axis=1, initial=0) > 0).sum())
    return found


def sample(raw: Path, share: float) -> None:
    """Conversations of the shipped sample up to a number, with all feedback on them."""
    for path in sorted((ROOT / "data" / "raw" / "sample").glob("*.json*")):
        data = path.read_bytes()
        listed = path.suffix == ".json"
        records = [json.dumps(one).encode() for one in json.loads(data)] if listed else [line for line in data.split(b"\n") if line]
        kept = [one for one in records if number(one) < share * CHATS]
        (raw / path.name).write_bytes(b"[" + b",".join(kept) + b"]" if listed else b"\n".join(kept) + b"\n")


def number(record: bytes) -> int:
    """The number of the conversation that a record of the sample is about; 0 for what is broken."""
    found = re.search(rb"desk-(\d+)", record)
    return int(found[1]) if found else 0


def real(raw: Path, share: float) -> None:
    """The first lines of the real trees and choices."""
    for folder in ("oasst", "hh_rlhf"):
        for path in sorted((SHARED / "data" / folder).rglob("*.jsonl*")):
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            lines = [line for line in data.split(b"\n") if line]
            (raw / f"{folder}.jsonl").write_bytes(b"\n".join(lines[: max(1, round(share * len(lines)))]) + b"\n")


LOGS: dict[str, Callable[[Path, float], None]] = {"sample": sample}
if (SHARED / "data" / "oasst").is_dir():
    LOGS["real"] = real


if __name__ == "__main__":
    sys.exit(main())
