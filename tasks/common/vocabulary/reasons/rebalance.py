"""Why `rebalance` drops a row."""

from __future__ import annotations

from typing import Final

from tasks.common.vocabulary.reasons import Reasons
from tasks.core.ledger import declare

UNDERSAMPLED: Final = "undersampled"
NOT_NEEDED: Final = "not_needed"

REASONS: Reasons = declare(
    "rebalance",
    {
        "candidates": {
            UNDERSAMPLED: "its stratum is larger than `rebalance.max_ratio` allows, and it was not drawn",
            NOT_NEEDED: "a variant that its stratum does not need to reach the size that `rebalance.max_ratio` asks",
        }
    },
)
