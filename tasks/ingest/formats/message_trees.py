"""Trees of messages: the depth of each message.

In: the messages of one record. Out: the depth of each message that is connected to a root, and notes of repairs.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary.reasons import ingest as why
from tasks.ingest.formats.parsed import Message

BEYOND = 1 << 24  # deeper than any conversation


def depths(messages: Sequence[Message]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Depth by turn id, 0 at a root.

    A message whose parent is not there (note `missing_parent`) keeps the name of its parent, since another record may have it, and counts
    its depth from BEYOND: what is known of its beginning elsewhere wins, and where nothing is, what people said about it has no
    prompt to stand on. Messages in or below a circle have no depth (note `cycle`). Raises when nothing is left, or when an id comes twice.
    """
    by_id = {message.turn_id: message for message in messages}
    if len(by_id) != len(messages):
        raise Unreadable(why.DUPLICATE_ID, f"{len(messages)} messages have {len(by_id)} different ids")
    orphans = [message for message in messages if message.parent_id is not None and message.parent_id not in by_id]
    depth: dict[str, int] = {}
    for message in messages:
        _walk(message.turn_id, by_id, depth)
    notes = [(why.MISSING_PARENT, f"{len(orphans)} messages whose parent is not in the record")] if orphans else []
    in_circles = [turn for turn, at in depth.items() if at < 0]
    for turn in in_circles:
        del depth[turn]
    if not depth:
        raise Unreadable(why.CYCLE, "no message leads back to a first one")
    if in_circles:
        notes.append((why.CYCLE, f"{len(in_circles)} messages lead back to themselves"))
    return depth, notes


def _walk(turn: str, by_id: dict[str, Message], depth: dict[str, int]) -> None:
    """Fill in the depth of a message and of all above it; -1 in and below a cycle."""
    path: list[str] = []
    on_path: set[str] = set()
    at: str | None = turn
    while at in by_id and at not in depth and at not in on_path:
        path.append(at)
        on_path.add(at)
        at = by_id[at].parent_id
    if at is None:
        base = 0
    elif at not in by_id:
        base = BEYOND
    elif at in depth:
        base = depth[at] + 1 if depth[at] >= 0 else -1
    else:
        base = -1
    for number, name in enumerate(reversed(path)):
        depth[name] = base + number if base >= 0 else -1
