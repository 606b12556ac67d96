"""hh-rlhf: two whole transcripts, `chosen` and `rejected`, that should differ in the last answer only.

Rows that differ earlier, with an empty answer, or with two equal transcripts hold no preference between two answers to one prompt: they are
quarantined with that reason.
"""

from __future__ import annotations

import re
from typing import Any

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary.reasons import ingest as why
from tasks.common.vocabulary.roles import ASSISTANT, USER
from tasks.ingest.formats.comparisons import Line, two_answers
from tasks.ingest.formats.parsed import ParsedRecord, Utterance

TURN = re.compile(r"\n\n(Human|Assistant):")
TIGHT = re.compile(r"\n(Human|Assistant):")  # copies of the set that lost its blank lines
START = re.compile(r"\s*(?:Human|Assistant):")
ROLES = {"Human": USER, "Assistant": ASSISTANT}


def recognise(record: dict[str, Any]) -> bool:
    """True for two transcripts with turn markers."""
    return all(isinstance(record.get(side), str) and begins(record[side]) for side in ("chosen", "rejected"))


def read(record: dict[str, object]) -> ParsedRecord:
    """One conversation with two last answers, and the choice between them."""
    chosen, rejected = line_of(record.get("chosen")), line_of(record.get("rejected"))
    if chosen == rejected:
        raise Unreadable(why.IDENTICAL_PAIR, "chosen and rejected are the same")
    if not chosen[-1].content or not rejected[-1].content:
        raise Unreadable(why.EMPTY_ANSWER, "the last answer of one side is empty")
    if chosen[:-1] != rejected[:-1]:
        raise Unreadable(why.PROMPTS_DIFFER, "chosen and rejected part before the last answer")
    if len(chosen) < 2 or chosen[-1].role != ASSISTANT or rejected[-1].role != ASSISTANT:
        raise Unreadable(why.NO_ANSWER, "a transcript does not end with an answer to something")
    return two_answers(chosen, rejected, "a", (None, None))


def begins(text: str) -> bool:
    """Whether a text is a transcript with turn markers."""
    return START.match(text) is not None and ("Human:" in text and "Assistant:" in text)


def line_of(transcript: object, *, open_end: bool = False) -> Line:
    """The messages of a transcript; one that ends with an empty turn is a prompt, where that is allowed."""
    text = "\n\n" + transcript.lstrip() if isinstance(transcript, str) else ""
    parts = (TURN if len(TURN.findall(text)) > 1 else TIGHT).split(text)
    if len(parts) < 3 or parts[0].strip():
        raise Unreadable(why.NO_TRANSCRIPT, "expected text that begins with a turn marker")
    if open_end and parts[-2] == "Assistant" and not parts[-1].strip():
        parts = parts[:-2]
    return [Utterance(ROLES[name], text.strip()) for name, text in zip(parts[1::2], parts[2::2], strict=True)]
