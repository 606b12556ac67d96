"""Records that a log collector wrapped in one of its own: Docker's `log`, journald's `MESSAGE`, a queue's `body`.

In: a record that no reader knows. Out: the record inside it that one knows, and the key under which it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tasks.core.mending import parse
from tasks.formats import recognise

DEPTH = 3  # collectors wrap what others have wrapped


def unwrapped(record: dict[str, Any], depth: int = DEPTH) -> tuple[dict[str, Any], str] | None:
    """The one record inside that a reader knows, and its key; None when there is none, or more than one."""
    inside = list(_inside(record))
    known = [(value, key) for value, key in inside if recognise(value)]
    if not known and depth > 1:
        known = [(found[0], f"{key}.{found[1]}") for value, key in inside if (found := unwrapped(value, depth - 1))]
    return known[0] if len(known) == 1 else None


def _inside(record: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Objects that are values of the record, or that stand in them as JSON text."""
    for key, value in record.items():
        if isinstance(value, str) and value.lstrip()[:1] == "{":
            value, _ = parse(value.encode("utf-8", "replace"))
        if isinstance(value, dict):
            yield value, key
