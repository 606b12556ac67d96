"""The page of reasons: why each stage drops rows, by table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flows.reference.markdown import page, table, text
from tasks.common.vocabulary.reasons.every import STAGES
from tasks.core import pipeline

LEAD = (
    "Nothing disappears: of every table a stage keeps or drops each row, and a dropped row says why. It stands in the stage's `dropped/` "
    "folder with its reason in the column `dropped`; `ledger.json` counts the reasons. A stage that drops a row for a reason that is not "
    "on this page fails."
)
QUARANTINE = (
    "Of records and files that are not read, or not wholly, the reasons stand in the table `quarantine`. Those of `records` give no row at "
    "all; the others are told though the record is read."
)


def render(root: Path) -> str:
    """The page as Markdown."""
    stages = pipeline.stages(root)
    return page("Reasons", LEAD, *(_stage(name, stages[name].description, tables) for name, tables in STAGES.items()))


def _stage(name: str, description: str, tables: Mapping[str, Mapping[str, str]]) -> str:
    parts = [f"## {name}", f"{text(description)}."]
    if name == "ingest":
        parts.append(QUARANTINE)
    if not tables:
        parts.append("It drops no row: what breaks one of its rules stops it.")
    for owner, known in tables.items():
        told = tables.get("records", {}) if owner == "quarantine" else {}
        rows = [(f"`{reason}`", text(meaning)) for reason, meaning in known.items() if reason not in told]
        parts += [f"### {name}: {owner}", table(("reason", "meaning"), rows)]
    return "\n\n".join(parts)
