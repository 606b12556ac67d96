"""Why `split` drops a row."""

from __future__ import annotations

from typing import Final

from tasks.common.vocabulary.reasons import Reasons
from tasks.core.ledger import declare

CROSSES_SPLIT: Final = "crosses_split"

CROSSING = "it would lie in two splits: what it shares with prompts of another split was not kept together"
REASONS: Reasons = declare(
    "split",
    {
        "candidates": {CROSSES_SPLIT: CROSSING},
        "votes": {CROSSES_SPLIT: "it is by a person, or from a conversation, of another split than its prompt"},
    },
)
