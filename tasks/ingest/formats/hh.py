"""hh-rlhf: two whole transcripts, `chosen` and `rejected`, that should differ in the last answer only.

Rows where they part earlier, where an answer is empty, or where both are the same, hold no preference
between two answers to one prompt: they go to quarantine with that reason.
"""

from __future__ import annotations

import re
from typing import Any

from tasks.common.raw_files.files import Unreadable
from tasks.ingest.formats.comparisons import Line, two_answers
from tasks.ingest.formats.parsed import Facts, Said

TURN = re.compile(r"\n\n(Human|Assistant):")
TIGHT = re.compile(r"\n(Human|Assistant):")  # copies of the set that lost its blank lines
START = re.compile(r"\s*(?:Human|Assistant):")
ROLES = {"Human": "user", "Assistant": "assistant"}


def recognise(record: dict[str, Any]) -> bool:
    """True for two transcripts with turn markers."""
    return all(isinstance(record.get(side), str) and begins(record[side]) for side in ("chosen", "rejected"))


def read(record: dict[str, Any]) -> Facts:
    """One conversation with two last answers, and the choice between them."""
    chosen, rejected = line_of(record.get("chosen")), line_of(record.get("rejected"))
    if chosen == rejected:
        raise Unreadable("identical_pair", "chosen and rejected are the same")
    if not chosen[-1].content or not rejected[-1].content:
        raise Unreadable("empty_answer", "the last answer of one side is empty")
    if chosen[:-1] != rejected[:-1]:
        raise Unreadable("prompts_differ", "chosen and rejected part before the last answer")
    if len(chosen) < 2 or chosen[-1].role != "assistant" or rejected[-1].role != "assistant":
        raise Unreadable("no_answer", "a transcript does not end with an answer to something")
    return two_answers(chosen, rejected, "a", (None, None))


def begins(text: str) -> bool:
    """Whether a text is a transcript with turn markers."""
    return START.match(text) is not None and ("Human:" in text and "Assistant:" in text)


def line_of(transcript: object, *, open_end: bool = False) -> Line:
    """The messages of a transcript; one that ends with an empty turn is a prompt, if it may have an open end."""
    text = "\n\n" + transcript.lstrip() if isinstance(transcript, str) else ""
    parts = (TURN if len(TURN.findall(text)) > 1 else TIGHT).split(text)
    if len(parts) < 3 or parts[0].strip():
        raise Unreadable("no_transcript", "expected text that begins with a turn marker")
    if open_end and parts[-2] == "Assistant" and not parts[-1].strip():
        parts = parts[:-2]
    return [Said(ROLES[name], text.strip()) for name, text in zip(parts[1::2], parts[2::2], strict=True)]
