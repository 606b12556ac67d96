"""The rules of turns. They check flat columns derived by `tasks.validate`, never the text itself."""

from __future__ import annotations

from pydantic import Field

from expectations.rules import Suite, greater_than, in_range, is_true, is_true_for, one_of, rows_between, unique
from tasks.common.vocabulary.reasons import validate as why
from tasks.common.vocabulary.roles import ROLES
from tasks.core.params import StageParams


class Bounds(StageParams):
    """Bounds of the rules of turns."""

    min_rows: int = Field(ge=0, description="fewer rows stop the pipeline")
    max_dropped: float = Field(ge=0, lt=1, description="share of rows that may be dropped before the pipeline stops")
    may_drop: int = Field(ge=0, description="number of rows that may always be dropped, so that one row does not stop a small log")
    max_question_chars: int = Field(ge=1, description="a longer message of a user is dropped")
    min_answer_chars: int = Field(ge=1, description="a shorter answer is dropped")
    max_answer_chars: int = Field(ge=1, description="a longer answer is dropped")
    earliest_year: int = Field(ge=1, description="an earlier created_at is a misread unit, not a time")
    latest_year: int = Field(ge=1, description="so is a later one")
    min_known_language: float = Field(ge=0, le=1, description="share of turns; a warning below")


def suite(bounds: Bounds, rows_in: int) -> Suite:
    """The rules of turns with these bounds, for a table of `rows_in` rows."""
    tolerance = min(1.0, max(bounds.max_dropped, bounds.may_drop / max(rows_in, 1)))
    rows = {
        why.NO_ID: is_true("has_id"),
        why.UNKNOWN_ROLE: one_of("role", ROLES),
        why.EMPTY: is_true("has_content"),
        why.QUESTION_TOO_LONG: in_range("question_chars", high=bounds.max_question_chars),
        why.ANSWER_TOO_SHORT: in_range("answer_chars", low=bounds.min_answer_chars),
        why.ANSWER_TOO_LONG: in_range("answer_chars", high=bounds.max_answer_chars),
        why.NEGATIVE_POSITION: in_range("position", low=0),
        why.NO_PARENT: is_true("has_parent"),
        why.MISPLACED: greater_than("steps_from_parent", 0),
        why.OUT_OF_TIME: in_range("year", low=bounds.earliest_year, high=bounds.latest_year),
    }
    table = {
        "too_few": rows_between(bounds.min_rows),
        "copied_key": unique("conversation_id", "turn_id"),
        "too_many_dropped": is_true_for("kept", 1 - tolerance),
        "unknown_languages": is_true_for("has_language", bounds.min_known_language, severity="warning"),
    }
    return Suite("turns", rows, table, tolerance=tolerance)
