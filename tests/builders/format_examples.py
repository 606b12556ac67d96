"""The example of each format, and what its reader makes of records."""

from __future__ import annotations

import json
from typing import Any

from tasks.ingest.formats import FORMATS
from tasks.ingest.formats.columns import TableBuilder
from tasks.ingest.formats.loose_messages import Place
from tests.conftest import ROOT

EXAMPLES = ROOT / "tests" / "examples"


def example(name: str) -> dict[str, Any]:
    path = EXAMPLES / f"{name}.json"
    assert path.is_file(), f"the format {name} has no example: add {path}"
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def read_all(name: str, *records: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    """Turns, feedback and the reasons of notes that the records give."""
    gatherer, reasons = TableBuilder(lambda: "pepper"), list[str]()
    for number, record in enumerate(records):
        reasons += [reason for reason, _ in gatherer.add(name, Place("0" * 16, number), FORMATS[name].read(record))]
    turns, notes = gatherer.turns()
    said = [row for row in gatherer.feedback().to_pylist() if row["retracts"] != "implied"]
    return turns.to_pylist(), said, reasons + [reason for _, _, reason, _ in notes]
