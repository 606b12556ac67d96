"""ShareGPT: `{"id", "conversations": [{"from": "human" | "gpt" | "system" | ..., "value"}]}`, also with `items`.

`chosen` and `rejected` may be next to it (see `tasks.ingest.formats.labelled_messages`).
"""

from __future__ import annotations

from typing import Any

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary.reasons import ingest as why
from tasks.ingest.formats.answers import join_pieces
from tasks.ingest.formats.labelled_messages import from_value, read_judgement
from tasks.ingest.formats.message_parts import tools_of
from tasks.ingest.formats.parsed import Conversation, ParsedRecord, chain, content_id, name_of


def recognise(record: dict[str, object]) -> bool:
    """True for a list of `from` and `value`."""
    turns = _turns(record)
    return bool(turns) and isinstance(turns[0], dict) and "from" in turns[0] and "value" in turns[0]


def read(record: dict[str, object]) -> ParsedRecord:
    """One conversation, a line of messages."""
    turns = _turns(record)
    if not turns or not all(isinstance(turn, dict) for turn in turns):
        raise Unreadable(why.NO_MESSAGES, "expected a list of objects with `from` and `value`")
    line = [from_value(turn) for turn in turns]
    if (parsed := read_judgement(record, line, name_of(record.get("id")))) is not None:
        return parsed
    model = record.get("model")
    messages, tools = chain(line, model if isinstance(model, str) else None), tools_of(record)
    return ParsedRecord([join_pieces(Conversation(name_of(record.get("id")) or content_id(line, tools=tools), messages, tools=tools))])


def _turns(record: dict[str, object]) -> list[Any]:
    turns = record.get("conversations", record.get("items"))
    return turns if isinstance(turns, list) else []
