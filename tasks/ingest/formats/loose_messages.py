"""Messages that came one a record: which conversation they belong to, and how deep they stand.

In: all loose messages of all files, and the depths of turns already placed. Out: conversation and depth of each.
"""

from __future__ import annotations

from typing import NamedTuple

from tasks.ingest.formats.parsed import Loose


class Place(NamedTuple):
    """Where a record stands."""

    file: str
    record: int


class Waiting(NamedTuple):
    """A loose message until all files are read."""

    source: str
    at: Place
    loose: Loose


def climb(
    item: Waiting,
    by_id: dict[tuple[str, str], Waiting],
    known: dict[tuple[str, str], int],
    root: dict[tuple[str, str], tuple[str, int] | None],
) -> tuple[str, int] | None:
    """(conversation, depth) of a loose message; None when the way up ends at a message that is in no file, or goes in circles."""
    path: dict[tuple[str, str], None] = {}
    at: Waiting | None = item
    found: tuple[str, int] | None = None
    while at is not None:
        key = (at.source, at.loose.message.turn_id)
        if key in root or key in path:
            found = root.get(key)
            break
        path[key] = None
        parent, tree = at.loose.message.parent_id, at.loose.tree
        if parent is None:
            found = (tree or at.loose.message.turn_id, -1)
            break
        if tree is not None and (f"{at.source}:{tree}", parent) in known:
            found = (tree, known[f"{at.source}:{tree}", parent])
            break
        at = by_id.get((item.source, parent))
    for key in reversed(path):
        found = None if found is None else (found[0], found[1] + 1)
        root[key] = found
    return root[item.source, item.loose.message.turn_id]
