"""The purge of what is left of a subject, step by step; each says what it did and what it could not. Run again, it goes on where it was."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from dvc.repo import Repo

from flows.erasure import known, locks, placements, raw_logs, rows, stores, texts, versions
from flows.erasure.subject import Subject
from tasks.common.raw_files import files as raw
from tasks.core import pipeline
from tasks.core.errors import UserError


def purge(subject: Subject, backup: Path | None) -> Iterator[str]:
    """Raw logs, their store and Prefect's logs, then versions and models, for which the dataset must be made anew without the subject."""
    yield from raw_files(subject, backup)
    yield from logs(subject)
    with known.opened() as (found, repository):
        yield from private_store(repository, subject)
        yield from versions.finish(found)  # of a purge that was killed
        history = locks.read()
        look = versions.Look(history, found, subject.search)
        marks = rows.here(subject.search) | look.marks()
        held = look.find(marks)
        _check_built(history, held)
        yield placements.forget(placements.of(look.tables(placements.CANDIDATES)), marks)
        yield from versions.remove_outputs(held.held, history)
        yield from (f"{path} ({md5[:8]}): what it was made from is in no store that answers: kept" for path, md5 in sorted(held.unsure))
        versions.plan(look.objects(held.held), {md5 for _, md5 in held.held})
        yield from versions.finish(found)
        yield from found.away


def _check_built(history: locks.History, held: versions.Versions) -> None:
    """A UserError where the dataset that lies here was made before its tombstones."""
    made = {str(stage.output) for stage in pipeline.stages().values() if stage.module.startswith("tasks.")}
    late = [path for entry in history.current for path, md5 in entry.outs if path in made and (path, md5) in held.tables]
    if late:
        what = "rows of whom is to be purged: it was made before the tombstone"
        raise UserError(late[0], what, "a dataset without them", "run `pairwright run`, then the same command again")


def raw_files(subject: Subject, backup: Path | None) -> Iterator[str]:
    """The raw logs of the workspace."""
    folder = raw_logs.folder()
    files = raw.raw_files(folder) if folder.is_dir() else []
    found = raw_logs.search_in(files, subject) if files else []
    yield from raw_logs.purge(found, subject.search, backup)
    if not found:
        yield f"{folder}: no record"


def private_store(repository: Repo, subject: Subject) -> Iterator[str]:
    """Files of raw logs in the private store that have records of the subject: a version that needs one can be built from raw no more."""
    store = stores.private(repository, known.private())
    if store is None:
        return
    gone = [oid for oid in sorted(store.files()) if _holds(store.read(oid), subject)]
    for oid in gone:
        store.delete(oid)
    yield f"{store.name}: {len(gone)} files of raw logs deleted"


def _holds(data: bytes, subject: Subject) -> bool:
    with tempfile.TemporaryDirectory(prefix="pairwright-") as scratch:
        path = Path(scratch) / "log"
        path.write_bytes(data)
        files, _ = raw.look_at([path])
        return bool(raw_logs.search_in(files, subject))


def logs(subject: Subject) -> Iterator[str]:
    """Prefect's database, logs and pages."""
    values = subject.sure
    short = len(subject.values) - len(values)
    if short:
        yield "logs and pages: an id this short stands in texts by chance: not looked for"
    for path, count in texts.files(values):
        texts.blank(path, values)
        yield f"{path}: {count} values blanked"
    if values:
        yield texts.blank_cells(values)
