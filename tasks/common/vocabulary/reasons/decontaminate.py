"""Why `decontaminate` drops a row."""

from __future__ import annotations

from typing import Final

from tasks.common.vocabulary.reasons import Reasons
from tasks.core.ledger import declare

BENCHMARK: Final = "benchmark"

REASONS: Reasons = declare(
    "decontaminate",
    {
        "candidates": {
            BENCHMARK: "it holds an item of a benchmark; beside it stand the benchmark, the item, the method and the similarity"
        },
    },
)
