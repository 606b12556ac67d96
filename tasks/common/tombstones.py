"""Tombstones: what must never be read again, of whom or of when. Stage `ingest` reads them as an input and leaves it all out.

One text file a salt, `<fingerprint of the salt>.txt`, in a folder that git keeps. One line each, sorted:

    conversation <digest> <day>      a conversation, by its id in the log
    older <day>                      conversations whose last message is from before this day, by UTC
    user <digest> <day>              a person

Digests are made with the salt, and differ from the hashes that stand in tables; the last day is that of the entry. Nobody who has only the
file can tell whose line it is. Tombstones of another salt cannot be matched to anyone: then nothing is read, so that nobody comes back.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tasks.common import salt
from tasks.core import whole_file
from tasks.core.errors import UserError
from tasks.core.ids import keyed_digest

NAME = "erased"  # of the folder, among the inputs of `ingest`
USER, CONVERSATION, OLDER = "user", "conversation", "older"
DAY = r"\d{4}-\d\d-\d\d"
LINE = re.compile(rf"({CONVERSATION}|{USER}) ([0-9a-f]{{16}}) ({DAY})|({OLDER}) ({DAY})")


@dataclass(frozen=True)
class Tombstones:
    """What is erased, by kind; `marks` are digests with the day of their entry."""

    key: str = ""  # the salt
    marks: dict[tuple[str, str], str] = field(default_factory=dict)  # kind and digest: day of the entry
    before: dt.date | None = None

    def __bool__(self) -> bool:
        return bool(self.marks or self.before)

    def has(self, kind: str, *values: str) -> bool:
        """Whether one of these names of one thing is erased."""
        return any((kind, digest(self.key, kind, value)) in self.marks for value in values)

    def has_kind(self, kind: str) -> bool:
        """Whether anything of this kind is erased."""
        return any(known == kind for known, _ in self.marks)

    def grown(self, kind: str, values: Iterable[str], day: dt.date) -> Tombstones:
        """The same with these values as well; an entry that is there keeps its day."""
        more = {(kind, digest(self.key, kind, value)): day.isoformat() for value in values}
        return Tombstones(self.key, more | self.marks, self.before)

    def aged(self, before: dt.date) -> Tombstones:
        """The same with all that is from before this day as well; what was erased stays erased."""
        return Tombstones(self.key, self.marks, max(before, self.before or before))


NONE = Tombstones()


def digest(key: str, kind: str, value: str) -> str:
    """What stands in the file for a person's hash, or for a conversation's id."""
    return keyed_digest(key, NAME, kind, value)


def names_of(conversation: str) -> tuple[str, str]:
    """A conversation by its id in the tables, and by its id in the log; of several with one id (`~` and a digest) only the former."""
    return conversation, conversation.partition(":")[2]


def place(folder: Path, key: str) -> Path:
    """The file of the tombstones made with this salt."""
    return folder / f"{salt.fingerprint(key)}.txt"


def load(folder: Path, key: str) -> Tombstones:
    """The tombstones; a UserError where there are those of another salt, which would let people come back."""
    found = parse(place(folder, key), key)
    known = {salt.fingerprint(key), salt.fingerprint(salt.PUBLIC)}
    others = sorted(path for path in folder.glob("*.txt") if path.stem not in known and parse(path, key))
    if others:
        remedy = "restore that salt; or erase these people anew by their ids in the log (`forget --raw-id -`), then delete the file"
        raise UserError(str(others[0]), "tombstones made with another salt", "those of the salt in use, which alone can be matched", remedy)
    return found


def parse(path: Path, key: str) -> Tombstones:
    """What a file says; a UserError for a line that says nothing."""
    marks, before = dict[tuple[str, str], str](), list[dt.date]()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line.strip():
            continue
        parts = _line(path, number, line)
        if parts[3]:
            before.append(dt.date.fromisoformat(parts[4]))
        else:
            marks.setdefault((parts[0], parts[1]), parts[2])
    return Tombstones(key, marks, max(before, default=None))


def _line(path: Path, number: int, line: str) -> tuple[str, ...]:
    found = LINE.fullmatch(line)
    try:
        for day in re.findall(DAY, line) if found else []:
            dt.date.fromisoformat(day)
    except ValueError:
        found = None
    if not found:
        expected = "`user DIGEST DAY`, `conversation DIGEST DAY` or `older DAY`"
        raise UserError(
            f"{path} line {number}", repr(line[:40]), expected, f"take the file of a commit (`git checkout -- {path}`), or correct it"
        )
    return tuple(part or "" for part in found.groups())


HEAD = "# Written by `pairwright forget`: what `ingest` must leave out. Keep it in git; a line that is deleted lets its person come back."


def render(tombstones: Tombstones) -> str:
    """The text of the file: the same for the same tombstones."""
    lines = [f"{kind} {mark} {day}" for (kind, mark), day in tombstones.marks.items()]
    lines += [f"{OLDER} {tombstones.before}"] if tombstones.before else []
    return "\n".join([HEAD, *sorted(lines)]) + "\n"


def save(folder: Path, tombstones: Tombstones) -> Path:
    """Put the tombstones in their place."""
    path = place(folder, tombstones.key)
    folder.mkdir(parents=True, exist_ok=True)
    whole_file.write(path, render(tombstones))
    return path
