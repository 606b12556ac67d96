"""Limits on unread data: of all records, of one file's records, and of files. More than that stops the run.

In: the files as they were read, and the bounds of `ingest.max_unread`. Out: a `UserError` about the worst file, or None.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import Field

from tasks.core.errors import UserError
from tasks.core.params import StageParams
from tasks.ingest.formats.file_findings import Member


class MaxUnread(StageParams):
    """Largest shares that may be unread."""

    records: float = Field(ge=0, le=1, description="of all records")
    file: float = Field(ge=0, le=1, description="of the records of one file")
    files: float = Field(ge=0, le=1, description="of the files that should have records: those without any that was read")
    at_least: int = Field(ge=1, description="fewer unread records, or files, never stop the run")


def too_much(members: Sequence[Member], bounds: MaxUnread, not_logs: Sequence[str], source: Path, page: Path | None) -> UserError | None:
    """The error about the file with the most unread records; None when all is within the bounds."""
    logs = [member for member in members if not any(_fits(member.name, glob) for glob in not_logs)]
    unread, records = sum(member.unread for member in logs), sum(member.records for member in logs)
    worst = max(logs, key=lambda member: (member.unread, member.is_unread, member.name), default=None)
    beyond = [member for member in logs if _more(member.unread, member.records, bounds.file, bounds.at_least)]
    lost = sum(member.is_unread for member in logs)
    if worst is None:
        return None
    if beyond:
        worst = max(beyond, key=lambda member: (member.unread, member.name))
        return _error(worst, f"at most {bounds.file:.0%} of a file's records", "file", source, page)
    if _more(unread, records, bounds.records, bounds.at_least):
        return _error(worst, f"at most {bounds.records:.0%} of all {records} records, not {unread}", "records", source, page)
    if _more(lost, len(logs), bounds.files, bounds.at_least):
        return _error(
            worst, f"at most {bounds.files:.0%} of all {len(logs)} files without any record read, not {lost}", "files", source, page
        )
    return None


def nothing_read(members: Sequence[Member], formats: Iterable[str], source: Path, page: Path | None) -> UserError:
    """The error when no record at all could be read."""
    worst = max(members, key=lambda member: (member.unread, member.is_unread, member.name), default=None)
    summary = f"{len(members)} files, none with a record that can be read" if members else "no file"
    if worst and worst.faults:
        summary += (
            f" ({worst.shown}: {worst.unread_share if worst.records else worst.first_reason}; {worst.first_detail}; {worst.keys_seen})"
        )
    listed = f"; see {page} for the details" if worst and page else ""
    return UserError(str(source), summary, "logs in one of the formats " + ", ".join(formats), f"put your exports there{listed}")


def _fits(name: str, glob: str) -> bool:
    return fnmatch.fnmatchcase(name, glob) or fnmatch.fnmatchcase(posixpath.basename(name), glob)


def _more(part: int, whole: int, bound: float, least: int) -> bool:
    return part >= least and part > bound * whole


def _error(worst: Member, expected: str, bound: str, source: Path, page: Path | None) -> UserError:
    listed = f"; all are listed in {page}" if page else ""
    return UserError(
        str(source / worst.shown),
        f"{worst.unread_share} ({worst.first_reason}: {worst.first_detail}; {worst.keys_seen})",
        f"{expected} (ingest.max_unread.{bound})",
        f"correct the export, set its format in ingest.formats, add it to ingest.not_logs, or raise the bound in params.yaml{listed}",
    )
