"""What must hold for the unpaired examples before they are released."""

from __future__ import annotations

from expectations.pairs import prompt_rules
from expectations.rules import Suite, above, rows_between, true, unique


def suite(min_rows: int) -> Suite:
    """The rules of unpaired examples: at least so many."""
    rows = {
        **prompt_rules(),
        "no_answer": true("has_answers"),
        "not_an_answer": true("answers_by_assistant"),
        "no_label": true("has_label"),
        "weight": above("weight", 0),
        "changed_outside_train": true("as_written_or_train"),
    }
    return Suite("unpaired", rows, {"too_few": rows_between(min_rows), "copied_key": unique("example_id")})
