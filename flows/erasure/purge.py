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
    yield from logs(subject)
    with known.opened() as (found, repository):
        yield from raw_files(repository, subject, backup)
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


def raw_files(repository: Repo, subject: Subject, backup: Path | None) -> Iterator[str]:
    """The raw logs of the workspace and of the private store, read together: whose a vote is may stand in another file.

    What is found is written down first, by digests and numbers, since what is left of the files after a kill no longer tells.
    """
    folder, store = raw_logs.folder(), stores.private(repository)
    with tempfile.TemporaryDirectory(prefix="pairwright-") as scratch:
        for oid in store.files() if store else ():
            (Path(scratch) / oid).write_bytes(store.read(oid) if store else b"")
        places = [place for place in (folder, Path(scratch)) if place.is_dir()]
        files = [file for place in places for file in raw.raw_files(place)]
        found = raw_logs.remembered(files, raw_logs.search_in(files, subject) if files else [])
        yield from raw_logs.purge([one for one in found if one.file.path.is_relative_to(folder)], subject.search, backup)
        gone = [one for one in found if one.own and one.file.path.is_relative_to(scratch)]
        for one in gone:
            if store:
                store.delete(one.file.path.name)
    if store:
        yield f"{store.name}: {len(gone)} files of raw logs deleted"
    raw_logs.PLAN.unlink(missing_ok=True)
    if not found:
        yield f"{folder}: no record"


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
