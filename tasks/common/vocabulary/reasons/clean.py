"""Why `clean` drops a row."""

from __future__ import annotations

from typing import Final

from tasks.common.vocabulary.reasons import Reasons
from tasks.core.ledger import declare

DELETED: Final = "deleted"
ERROR: Final = "error"
UNFINISHED: Final = "unfinished"
NEEDS_MEDIA: Final = "needs_media"
EMPTY: Final = "empty"
ORPHANED: Final = "orphaned"
DELETED_BRANCH: Final = "deleted_branch"
TURN_DROPPED: Final = "turn_dropped"
BEFORE_ANSWER: Final = "before_answer"
IN_THE_FUTURE: Final = "in_the_future"

REASONS: Reasons = declare(
    "clean",
    {
        "turns": {
            DELETED: "the log marks the message as deleted",
            ERROR: "the provider's error message stands where the answer failed",
            UNFINISHED: "the answer was cut off, while it was typed or in its reasoning",
            NEEDS_MEDIA: "it holds nothing but pictures or files, which are not read",
            EMPTY: "nothing is left of it, and it calls no tool",
            ORPHANED: "it stands below a dropped message; siblings stay",
        },
        "feedback": {
            DELETED_BRANCH: "it is about a deleted message, or one below it",
            TURN_DROPPED: "it is about a message that was dropped for another reason",
            EMPTY: "it is an edit or correction to nothing",
            BEFORE_ANSWER: "it is older than the answer that it judges, by more than `clean.max_lead_hours`",
            IN_THE_FUTURE: "it is younger than the newest message of all, by more than `clean.max_lag_days`",
        },
    },
)
