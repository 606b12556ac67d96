"""The benchmark corpus: a share of it as raw logs in a scratch project, and its truth held against the stages' tables."""

from __future__ import annotations

import json
import lzma
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.core import pipeline
from tests.conftest import ROOT

COPIES = ("near", "exact_raw", "exact_clean")


class Corpus:
    """A share of the corpus, from its beginning; copies whose root lies beyond the share count as distinct."""

    def __init__(self, folder: Path, fraction: float) -> None:
        self.folder, self.fraction = folder, fraction
        self.truth = {row["id"]: row for row in self.lines("truth")}
        keep = int(len(self.truth) * fraction)
        self.ids = set(list(self.truth)[:keep])
        self.messages = 0

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """Records of one of the corpus's files."""
        with lzma.open(self.folder / f"{name}.jsonl.xz", "rb") as stream:
            for line in stream:
                yield json.loads(line)

    def write(self, raw: Path) -> None:
        """The share's conversations and feedback as raw logs; counts the messages."""
        raw.mkdir(parents=True)
        for name, key in (("chats", "id"), ("feedback", "conversation_id")):
            with (raw / f"{name}.jsonl").open("w", encoding="utf-8") as out:
                for row in self.lines(name):
                    if row[key] in self.ids:
                        out.write(json.dumps(row, ensure_ascii=False) + "\n")
                        self.messages += len(row.get("messages", ()))

    def quality(self, stage: str, root: Path) -> str:
        """What the truth says of a stage's result; empty where it says nothing."""
        output = root / pipeline.stage(stage, ROOT).output
        if stage == "clean":
            return f"planted personal data found {self.redacted(output / 'turns'):.4f}"
        return f"copies F1 {self.copies_f1(output / 'turns'):.4f}" if stage == "dedupe" else ""

    def redacted(self, turns: Path) -> float:
        """Share of the planted values that no longer stand in their message."""
        found = pq.read_table(turns, columns=["conversation_id", "position", "content"])
        texts = dict(
            zip(
                zip(found["conversation_id"].to_pylist(), found["position"].to_pylist(), strict=True),
                cast("list[str]", found["content"].to_pylist()),
                strict=True,
            )
        )
        planted = [row for row in self.lines("pii_truth") if row["id"] in self.ids]
        gone = sum(row["value"] not in texts.get((f"jsonl:{row['id']}", row["msg"]), "") for row in planted)
        return gone / len(planted)

    def copies_f1(self, turns: Path) -> float:
        """`removals_f1` of the conversations that the table still holds."""
        names = pc.unique(pq.read_table(turns, columns=["conversation_id"])["conversation_id"]).to_pylist()
        return self.removals_f1({name.removeprefix("jsonl:") for name in cast("list[str]", names)})

    def removals_f1(self, kept: set[str]) -> float:
        """F1 of the removed conversations: of each planted group of copies all but one must go, and nothing else.

        Inside a group it does not matter which one stays.
        """
        groups: dict[str, list[str]] = defaultdict(list)
        for name in self.ids:
            row = self.truth[name]
            groups[row["root"] if row["kind"] in COPIES else name].append(name)
        expected = sum(len(group) - 1 for group in groups.values())
        removed = len(self.ids) - len(self.ids & kept)
        right = sum(min(len(group) - 1, sum(name not in kept for name in group)) for group in groups.values())
        return 2 * right / (expected + removed)


def scratch_project(root: Path) -> None:
    """A project without data and without benchmarks: the path and the parameters."""
    for name in ("benchmarks", "splits", "erased"):
        (root / "data" / name).mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, root / name)


def project(corpus: Corpus, root: Path) -> None:
    """A scratch project with the share as its raw logs."""
    scratch_project(root)
    corpus.write(root / "data" / "raw")
