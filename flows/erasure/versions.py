"""Earlier versions and models: which recorded outputs hold something of a subject, and the deletion of their bytes everywhere.

Tables are looked into, object by object. A release that holds a row of the subject is taken to have taught it to the models trained on it.
What is to be deleted is written down first, as digests alone, so that a purge that is killed is finished by the next one.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.erasure import rows
from flows.erasure.locks import History, Out
from flows.erasure.stores import DIR, Stores
from flows.storage import recorded
from flows.versions import champion, record
from tasks.common import salt
from tasks.common.tombstones import Tombstones
from tasks.core import pipeline
from tasks.core.tables import TABLES

PLAN = salt.FOLDER / "erasing.json"
PARQUET = ".parquet"
UNRECORDED = "an output of no version"  # of a run that failed or that a gate held: in the cache alone
Say = Callable[[str], object]


@dataclass
class Versions:
    """Recorded outputs that hold something of the subject: tables, and what was trained on them.

    Of those that are `unsure` the bytes are there, but not those of what they were made from.
    """

    tables: set[Out] = field(default_factory=set)
    trained: set[Out] = field(default_factory=set)
    unsure: set[Out] = field(default_factory=set)

    @property
    def held(self) -> set[Out]:
        """All outputs that hold something."""
        return self.tables | self.trained


class Look:
    """A look into all recorded outputs; each object is read once."""

    def __init__(self, history: History, stores: Stores, search: Tombstones) -> None:
        self._history, self._stores, self._search = history, stores, search
        private = {str(stage.output) for stage in pipeline.stages().values() if stage.private}  # in no store
        self._listings = {out: stores.listing(out) for out in sorted(history.outs()) if out[0] not in private}
        unrecorded = stores.lists() - {md5 for _, md5 in self._listings}
        self._listings |= {(UNRECORDED, oid): stores.listing((UNRECORDED, oid)) for oid in sorted(unrecorded)}
        self._hit: dict[str, bool] = {}

    def marks(self) -> set[str]:
        """The marks that the turns and feedback of all versions give."""
        found: set[str] = set()
        for listing in self._listings.values():
            turns, feedback = (self._table(listing or {}, name) for name in (rows.TURNS, rows.FEEDBACK))
            if len(turns) or len(feedback):
                found |= rows.marks_of(turns, feedback, self._search)
        return found

    def find(self, marks: set[str]) -> Versions:
        """Which outputs hold one of the marks, or were trained on one that does."""
        tables, away = set[Out](), set[Out]()
        for out, listing in self._listings.items():
            answers = [self._holds(oid, marks) for path, oid in (listing or {}).items() if path.endswith(PARQUET)]
            if any(answers):
                tables.add(out)
            elif listing is None or None in answers:
                away.add(out)
        trained = self._history.made_from(tables) - tables
        unsure = {out for out in self._history.made_from(away) - away - tables - trained if self._listings.get(out) is not None}
        return Versions(tables, trained - away, unsure)

    def objects(self, held: set[Out]) -> list[str]:
        """Objects of these outputs that no other recorded output has; lists of folders last."""
        gone = {oid for out in held for oid in (out[1], *(self._listings[out] or {}).values())}
        others = set(self._listings) - held
        kept = {oid for out in others for oid in (out[1], *(self._listings[out] or {}).values())}
        return sorted(gone - kept, key=lambda oid: (oid.endswith(DIR), oid))

    def tables(self, name: str) -> Iterator[pa.Table]:
        """The tables of this name in all versions, as they were written."""
        for listing in self._listings.values():
            wanted = [oid for path, oid in (listing or {}).items() if path.endswith(PARQUET) and Path(path).parent.as_posix() == name]
            parts = [pq.read_table(io.BytesIO(data)) for oid in wanted if (data := self._stores.read(oid)) is not None]
            if parts:
                yield pa.concat_tables(parts)

    def _table(self, listing: dict[str, str], name: str) -> pa.Table:
        schema = TABLES[name].schema()
        places = (name, f"dropped/{name}")
        wanted = [oid for path, oid in listing.items() if path.endswith(PARQUET) and Path(path).parent.as_posix() in places]
        read = [pq.read_table(io.BytesIO(data)) for oid in wanted if (data := self._stores.read(oid)) is not None]
        return pa.concat_tables([schema.empty_table(), *(part.select(schema.names).cast(schema) for part in read)])

    def _holds(self, oid: str, marks: set[str]) -> bool | None:
        if oid not in self._hit:
            data = self._stores.read(oid)
            if data is None:
                return None
            self._hit[oid] = rows.hits(pq.read_table(io.BytesIO(data)), marks) > 0
        return self._hit[oid]


def plan(objects: Iterable[str], named: Iterable[str]) -> None:
    """Write down what is to be deleted, and the versions whose records are to say so: tags, or digests of releases."""
    PLAN.parent.mkdir(exist_ok=True)
    beside = PLAN.with_name(f".{PLAN.name}.new")
    beside.write_text(json.dumps({"objects": list(objects), "versions": sorted(named)}), encoding="utf-8")
    beside.replace(PLAN)


def finish(stores: Stores) -> Iterator[str]:
    """Do what is written down; nothing where nothing is."""
    if not PLAN.is_file():
        return
    written = json.loads(PLAN.read_bytes())
    for store in stores.stores:
        there = [oid for oid in written["objects"] if store.has(oid)]
        for oid in there:
            store.delete(oid)
        yield f"{store.name}: {len(there)} files of earlier versions and models deleted"
    for name in _mark_erased(set(written["versions"])):
        yield f"{name}: its record says that it is erased; the tag stays"
    if not stores.away:
        PLAN.unlink()


def _mark_erased(named: set[str]) -> Iterator[str]:
    """Let the records of these versions say that their bytes are gone."""
    for one in record.records() if has_records() else ():
        if {one["tag"], one["release"]["md5"]} & named and not one.get("erased"):
            record.write({**one, "erased": True})  # type: ignore[typeddict-unknown-key]  # written by an erasure alone
            yield one["tag"]


def has_records() -> bool:
    """Whether there are records of versions here."""
    return any(record.folder().glob("v*.json"))


def remove_outputs(held: set[Out], history: History) -> Iterator[str]:
    """Take models and the like that lie in the workspace, and checkpoints of their training, away."""
    held_here = {path for entry in history.current for path, md5 in entry.outs if (path, md5) in held}
    for stage in pipeline.stages().values():
        if str(stage.output) in held_here:
            for folder in filter(None, (stage.output, stage.checkpoints)):
                if folder.exists():
                    shutil.rmtree(folder)
                    yield f"{folder}: removed"
    if any(str(entry.path) in held_here for entry in recorded.champion()):
        yield from champion.remove()
