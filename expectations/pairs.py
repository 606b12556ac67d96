"""What must hold for preference pairs before they are released. Judges the flat columns of `tasks.release.gate_columns`."""

from __future__ import annotations

from collections.abc import Collection

from expectations.rules import Rules, Suite, above, among, holds, rows_between, true, true_for, unique

SPLITS = ("train", "validation", "test")
PROMPT_ENDS = ("user", "tool")


def prompt_rules() -> Rules:
    """The row rules of everything that has a prompt."""
    return {
        "unknown_split": among("split", SPLITS),
        "no_prompt": true("has_prompt"),
        "prompt_end": among("prompt_end", PROMPT_ENDS),
        "prompt_in_two_splits": true("prompt_in_one_split"),
    }


def suite(min_rows: int, splits: Collection[str]) -> Suite:
    """The rules of pairs: at least so many, and some in each of `splits`."""
    rows = {
        **prompt_rules(),
        "no_answer": true("has_answers"),
        "not_an_answer": true("answers_by_assistant"),
        "equal_sides": true("sides_differ"),
        "pair_and_reverse": true("not_reversed"),
        "pair_twice": true("not_repeated"),
        "margin": true("margin_positive"),
        "confidence": above("confidence", 0.5, 1),
        "weight": above("weight", 0),
        "changed_outside_train": true("as_written_or_train"),
    }
    table = {
        "too_few": rows_between(min_rows),
        "copied_key": unique("pair_id"),
        **({"empty_split": holds("split", splits)} if splits else {}),
        "cluster_in_two_splits": true_for("cluster_in_one_split", 1, severity="warning"),
        "conversation_in_two_splits": true_for("conversations_in_one_split", 1, severity="warning"),
    }
    return Suite("pairs", rows, table)
