"""Reports on files that are not read, or only in part: a warning for each, and a page with all details.

In: the files as they were read, and the rows of quarantine. Out: warnings, and the text of the page.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.common.redaction import redact
from tasks.common.redaction.paths import path
from tasks.core import visible
from tasks.core.tables import Quarantine
from tasks.ingest.formats.file_findings import Member

MOST_WARNINGS, MOST_NAMED = 20, 8
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # how one begins, also in letters of full width


def warn_of(members: Sequence[Member], former: Mapping[str, str]) -> None:
    """A warning per file with unread data, worst first and the first few of many; `former` are formats of the previous run."""
    messages = [text for member in sorted(members, key=lambda one: (-one.unread, one.name)) if (text := member.warning())]
    for text in messages[:MOST_WARNINGS]:
        warnings.warn(text, stacklevel=2)
    if len(messages) > MOST_WARNINGS:
        warnings.warn(f"{len(messages) - MOST_WARNINGS} more files are not read, or not wholly: see the table `quarantine`", stacklevel=2)
    foreign = sorted(member.shown for member in members if not member.records and member.first_fault == "not_a_log")
    if foreign:
        more = f" and {len(foreign) - MOST_NAMED} more" if len(foreign) > MOST_NAMED else ""
        warnings.warn(f"no logs, and not read: {', '.join(foreign[:MOST_NAMED])}{more}", stacklevel=2)
    for member in members:
        if member.name in former and not member.formats:
            warnings.warn(f"{member.shown}: the previous run read it as {former[member.name]}; now no reader recognises it", stacklevel=2)


def page_of(quarantine: Iterable[tuple[Any, ...]], files: Iterable[tuple[Any, ...]]) -> str:
    """The quarantine as CSV, with names of files instead of their ids."""
    names = {row[0]: path(row[1], redact.KINDS) for row in files}
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(("file", *Quarantine.schema().names[1:]))
    rows = sorted(([names.get(row[0], row[0]), *row[1:]] for row in quarantine), key=str)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return page.getvalue()


def _cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: a text that begins like one is marked as a text, in their way."""
    if not isinstance(value, str):
        return value
    shown = visible.line(value)
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) else shown
