"""The rules of feedback. They check flat columns derived by `tasks.validate`, never texts by people."""

from __future__ import annotations

from pydantic import Field

from expectations.rules import Suite, in_range, is_true, is_true_for, one_of, rows_between, unique
from tasks.common.vocabulary.kinds import ANNOTATORS, GIVEN
from tasks.common.vocabulary.reasons import validate as why
from tasks.core.params import StageParams


class Bounds(StageParams):
    """Bounds of the rules of feedback."""

    min_rows: int = Field(ge=0, description="fewer rows stop the pipeline")
    max_dropped: float = Field(ge=0, lt=1, description="share of rows that may be dropped before the pipeline stops")
    may_drop: int = Field(ge=0, description="number of rows that may always be dropped, so that one row does not stop a small log")
    min_with_target: float = Field(ge=0, le=1, description="share of rows whose answers are all among the kept turns")
    earliest_year: int = Field(ge=1, description="an earlier created_at is a misread unit, not a time")
    latest_year: int = Field(ge=1, description="so is a later one")


def suite(bounds: Bounds, rows_in: int) -> Suite:
    """The rules of feedback with these bounds, for a table of `rows_in` rows."""
    tolerance = min(1.0, max(bounds.max_dropped, bounds.may_drop / max(rows_in, 1)))
    rows = {
        why.NO_ID: is_true("has_id"),
        why.UNKNOWN_KIND: one_of("kind", GIVEN),
        why.UNKNOWN_ANNOTATOR: one_of("annotator_kind", ANNOTATORS),
        why.NO_VALUE: is_true("has_value"),
        why.NO_SCALE: is_true("has_scale"),
        why.UNKNOWN_LABEL: is_true("known_label"),
        why.OFF_SCALE: is_true("on_scale"),
        why.NO_SIDES: is_true("has_sides"),
        why.EQUAL_SIDES: is_true("sides_differ"),
        why.NO_TARGET: is_true("has_target"),
        why.NO_SUCH_TURN: is_true("targets_exist"),
        why.DELETED_BRANCH: is_true("targets_reached"),
        why.TURN_DROPPED: is_true("targets_kept"),
        why.NOT_AN_ANSWER: is_true("targets_are_answers"),
        why.NO_TEXT: is_true("has_text"),
        why.OUT_OF_TIME: in_range("year", low=bounds.earliest_year, high=bounds.latest_year),
    }
    table = {
        "too_few": rows_between(bounds.min_rows),
        "copied_key": unique("feedback_id"),
        "too_many_dropped": is_true_for("kept", 1 - tolerance),
        "too_few_targets": is_true_for("targets_kept", bounds.min_with_target),
    }
    return Suite("feedback", rows, table, tolerance=tolerance)
