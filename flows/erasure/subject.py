"""Who, or what, is to be forgotten: the tombstones that are written of it, and what is looked for."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path

from tasks.common import salt, tombstones
from tasks.common.tombstones import CONVERSATION, USER, Tombstones
from tasks.core import pipeline
from tasks.core.ids import person_id
from tasks.ingest.formats import FORMATS

SHORTEST = 6  # characters of a value that is looked for in texts: a shorter one stands in them by chance


@dataclass(frozen=True)
class Subject:
    """What is to be forgotten. `search` finds it in tables of any stage; `values` are texts that stand for it, to look for in logs."""

    written: Tombstones
    search: Tombstones
    values: tuple[str, ...]
    raw_id: str = ""

    @property
    def known(self) -> list[str]:
        """The values that are long enough to be looked for in texts."""
        return [value for value in self.values if len(value) >= SHORTEST]

    @property
    def sure(self) -> list[bytes]:
        """Those as they may stand in texts."""
        return [form for value in self.known for form in forms(value)]


def forms(value: str) -> list[bytes]:
    """A value as it may stand in texts: plain, and as JSON writes it with and without letters beyond ASCII."""
    found = (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    return [form.encode() for form in dict.fromkeys(found)]


def folder() -> Path:
    """Where tombstones lie."""
    return pipeline.stage("ingest").input(tombstones.NAME)


def of_user(hashed: str, day: dt.date, raw_id: str = "") -> Subject:
    """A person, by the hash that stands in tables."""
    one = Tombstones(salt.current()).grown(USER, [hashed], day)
    return Subject(one, one, tuple(filter(None, (hashed, raw_id))), raw_id)


def of_raw_id(native: str, day: dt.date) -> Subject:
    """A person, by the id that stands in the raw logs."""
    return of_user(person_id(native, salt.current()), day, native)


def of_conversation(name: str, day: dt.date) -> Subject:
    """A conversation, by its id in the log or in the tables; tables after redaction may have it hashed."""
    key = salt.current()
    source, _, native = name.partition(":")
    whole = [name] if source in FORMATS and native else [f"{known}:{name}" for known in FORMATS]
    written = Tombstones(key).grown(CONVERSATION, [name], day)
    hashed = [person_id(one, key) for one in whole]
    return Subject(written, written.grown(CONVERSATION, hashed, day), (native if source in FORMATS and native else name, *hashed))


def of_age(before: dt.date) -> Subject:
    """Conversations whose last message is from before this day."""
    one = Tombstones(salt.current()).aged(before)
    return Subject(one, one, ())


def bury(subject: Subject) -> Path:
    """Write the subject's tombstones beside those that are there; the file."""
    known = tombstones.load(folder(), salt.current())
    marks = {**subject.written.marks, **known.marks}
    more = Tombstones(known.key, marks, known.before)
    return tombstones.save(folder(), more.aged(subject.written.before) if subject.written.before else more)


def nobody() -> Tombstones:
    """Tombstones that name nothing."""
    return tombstones.NONE
