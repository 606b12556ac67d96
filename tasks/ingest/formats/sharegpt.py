"""ShareGPT: `{"id", "conversations": [{"from": "human" | "gpt" | "system" | ..., "value"}]}`, also with `items`.

`chosen` and `rejected` may stand beside (see `tasks.ingest.formats.labelled_messages`).
"""

from __future__ import annotations

from typing import Any

from tasks.common.raw_files.files import Unreadable
from tasks.ingest.formats.answers import in_one_piece
from tasks.ingest.formats.labelled_messages import from_value, judged
from tasks.ingest.formats.message_parts import tools_of
from tasks.ingest.formats.parsed import Conversation, Facts, chain, content_id, name_of


def recognise(record: dict[str, Any]) -> bool:
    """True for a list of `from` and `value`."""
    turns = _turns(record)
    return bool(turns) and isinstance(turns[0], dict) and "from" in turns[0] and "value" in turns[0]


def read(record: dict[str, Any]) -> Facts:
    """One conversation, a line of messages."""
    turns = _turns(record)
    if not turns or not all(isinstance(turn, dict) for turn in turns):
        raise Unreadable("no_messages", "expected a list of objects with `from` and `value`")
    line = [from_value(turn) for turn in turns]
    if (facts := judged(record, line, name_of(record.get("id")))) is not None:
        return facts
    model = record.get("model")
    messages, tools = chain(line, model if isinstance(model, str) else None), tools_of(record)
    return Facts([in_one_piece(Conversation(name_of(record.get("id")) or content_id(line, tools=tools), messages, tools=tools))])


def _turns(record: dict[str, Any]) -> list[Any]:
    turns = record.get("conversations", record.get("items"))
    return turns if isinstance(turns, list) else []
