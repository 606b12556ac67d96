"""The rules of unpaired examples before release."""

from __future__ import annotations

from expectations.pairs import prompt_rules
from expectations.rules import Suite, greater_than, is_true, rows_between, unique


def suite(min_rows: int) -> Suite:
    """The rules of unpaired examples: at least so many."""
    rows = {
        **prompt_rules(),
        "no_answer": is_true("has_answers"),
        "not_an_answer": is_true("answers_by_assistant"),
        "no_label": is_true("has_label"),
        "weight": greater_than("weight", 0),
        "changed_outside_train": is_true("as_written_or_train"),
    }
    return Suite("unpaired", rows, {"too_few": rows_between(min_rows), "copied_key": unique("example_id")})
