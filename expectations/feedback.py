"""What must hold for feedback. Judges the flat columns that `tasks.validate` derives, never what people wrote."""

from __future__ import annotations

from pydantic import Field

from expectations.rules import Suite, among, between, rows_between, true, true_for, unique
from tasks.core.params import StageParams

KINDS = ("thumb", "rating", "choice", "ranking", "edit", "correction", "regenerate", "report", "copy", "share", "comment")
ANNOTATORS = ("person", "model")


class Bounds(StageParams):
    """Where the rules of feedback draw their lines."""

    min_rows: int = Field(ge=0)
    max_dropped: float = Field(ge=0, lt=1, description="share of rows that may be dropped before the pipeline stops")
    may_drop: int = Field(ge=0, description="so many rows may be dropped, whatever their share: small logs do not stop for one row")
    min_with_target: float = Field(ge=0, le=1, description="share of acts whose answers are all among the kept turns")
    earliest_year: int = Field(ge=1)
    latest_year: int = Field(ge=1)


def suite(bounds: Bounds, rows_in: int) -> Suite:
    """The rules of feedback under these bounds, for a table of so many rows."""
    tolerance = min(1.0, max(bounds.max_dropped, bounds.may_drop / max(rows_in, 1)))
    rows = {
        "no_id": true("has_id"),
        "unknown_kind": among("kind", KINDS),
        "unknown_annotator": among("annotator_kind", ANNOTATORS),
        "no_value": true("has_value"),
        "no_scale": true("has_scale"),
        "unknown_label": true("known_label"),
        "off_scale": true("on_scale"),
        "no_sides": true("has_sides"),
        "equal_sides": true("sides_differ"),
        "no_target": true("has_target"),
        "no_such_turn": true("targets_exist"),
        "deleted_branch": true("targets_reached"),
        "turn_dropped": true("targets_kept"),
        "not_an_answer": true("targets_are_answers"),
        "no_text": true("has_text"),
        "out_of_time": between("year", low=bounds.earliest_year, high=bounds.latest_year),
    }
    table = {
        "too_few": rows_between(bounds.min_rows),
        "copied_key": unique("feedback_id"),
        "too_many_dropped": true_for("kept", 1 - tolerance),
        "too_few_targets": true_for("targets_kept", bounds.min_with_target),
    }
    return Suite("feedback", rows, table, tolerance=tolerance)
