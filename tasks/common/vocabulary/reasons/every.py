"""The reasons of all stages, for those who tell of all: reports and reference pages. A stage imports its own module alone."""

from __future__ import annotations

from tasks.common.vocabulary.reasons import (
    Reasons,
    aggregate,
    augment,
    clean,
    decontaminate,
    dedupe,
    ingest,
    pair,
    rebalance,
    release,
    split,
    validate,
)

STAGES: dict[str, Reasons] = {
    "ingest": ingest.REASONS,
    "clean": clean.REASONS,
    "dedupe": dedupe.REASONS,
    "validate": validate.REASONS,
    "aggregate": aggregate.REASONS,
    "split": split.REASONS,
    "decontaminate": decontaminate.REASONS,
    "augment": augment.REASONS,
    "rebalance": rebalance.REASONS,
    "pair": pair.REASONS,
    "release": release.REASONS,
}
