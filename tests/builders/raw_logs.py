"""Raw logs as bytes, and what the stage `ingest` reads in them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tasks.core import pipeline
from tasks.core.params import load
from tasks.ingest import stage as ingest
from tests.conftest import ROOT

Rows = list[dict[str, Any]]


@dataclasses.dataclass
class Result:
    """What a run wrote."""

    folder: Path

    def table(self, name: str) -> Rows:
        return pq.read_table(self.folder / name).to_pylist()

    def dropped(self, name: str) -> Rows:
        folder = self.folder / "dropped" / name
        return pq.read_table(folder).to_pylist() if folder.exists() else []

    @property
    def ledger(self) -> dict[str, Any]:
        return json.loads((self.folder / "ledger.json").read_text())  # type: ignore[no-any-return]

    def faults(self) -> list[tuple[int, int | None, str]]:
        return [(row["record"], row["line"], row["reason"]) for row in self.table("quarantine")]

    def contents(self) -> list[str]:
        return [row["content"] for row in self.table("turns")]


def read(root: Path, files: dict[str, bytes], formats: dict[str, str] | None = None, **more: object) -> Result:
    """Run the stage over these files."""
    for name, data in files.items():
        path = root / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    inputs = (root / "raw", root / "erased")
    stage = dataclasses.replace(pipeline.stage("ingest", ROOT), data=inputs, output=root / "before", reports=root / "reports")
    out = root / "out"
    out.mkdir()
    params = load(ROOT / "params.yaml", "ingest", ingest.Params)
    ingest.work(stage, params.model_copy(update={"formats": formats or {}, **more}), out)
    return Result(out)


def chat(name: str, *texts: str, **more: object) -> dict[str, Any]:
    """A conversation in which user and assistant take turns."""
    return {"id": name, "messages": [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]} | more


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


GOOD = chat("c", "Hi", "Hello")
