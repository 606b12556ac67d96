"""What must hold for turns. Judges the flat columns that `tasks.validate` derives, never the text itself."""

from __future__ import annotations

from pydantic import Field

from expectations.rules import Suite, above, among, between, rows_between, true, true_for, unique
from tasks.core.params import StageParams

ROLES = ("system", "user", "assistant", "tool")


class Bounds(StageParams):
    """Where the rules of turns draw their lines."""

    min_rows: int = Field(ge=0)
    max_dropped: float = Field(ge=0, lt=1, description="share of rows that may be dropped before the pipeline stops")
    may_drop: int = Field(ge=0, description="so many rows may be dropped, whatever their share: small logs do not stop for one row")
    max_question_chars: int = Field(ge=1)
    min_answer_chars: int = Field(ge=1)
    max_answer_chars: int = Field(ge=1)
    earliest_year: int = Field(ge=1)
    latest_year: int = Field(ge=1)
    min_known_language: float = Field(ge=0, le=1, description="share of turns; a warning below")


def suite(bounds: Bounds, rows_in: int) -> Suite:
    """The rules of turns under these bounds, for a table of so many rows."""
    tolerance = min(1.0, max(bounds.max_dropped, bounds.may_drop / max(rows_in, 1)))
    rows = {
        "no_id": true("has_id"),
        "unknown_role": among("role", ROLES),
        "empty": true("has_content"),
        "question_too_long": between("question_chars", high=bounds.max_question_chars),
        "answer_too_short": between("answer_chars", low=bounds.min_answer_chars),
        "answer_too_long": between("answer_chars", high=bounds.max_answer_chars),
        "negative_position": between("position", low=0),
        "no_parent": true("has_parent"),
        "misplaced": above("steps_from_parent", 0),
        "out_of_time": between("year", low=bounds.earliest_year, high=bounds.latest_year),
    }
    table = {
        "too_few": rows_between(bounds.min_rows),
        "copied_key": unique("conversation_id", "turn_id"),
        "too_many_dropped": true_for("kept", 1 - tolerance),
        "unknown_languages": true_for("has_language", bounds.min_known_language, severity="warning"),
    }
    return Suite("turns", rows, table, tolerance=tolerance)
