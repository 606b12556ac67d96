"""Records nested in others: a log collector's (Docker's `log`, journald's `MESSAGE`, a queue's `body`), or a page of an API.

In: a record that no reader recognises. Out: the nested record that one recognises, or a list of them, and its key. Also lists of messages
that are stored as JSON text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tasks.common.raw_files.json_repair import parse
from tasks.ingest.formats import recognise

DEPTH = 3  # collectors may wrap each other's records
LISTS = ("messages", "conversation", "conversations", "prompt", "chosen", "rejected")
SPEAKS = re.compile(r'\[\s*\{[^{}]*"(?:role|from|content)"\s*:')


def unwrapped(record: dict[str, object], depth: int = DEPTH) -> tuple[dict[str, object], str] | None:
    """The only nested record that a reader recognises, and its key; None when there is none, or more than one."""
    inside = list(_inside(record))
    known = [(value, key) for value, key in inside if recognise(value)]
    if not known and depth > 1:
        known = [(nested[0], f"{key}.{nested[1]}") for value, key in inside if (nested := unwrapped(value, depth - 1))]
    return known[0] if len(known) == 1 else None


def listed(record: dict[str, object], depth: int = DEPTH) -> tuple[list[object], str] | None:
    """The records of the only nested list (or mapping by id) with a record that a reader recognises, and its key; None without one."""
    known: list[tuple[list[Any], str]] = []
    for key, value in record.items():
        items = value if isinstance(value, list) else []
        if any(isinstance(item, dict) and (recognise(item) or unwrapped(item)) for item in items):
            known.append((items, key))
        elif isinstance(value, dict) and depth > 1 and (records := listed(value, depth - 1)):
            known.append((records[0], f"{key}.{records[1]}"))
    if known:
        return known[0] if len(known) == 1 else None
    items = list(record.values())
    return (items, "*") if len(items) > 1 and all(isinstance(item, dict) and recognise(item) for item in items) else None


def untabled(record: dict[str, Any]) -> dict[str, object]:
    """The record with lists of messages that are JSON text parsed."""
    changed = {
        key: value for key in LISTS if type(text := record.get(key)) is str and text[:1] == "[" and (value := _messages(text)) is not None
    }
    return record | changed if changed else record


def _messages(text: str) -> list[object] | None:
    """A JSON text's list of messages; None where it is something else."""
    if not SPEAKS.search(text, 0, 2_000):
        return None
    value, _ = parse(text.encode("utf-8", "replace"))
    return value if isinstance(value, list) and value and all(isinstance(item, dict) for item in value) else None


def _inside(record: dict[str, object]) -> Iterator[tuple[dict[str, object], str]]:
    """Objects among the values of the record, also as JSON text."""
    for key, value in record.items():
        if isinstance(value, str) and value.lstrip()[:1] == "{":
            value, _ = parse(value.encode("utf-8", "replace"))
        if isinstance(value, dict):
            yield value, key
