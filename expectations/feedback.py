"""What must hold for feedback. Judges the flat columns that `tasks.validate` derives, never what people wrote."""

from __future__ import annotations

from pydantic import Field

from expectations.rules import Suite, among, between, rows_between, true, true_for, unique
from tasks.common.vocabulary.kinds import ANNOTATORS, GIVEN
from tasks.common.vocabulary.reasons import validate as why
from tasks.core.params import StageParams


class Bounds(StageParams):
    """Where the rules of feedback draw their lines."""

    min_rows: int = Field(ge=0, description="fewer rows stop the pipeline")
    max_dropped: float = Field(ge=0, lt=1, description="share of rows that may be dropped before the pipeline stops")
    may_drop: int = Field(ge=0, description="so many rows may be dropped, whatever their share: small logs do not stop for one row")
    min_with_target: float = Field(ge=0, le=1, description="share of acts whose answers are all among the kept turns")
    earliest_year: int = Field(ge=1, description="an earlier created_at is a misread unit, not a time")
    latest_year: int = Field(ge=1, description="so is a later one")


def suite(bounds: Bounds, rows_in: int) -> Suite:
    """The rules of feedback under these bounds, for a table of so many rows."""
    tolerance = min(1.0, max(bounds.max_dropped, bounds.may_drop / max(rows_in, 1)))
    rows = {
        why.NO_ID: true("has_id"),
        why.UNKNOWN_KIND: among("kind", GIVEN),
        why.UNKNOWN_ANNOTATOR: among("annotator_kind", ANNOTATORS),
        why.NO_VALUE: true("has_value"),
        why.NO_SCALE: true("has_scale"),
        why.UNKNOWN_LABEL: true("known_label"),
        why.OFF_SCALE: true("on_scale"),
        why.NO_SIDES: true("has_sides"),
        why.EQUAL_SIDES: true("sides_differ"),
        why.NO_TARGET: true("has_target"),
        why.NO_SUCH_TURN: true("targets_exist"),
        why.DELETED_BRANCH: true("targets_reached"),
        why.TURN_DROPPED: true("targets_kept"),
        why.NOT_AN_ANSWER: true("targets_are_answers"),
        why.NO_TEXT: true("has_text"),
        why.OUT_OF_TIME: between("year", low=bounds.earliest_year, high=bounds.latest_year),
    }
    table = {
        "too_few": rows_between(bounds.min_rows),
        "copied_key": unique("feedback_id"),
        "too_many_dropped": true_for("kept", 1 - tolerance),
        "too_few_targets": true_for("targets_kept", bounds.min_with_target),
    }
    return Suite("feedback", rows, table, tolerance=tolerance)
