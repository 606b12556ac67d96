"""What lay where in earlier releases: the table that `split` reads as an input, follows, and adds to.

One text file a salt, `<fingerprint of the salt>.txt`, in a folder that git keeps and that is in the deps of `split`. Under the name of each
mark stand the salted digests of what has it, sorted, one a line: prompts, conversations, people, first user turns and long answers. Who has
the file alone can try no text on it; who lost the salt has lost the table, as the ids of people.

Nothing that has a mark gets another one, but that a value may become ANYWHERE. So the file only grows, and a stage that reads the file
that it wrote itself writes the same again, byte for byte.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.common import salt
from tasks.common.vocabulary import splits
from tasks.core import whole_file
from tasks.core.errors import UserError, one_of

MARKS = (*splits.SPLITS, splits.NEITHER, splits.ANYWHERE)
NEITHER = 3  # of a prompt that is linked to two splits: it lies in none
ANYWHERE = 4  # of a value that is too common to link anything
UNKNOWN = -1
HEAD = "# Written by `split`: salted digests of what lies where, so that it stays there. Keep it in git with dvc.lock; do not edit it."
DIGEST = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Assignment:
    """Marks by digest, and the key that digests are made with."""

    key: bytes = b""
    marks: Mapping[str, int] = field(default_factory=dict)

    def digest(self, kind: str, name: object) -> str:
        """Twelve hex digits for a value of some kind ("prompt", "user", ...)."""
        return next(self.digests(kind, [name]))

    def digests(self, kind: str, names: Iterable[object]) -> Iterator[str]:
        """The `digest` of each value; what all begin with, and the key, are hashed once."""
        start = hashlib.blake2b(f"{kind}\x1d".encode("utf-8", "surrogatepass"), key=self.key, digest_size=6)
        for name in names:
            digest = start.copy()
            digest.update(str(name).encode("utf-8", "surrogatepass"))
            yield digest.hexdigest()

    def of(self, kind: str, names: pa.Array[Any]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The mark of each value, UNKNOWN for those that no earlier release had."""
        if not self.marks:
            return np.full(len(names), UNKNOWN)
        return np.fromiter((self.marks.get(at, UNKNOWN) for at in self.digests(kind, names.to_pylist())), np.int64, len(names))

    def grown(self, *more: tuple[str, pa.Array[Any], Iterable[int]]) -> Assignment:
        """The same with marks for these values (by kind) as well; what has a mark keeps it, unless the new one is ANYWHERE."""
        marks = dict(self.marks)
        for kind, names, added in more:
            for at, mark in zip(self.digests(kind, names.to_pylist()), added, strict=True):
                if mark == ANYWHERE or (mark != UNKNOWN and at not in marks):
                    marks[at] = mark
        return Assignment(self.key, marks)


def load(folder: Path) -> Assignment:
    """The assignment made with the salt of this run; an empty one where none is there."""
    secret = salt.current()
    path = place(folder, secret)
    key = hashlib.blake2b(secret.encode(), person=b"assignment").digest()
    if path.is_file():
        return Assignment(key, parse(path))
    public = salt.fingerprint(salt.PUBLIC)
    others = sorted(other.name for other in folder.glob("*.txt") if other.stem != public)
    if others:
        message = f"{folder}: nothing was written there with the salt of this run, but with another ({', '.join(others)})"
        warnings.warn(f"{message}: every row draws its split anew, also one that was trained on or tested with", stacklevel=2)
    return Assignment(key)


def place(folder: Path, secret: str) -> Path:
    """The file of the assignment made with this salt."""
    return folder / f"{salt.fingerprint(secret)}.txt"


def parse(path: Path) -> dict[str, int]:
    """Marks by digest; a UserError for a line that is none, or for a digest with two marks (a merge of two histories may bring them)."""
    found: dict[str, int] = {}
    mark = UNKNOWN
    remedy = f"take the file of a commit (`git checkout -- {path}`), or correct the line"
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if line.endswith(":") and line[:-1] in MARKS:
            mark = MARKS.index(line[:-1])
        elif mark != UNKNOWN and DIGEST.fullmatch(line):
            if ANYWHERE in (mark, found.get(line)):
                found[line] = ANYWHERE
            elif found.setdefault(line, mark) != mark:
                raise UserError(f"{path} line {number}", f"{line} in {MARKS[found[line]]} and in {MARKS[mark]}", "one place", remedy)
        elif line.strip() and not line.startswith("#"):
            expected = "12 hex digits under " + one_of(f"{name}:" for name in MARKS)
            raise UserError(f"{path} line {number}", repr(line[:40]), expected, remedy)
    return found


def render(assignment: Assignment) -> str:
    """The text of the file: the same for the same marks."""
    entries: list[list[str]] = [[] for _ in MARKS]
    for at, mark in assignment.marks.items():
        entries[mark].append(at)
    parts = [HEAD]
    for name, own in zip(MARKS, entries, strict=True):
        parts += [f"{name}:", *sorted(own)] if own else []
    return "\n".join(parts) + "\n"


def save(folder: Path, assignment: Assignment) -> None:
    """Put the assignment in its place."""
    if assignment.marks:
        whole_file.write(place(folder, salt.current()), render(assignment))
