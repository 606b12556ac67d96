"""Raw logs: which records are a subject's, and the files without them.

A file is put in the old one's place only where all that is left of it reads as before. Of a file that cannot be written anew (an archive, a
page of records) and of records that several people share, the places are told: the tombstones keep them out.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from flows.erasure.raw_parts import take_apart
from flows.erasure.subject import Subject
from flows.storage import raw_logs as storing
from tasks.common import salt
from tasks.common.raw_files import files as raw
from tasks.common.raw_files.files import RawFile
from tasks.common.tombstones import Tombstones
from tasks.common.vocabulary.reasons.ingest import ERASED
from tasks.core import engine, params, pipeline, shell
from tasks.ingest import stage as ingest

PLAN = salt.FOLDER / "erasing-raw.json"
TABLES = ("turns", "feedback")
NOT_APART = "cannot be written anew (no lines of JSON and no list): take the records out yourself"
OTHERS = "cannot be written without changing how the rest reads: take the records out yourself"
SHARED = "hold other people's words too: only tombstones keep the subject's out"


@dataclass(frozen=True)
class Found:
    """Records of the subject in one raw file: its own, and those in which others' words stand too."""

    file: RawFile
    own: tuple[int, ...]
    shared: tuple[int, ...]


@dataclass(frozen=True)
class Read:
    """What is read of some files: the places of erased rows and of all others, and what the others say."""

    erased: set[tuple[str, int]]
    left: set[tuple[str, int]]
    said: list[tuple[int, str]]  # with the number of the record


def folder() -> Path:
    """Where raw logs lie."""
    return pipeline.stage("ingest").input("raw")


def folders() -> list[Path]:
    """Where raw logs lie: those that are read, and those that a pull moved aside."""
    return [folder(), folder().with_name(storing.ASIDE.format(folder().name))]


def is_whole(found: Found) -> bool:
    """Whether nothing but the subject's records is in the file."""
    parts = take_apart(found.file.path)
    return parts is not None and len(parts.records) == len(found.own)


def read(files: list[RawFile], search: Tombstones) -> Read:
    """Read files as `ingest` does, with these tombstones and no others."""
    engine.start()
    settings = params.load(shell.PARAMS, "ingest", ingest.Params)
    with ingest.no_cycle_search(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        reading = ingest.Reading(settings, lambda: search.key, search)
        reading.read(Path(), files, ())
        accounts = [account for account in reading.accounts() if account.table in TABLES]
    dropped = [place for account in accounts for place in _places(account.dropped)]
    kept = [at for account in accounts for _, at in _places(account.kept)]
    return Read(
        {at for reason, at in dropped if reason == ERASED},
        {at for reason, at in dropped if reason != ERASED} | set(kept),
        [(row["origin"]["record"], _said(row)) for account in accounts for row in account.kept.to_pylist()],
    )


def _places(rows: pa.Table) -> Iterator[tuple[str | None, tuple[str, int]]]:
    reasons = rows["dropped"].to_pylist() if "dropped" in rows.column_names else [None] * len(rows)
    for reason, at in zip(reasons, cast("list[dict[str, Any]]", rows["origin"].to_pylist()), strict=True):
        yield reason, (at["file"], at["record"])


def _said(row: dict[str, object]) -> str:
    return json.dumps({name: value for name, value in row.items() if name != "origin"}, default=str)


def search_in(files: list[RawFile], subject: Subject) -> list[Found]:
    """The files among these that have records of the subject; also records that only name it and give no row."""
    known = read(files, subject.search)
    found = []
    for file in files:
        own = {record for digest, record in known.erased if digest == file.digest} | _naming(file, subject.raw_id)
        left = {record for digest, record in known.left if digest == file.digest}
        if own:
            found.append(Found(file, tuple(sorted(own - left)), tuple(sorted(own & left))))
    return found


def remembered(files: list[RawFile], found: list[Found]) -> list[Found]:
    """What is found in these files, with what a purge that was killed had found in them; written down for the next one."""
    known = json.loads(PLAN.read_bytes()) if PLAN.is_file() else {}
    for one in found:
        own, shared = known.get(one.file.digest, ([], []))
        known[one.file.digest] = (sorted({*own, *one.own}), sorted({*shared, *one.shared} - {*own, *one.own}))
    PLAN.parent.mkdir(exist_ok=True)
    beside = PLAN.with_name(f".{PLAN.name}.new")
    beside.write_text(json.dumps(known), encoding="utf-8")
    beside.replace(PLAN)
    return [Found(file, *map(tuple, known[file.digest])) for file in files if file.digest in known]


def _naming(file: RawFile, raw_id: str) -> set[int]:
    parts = take_apart(file.path) if raw_id else None
    return parts.naming(raw_id) if parts else set()


def purge(found: Sequence[Found], search: Tombstones, backup: Path | None) -> Iterator[str]:
    """Write each file without the subject's own records; a line a file."""
    for one in found:
        what = _purged(one, search, backup) if one.own else ""
        shared = f"records {listed(one.shared)} {SHARED}" if one.shared else ""
        yield f"{one.file.path}: {'; '.join(filter(None, (what, shared)))}"


def listed(numbers: Sequence[int], most: int = 8) -> str:
    """Numbers of records, the first few of many."""
    return ", ".join(map(str, numbers[:most])) + (f" and {len(numbers) - most} more" if len(numbers) > most else "")


def _purged(found: Found, search: Tombstones, backup: Path | None) -> str:
    path, parts = found.file.path, take_apart(found.file.path)
    if parts is None or found.own[-1] >= len(parts.records) or path.is_symlink():
        return f"records {listed(found.own)}: {NOT_APART}"
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(parts.without(found.own))
    try:
        empty = len(found.own) == len(parts.records)
        if not (empty or _reads_alike(found, beside, search.key)):
            return f"records {listed(found.own)}: {OTHERS}"
        if backup:
            shutil.copy2(path, _free(backup, path))
        if empty:
            path.unlink()
            return f"removed, with all of its {len(found.own)} records"
        shutil.copymode(path, beside)
        beside.replace(path)
        return f"written without {len(found.own)} of its {len(parts.records)} records"
    finally:
        beside.unlink(missing_ok=True)


def _free(backup: Path, path: Path) -> Path:
    """Where in the folder of backups the file goes."""
    inside = folder() if path.is_relative_to(folder()) else folder().parent
    place = backup / path.relative_to(inside)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _reads_alike(found: Found, beside: Path, key: str) -> bool:
    """Whether the records that are left say what they said in the old file."""
    (new,), _ = raw.look_at([beside])
    before, after = (read([file], Tombstones(key)).said for file in (found.file, dataclasses.replace(new, name=found.file.name)))
    return sorted(said for record, said in before if record not in found.own) == sorted(said for _, said in after)
