"""A reader for a log that no format knows: one record a ticket, with the user's question, the bot's answer and a smiley.

    {"ticket": 17, "asked": "Where is my parcel?", "bot": "With the carrier.", "smiley": ":)", "customer": "ann"}

To use it: put it into the package of formats, add the line `"desk_notes": _format(desk_notes)` to `FORMATS`, and an example to the tests.
"""

from __future__ import annotations

from typing import Any

from tasks.common.raw_files.files import Unreadable
from tasks.ingest.formats.parsed import Act, Conversation, Message, ParsedRecord, name_of

SMILEYS = {":)": 1.0, ":(": -1.0}  # any other says nothing: a guessed vote is worse than none


def recognise(record: dict[str, Any]) -> bool:
    """True for a ticket with a question and an answer."""
    return {"ticket", "asked", "bot"} <= record.keys()


def read(record: dict[str, Any]) -> ParsedRecord:
    """One conversation of one question, and its thumb, where there is one."""
    if not isinstance(record["asked"], str) or not isinstance(record["bot"], str):
        raise Unreadable("no_messages", "expected texts in asked and bot")
    if (ticket := name_of(record["ticket"])) is None:
        raise Unreadable("no_id", "expected a number or a text in ticket")
    user = name_of(record.get("customer"))
    messages = [Message("q", None, "user", record["asked"]), Message("a", "q", "assistant", record["bot"])]
    value = SMILEYS.get(str(record.get("smiley")))
    acts = [Act(ticket, "thumb", "a", value, (-1.0, 1.0), annotator=user)] if value is not None else []
    return ParsedRecord([Conversation(ticket, messages, user)], acts)
