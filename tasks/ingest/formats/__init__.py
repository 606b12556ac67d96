"""Log formats: one module each, native record → conversations and acts. A new format is one module and one line here.

A format has `recognise(record) -> bool`, true for its own records only, and `read(record) -> ParsedRecord`, which raises
`Unreadable` with a one-word reason. Recognition sees the record's content, never the file's name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tasks.ingest.formats import arena, chatgpt, claude, hh, jsonl, librechat, oasst, openai, openwebui, preference, sharegpt
from tasks.ingest.formats.parsed import ParsedRecord


@dataclass(frozen=True)
class Format:
    """A reader: which records it recognises, and what it reads from them."""

    recognise: Callable[[dict[str, object]], bool]
    read: Callable[[dict[str, object]], ParsedRecord]


def _format(module: ModuleType) -> Format:
    return Format(module.recognise, module.read)


FORMATS: dict[str, Format] = {
    "jsonl": _format(jsonl),
    "openwebui": _format(openwebui),
    "oasst": _format(oasst),
    "hh": _format(hh),
    "arena": _format(arena),
    "sharegpt": _format(sharegpt),
    "openai": _format(openai),
    "chatgpt": _format(chatgpt),
    "librechat": _format(librechat),
    "claude": _format(claude),
    "preference": _format(preference),
}


def recognise(record: dict[str, Any]) -> str | None:
    """The name of a record's format; None when no reader recognises it."""
    return next((name for name, known in FORMATS.items() if known.recognise(record)), None)
