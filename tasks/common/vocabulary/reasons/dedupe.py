"""Why `dedupe` drops a row."""

from __future__ import annotations

from typing import Final

from tasks.common.vocabulary.reasons import Reasons
from tasks.core.ledger import declare

EXACT_COPY: Final = "exact_copy"
NEAR_COPY: Final = "near_copy"
EARLIER_COPY: Final = "earlier_copy"
NO_TURN: Final = "no_turn"
REPEATED: Final = "repeated"

REASONS: Reasons = declare(
    "dedupe",
    {
        "turns": {
            EXACT_COPY: "its conversation has the same text as another; `copy_of` names the one that stays",
            NEAR_COPY: "its conversation is one chat with another, question by question and answer by answer; `copy_of` names that one",
            EARLIER_COPY: "its conversation was exported before it ended: all its messages are the beginning of another, which stays",
        },
        "feedback": {
            NO_TURN: "it is about a message that the copy it lies in does not have",
            REPEATED: "the merge shows it to be the same act as another: of the same person, or of the same moment",
        },
    },
)
