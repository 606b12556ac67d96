"""Messages that came one per record: their conversation and depth.

In: the loose messages of all files, and the depths of known turns. Out: conversation and depth of each.
"""

from __future__ import annotations

from typing import NamedTuple

from tasks.ingest.formats.parsed import Loose

LOOSE = -1  # place in its record of a message that is alone there


class Place(NamedTuple):
    """The location of a record."""

    file: str
    record: int


class Waiting(NamedTuple):
    """A loose message, waiting until all files are read."""

    source: str
    at: Place
    loose: Loose


def locate(
    item: Waiting,
    by_id: dict[tuple[str, str], Waiting],
    known: dict[tuple[str, str], int],
    root: dict[tuple[str, str], tuple[str, int] | None],
) -> tuple[str, int] | None:
    """(conversation, depth) of a loose message; None when a parent is in no file, or the parents form a cycle."""
    path: dict[tuple[str, str], None] = {}
    at: Waiting | None = item
    located: tuple[str, int] | None = None
    while at is not None:
        key = (at.source, at.loose.message.turn_id)
        if key in root or key in path:
            located = root.get(key)
            break
        path[key] = None
        parent, tree = at.loose.message.parent_id, at.loose.tree
        if parent is None:
            located = (tree or at.loose.message.turn_id, -1)
            break
        if tree is not None and (f"{at.source}:{tree}", parent) in known:
            located = (tree, known[f"{at.source}:{tree}", parent])
            break
        at = by_id.get((item.source, parent))
    for key in reversed(path):
        located = None if located is None else (located[0], located[1] + 1)
        root[key] = located
    return root[item.source, item.loose.message.turn_id]
