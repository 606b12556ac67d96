"""Records that stand inside others: a log collector's (Docker's `log`, journald's `MESSAGE`, a queue's `body`), or an API's page.

In: a record that no reader knows. Out: the record inside it that one knows, or the list of them, and the key under which it stands.
Also lists of messages that went through a table, and are JSON text since.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tasks.common.raw_files.json_repair import parse
from tasks.ingest.formats import recognise

DEPTH = 3  # collectors wrap what others have wrapped
LISTS = ("messages", "conversation", "conversations", "prompt", "chosen", "rejected")
SPEAKS = re.compile(r'\[\s*\{[^{}]*"(?:role|from|content)"\s*:')


def unwrapped(record: dict[str, Any], depth: int = DEPTH) -> tuple[dict[str, Any], str] | None:
    """The one record inside that a reader knows, and its key; None when there is none, or more than one."""
    inside = list(_inside(record))
    known = [(value, key) for value, key in inside if recognise(value)]
    if not known and depth > 1:
        known = [(found[0], f"{key}.{found[1]}") for value, key in inside if (found := unwrapped(value, depth - 1))]
    return known[0] if len(known) == 1 else None


def listed(record: dict[str, Any], depth: int = DEPTH) -> tuple[list[Any], str] | None:
    """The records of the one list inside (or of a mapping from ids) of which a reader knows any, and its key; None where there is none."""
    known: list[tuple[list[Any], str]] = []
    for key, value in record.items():
        items = value if isinstance(value, list) else []
        if any(isinstance(item, dict) and (recognise(item) or unwrapped(item)) for item in items):
            known.append((items, key))
        elif isinstance(value, dict) and depth > 1 and (found := listed(value, depth - 1)):
            known.append((found[0], f"{key}.{found[1]}"))
    if known:
        return known[0] if len(known) == 1 else None
    items = list(record.values())
    return (items, "*") if len(items) > 1 and all(isinstance(item, dict) and recognise(item) for item in items) else None


def untabled(record: dict[str, Any]) -> dict[str, Any]:
    """The record with its lists of messages as lists where they are JSON text."""
    changed = {
        key: value for key in LISTS if type(text := record.get(key)) is str and text[:1] == "[" and (value := _messages(text)) is not None
    }
    return record | changed if changed else record


def _messages(text: str) -> list[Any] | None:
    """A JSON text's list of messages; None where it is something else."""
    if not SPEAKS.search(text, 0, 2_000):
        return None
    value, _ = parse(text.encode("utf-8", "replace"))
    return value if isinstance(value, list) and value and all(isinstance(item, dict) for item in value) else None


def _inside(record: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Objects that are values of the record, or that stand in them as JSON text."""
    for key, value in record.items():
        if isinstance(value, str) and value.lstrip()[:1] == "{":
            value, _ = parse(value.encode("utf-8", "replace"))
        if isinstance(value, dict):
            yield value, key
