"""What must hold for turns. Judges the flat columns that `tasks.validate` derives, never the text itself."""

from __future__ import annotations

from pydantic import Field

from expectations.rules import Suite, above, among, between, rows_between, true, true_for, unique
from tasks.common.vocabulary.reasons import validate as why
from tasks.common.vocabulary.roles import ROLES
from tasks.core.params import StageParams


class Bounds(StageParams):
    """Where the rules of turns draw their lines."""

    min_rows: int = Field(ge=0, description="fewer rows stop the pipeline")
    max_dropped: float = Field(ge=0, lt=1, description="share of rows that may be dropped before the pipeline stops")
    may_drop: int = Field(ge=0, description="so many rows may be dropped, whatever their share: small logs do not stop for one row")
    max_question_chars: int = Field(ge=1, description="a longer message of a user is dropped")
    min_answer_chars: int = Field(ge=1, description="a shorter answer is dropped")
    max_answer_chars: int = Field(ge=1, description="a longer answer is dropped")
    earliest_year: int = Field(ge=1, description="an earlier created_at is a misread unit, not a time")
    latest_year: int = Field(ge=1, description="so is a later one")
    min_known_language: float = Field(ge=0, le=1, description="share of turns; a warning below")


def suite(bounds: Bounds, rows_in: int) -> Suite:
    """The rules of turns under these bounds, for a table of so many rows."""
    tolerance = min(1.0, max(bounds.max_dropped, bounds.may_drop / max(rows_in, 1)))
    rows = {
        why.NO_ID: true("has_id"),
        why.UNKNOWN_ROLE: among("role", ROLES),
        why.EMPTY: true("has_content"),
        why.QUESTION_TOO_LONG: between("question_chars", high=bounds.max_question_chars),
        why.ANSWER_TOO_SHORT: between("answer_chars", low=bounds.min_answer_chars),
        why.ANSWER_TOO_LONG: between("answer_chars", high=bounds.max_answer_chars),
        why.NEGATIVE_POSITION: between("position", low=0),
        why.NO_PARENT: true("has_parent"),
        why.MISPLACED: above("steps_from_parent", 0),
        why.OUT_OF_TIME: between("year", low=bounds.earliest_year, high=bounds.latest_year),
    }
    table = {
        "too_few": rows_between(bounds.min_rows),
        "copied_key": unique("conversation_id", "turn_id"),
        "too_many_dropped": true_for("kept", 1 - tolerance),
        "unknown_languages": true_for("has_language", bounds.min_known_language, severity="warning"),
    }
    return Suite("turns", rows, table, tolerance=tolerance)
