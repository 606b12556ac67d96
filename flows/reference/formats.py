"""The page of log formats: how each is recognised, what is read of it, and examples."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from flows.reference.markdown import docstring, page, table, text
from tasks.common.vocabulary.reasons.ingest import UNREAD
from tasks.ingest.formats import FORMATS, Format

LEAD = (
    "Files of these formats are read from any folder below `data/raw`, packed or not. A record's format is recognised by its content, "
    "never by the file's name; `ingest.formats` forces one for a glob of paths."
)
EXAMPLES = Path("tests/examples")


def render(root: Path) -> str:
    """The page as Markdown."""
    listed = table(("format", "what it is"), [(f"[`{name}`](#{name})", text(_summary(known))) for name, known in FORMATS.items()])
    faults = table(("reason", "meaning"), [(f"`{reason}`", text(meaning)) for reason, meaning in UNREAD.items()])
    unread = f"## What is not read\n\nIt stands in the table `quarantine`, with its place and one of these reasons:\n\n{faults}"
    return page("Formats", LEAD, listed, *(_format(root, name, known) for name, known in FORMATS.items()), unread)


def _module(known: Format) -> object:
    return importlib.import_module(known.read.__module__)


def _summary(known: Format) -> str:
    return docstring(_module(known)).split("\n\n")[0]


def _format(root: Path, name: str, known: Format) -> str:
    recognised = f"**Recognised by:** {docstring(known.recognise)}"
    read = f"**What a record gives:** {docstring(known.read)}"
    return "\n\n".join([f"## {name}", docstring(_module(known)), recognised, read, _example(root / EXAMPLES / f"{name}.json")])


def _example(path: Path) -> str:
    """The records that the tests read as an example."""
    records = json.loads(path.read_text(encoding="utf-8"))["records"]
    return "Examples, a record a line:\n\n```json\n" + "\n".join(json.dumps(record, ensure_ascii=False) for record in records) + "\n```"
