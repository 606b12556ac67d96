"""The purge of what is left of a subject, step by step; each says what it did and what it could not. Run again, it goes on where it was."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dvc.repo import Repo

from flows.erasure import database, known, locks, placements, raw_logs, rows, stores, texts, versions
from flows.erasure.raw_logs import Found
from flows.erasure.stores import Store
from flows.erasure.subject import Subject, forms
from flows.running import scratch
from tasks.common.raw_files import files as raw
from tasks.core import pipeline
from tasks.core.errors import UserError


@dataclass(frozen=True)
class Logs:
    """Records of the subject in raw logs: in the files that lie here, and in copies of those that the private store holds."""

    store: Store | None
    here: list[Found]
    copies: list[Found]

    def names(self) -> list[bytes]:
        """Names of files that hold nothing but the subject's: such a name may be the subject's own."""
        return [form for one in self.here if raw_logs.is_whole(one) for form in forms(one.file.name)]


def purge(subject: Subject, backup: Path | None) -> Iterator[str]:
    """Raw logs, their store and Prefect's logs, then versions and models, for which the dataset must be made anew without the subject."""
    with known.opened() as (found, repository):
        with _logs(repository, subject) as there:
            yield from texts_of(subject, there.names())
            yield from _without(there, subject, backup)
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
        notes = Path(repository.site_cache_dir)
    yield from _leftovers()
    if notes.is_dir():
        shutil.rmtree(notes)  # DVC makes them again
        yield f"{notes}: DVC's notes on paths removed"


def _check_built(history: locks.History, held: versions.Versions) -> None:
    """A UserError where the dataset that lies here was made before its tombstones."""
    made = {str(stage.output) for stage in pipeline.stages().values() if stage.module.startswith("tasks.")}
    late = [path for entry in history.current for path, md5 in entry.outs if path in made and (path, md5) in held.tables]
    if late:
        what = "rows of whom is to be purged: it was made before the tombstone"
        raise UserError(late[0], what, "a dataset without them", "run `pairwright run`, then the same command again")


@contextmanager
def _logs(repository: Repo, subject: Subject) -> Iterator[Logs]:
    """The raw logs of the workspace and of the private store, read together: whose a vote is may stand in another file.

    What is found is written down first, by digests and numbers, since what is left of the files after a kill no longer tells.
    """
    store = stores.private(repository)
    with scratch.made() as copies:
        for oid in store.files() if store else ():
            (copies / oid).write_bytes(store.read(oid) if store else b"")
        folders = [folder for folder in (*raw_logs.folders(), copies) if folder.is_dir()]
        files = [file for folder in folders for file in raw.raw_files(folder)]
        found = raw_logs.remembered(files, raw_logs.search_in(files, subject) if files else [])
        inside = [one.file.path.is_relative_to(copies) for one in found]
        yield Logs(
            store,
            [one for one, copied in zip(found, inside, strict=True) if not copied],
            [one for one, copied in zip(found, inside, strict=True) if copied],
        )
    raw_logs.PLAN.unlink(missing_ok=True)


def _without(there: Logs, subject: Subject, backup: Path | None) -> Iterator[str]:
    """The files here written anew; those of the store deleted, after the lists that name them: no version's logs are whole without."""
    yield from raw_logs.purge(there.here, subject.search, backup)
    if there.store:
        gone = [one.file.path.name for one in there.copies if one.own]
        lists = there.store.lists_with(set(gone))
        for oid in (*lists, *gone):
            there.store.delete(oid)
        yield f"{there.store.name}: {len(gone)} files of raw logs deleted, and {len(lists)} lists of files that named them"
    if not (there.here or there.copies):
        yield f"{raw_logs.folder()}: no record"


def texts_of(subject: Subject, names: list[bytes]) -> Iterator[str]:
    """Prefect's database, logs and pages, without the subject's ids and the names of its files."""
    values = [*subject.sure, *names]
    short = len(subject.values) - len(subject.known)
    if short:
        yield "logs and pages: an id this short stands in texts by chance: not looked for"
    for path, count in texts.files(values):
        texts.blank(path, values)
        yield f"{path}: {count} values blanked"
    if values:
        yield database.blank(values)


def _leftovers() -> Iterator[str]:
    """Outputs and logs that were half written when their command was killed."""
    whole = [*(stage.output for stage in pipeline.stages().values()), raw_logs.folder()]
    for place in (path.with_name(f".{path.name}.new") for path in whole):
        if place.is_dir():
            shutil.rmtree(place)
            yield f"{place}: half written by a command that was killed: removed"
