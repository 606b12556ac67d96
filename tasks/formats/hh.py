"""hh-rlhf: two whole transcripts, `chosen` and `rejected`, that should differ in the last answer only.

Rows where they part earlier, where an answer is empty, or where both are the same, hold no preference
between two answers to one prompt: they go to quarantine with that reason.
"""

from __future__ import annotations

import re
from typing import Any

from tasks.core.raw import Unreadable
from tasks.formats.facts import Facts, Said
from tasks.formats.two import Line, two_answers

TURN = re.compile(r"\n\n(Human|Assistant):")
ROLES = {"Human": "user", "Assistant": "assistant"}


def recognise(record: dict[str, Any]) -> bool:
    """True for two transcripts with turn markers."""
    return all(isinstance(record.get(side), str) and TURN.match(record[side]) for side in ("chosen", "rejected"))


def read(record: dict[str, Any]) -> Facts:
    """One conversation with two last answers, and the choice between them."""
    chosen, rejected = _line(record.get("chosen")), _line(record.get("rejected"))
    if chosen == rejected:
        raise Unreadable("identical_pair", "chosen and rejected are the same")
    if not chosen[-1].content or not rejected[-1].content:
        raise Unreadable("empty_answer", "the last answer of one side is empty")
    if chosen[:-1] != rejected[:-1]:
        raise Unreadable("prompts_differ", "chosen and rejected part before the last answer")
    if len(chosen) < 2 or chosen[-1].role != "assistant" or rejected[-1].role != "assistant":
        raise Unreadable("no_answer", "a transcript does not end with an answer to something")
    return two_answers(chosen, rejected, "a", (None, None))


def _line(transcript: object) -> Line:
    parts = TURN.split(transcript) if isinstance(transcript, str) else []
    if len(parts) < 3 or parts[0].strip():
        raise Unreadable("no_transcript", "expected text that begins with a turn marker")
    return [Said(ROLES[name], text.strip()) for name, text in zip(parts[1::2], parts[2::2], strict=True)]
