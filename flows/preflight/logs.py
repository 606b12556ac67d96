"""A quick look at the beginning of each raw log: files that no reader knows, and keys that are nearly those of a format.

Reads the first bytes of regular files only and judges nothing: `ingest` reads all, and stops where too much is unread. Says names of keys,
never text of a record. `flows.preflight.stages` asks this in a process of its own, because the readers import their libraries.
"""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.preflight.finding import Finding, counted, error, ok, warning
from flows.running import inputs
from tasks.common.raw_files import archives, records
from tasks.common.raw_files import files as raw
from tasks.core import params, pipeline
from tasks.core.errors import UserError
from tasks.core.shell import PARAMS
from tasks.ingest import stage as ingest
from tasks.ingest.formats import recognise
from tasks.ingest.formats.nearest_format import keys_of, listed_names, nearest
from tasks.ingest.formats.wrapped import listed, untabled, unwrapped

TOPIC = "logs"
HEAD = 256 << 10  # bytes looked at in each file
LIMIT = 1.5  # seconds after which no further file is looked at
TOLD = 5  # files that are told one by one


def findings() -> Iterator[Finding]:
    """What lies where the first stage reads, a line each for what is odd; `staleness` tells what cannot be read."""
    reader = next((stage for stage in pipeline.stages().values() if stage.module == ingest.__name__), None)
    if reader is None:
        return
    folder = reader.input("raw")
    yield from _looked_at(folder, [path for path in inputs.files(folder) if not _hidden(path, folder) and not inputs.fault(path)])


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _looked_at(folder: Path, paths: list[Path]) -> Iterator[Finding]:
    if not paths:
        yield _nothing(folder)
        return
    settings = _settings()
    end, faults, seen = time.monotonic() + LIMIT, list[str](), 0
    for path in paths:
        if time.monotonic() > end:
            break
        seen += 1
        if fault := _fault(path, path.relative_to(folder).as_posix(), settings):
            faults.append(f"{path}: {fault}")
    yield from (warning(TOPIC, fault) for fault in faults[:TOLD])
    if len(faults) > TOLD:
        yield warning(TOPIC, f"{counted(len(faults) - TOLD, 'more file')} like that; `ingest` stops where too much is unread")
    if not faults:
        looked = "" if seen == len(paths) else f", the first {seen:,} looked at"
        yield ok(TOPIC, f"{counted(len(paths), 'file')} in {folder}{looked}")


def _nothing(folder: Path) -> Finding:
    """No logs: an error where nothing was made of any before."""
    built = any(stage.output.exists() for stage in pipeline.stages().values())
    fault = UserError(str(folder), "no file in it", "chat logs and feedback", "put them there, or try the sample of the project")
    return warning(TOPIC, fault) if built else error(TOPIC, fault)


def _settings() -> ingest.Params | None:
    """How logs are to be read; None where the parameters are wrong, which is told elsewhere."""
    try:
        return params.load(PARAMS, ingest.STAGE, ingest.Params)
    except UserError:
        return None


def _fault(path: Path, name: str, settings: ingest.Params | None) -> str:
    """Why nothing of the file will be read, as far as its beginning tells; nothing where a reader knows it, or it may be no log."""
    if settings and any(fnmatch.fnmatchcase(path.name, glob) for glob in settings.not_logs):
        return ""
    try:
        for inner, stream in archives.members(path, None, settings.unpack if settings else None):
            member = f"{name}/{inner}" if inner else name
            if settings and any(fnmatch.fnmatchcase(member, glob) for glob in settings.formats):
                return ""
            return stream.detail if isinstance(stream, raw.Fault) else _unknown(stream)
    except raw.Unreadable as fault:
        return fault.fault.detail
    except OSError as fault:
        return f"cannot be read ({fault.strerror})"
    return "nothing in it"


def _unknown(stream: raw.Stream) -> str:
    """What the first records are, where no reader knows any of them."""
    strangers = list[dict[str, Any]]()
    try:
        for batch in records.batches(raw.Limited(stream, HEAD)):
            values = [record.value for record in batch if isinstance(record.value, dict)]
            if any(map(_known, values)):
                return ""
            strangers += values
    except raw.Unreadable as fault:
        if not strangers:
            return fault.fault.detail
    if not strangers:
        return ""  # one record longer than the look: `ingest` will know
    keys = {key for record in strangers for key in keys_of(record)}
    near = nearest(keys)
    return f"no known format (keys: {listed_names(keys)})" + (f"; nearest is {near}" if near else "")


def _known(record: dict[str, Any]) -> bool:
    whole = untabled(record)
    return bool(recognise(whole) or unwrapped(whole) or listed(whole))
