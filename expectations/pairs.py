"""The rules of preference pairs before release. They check the flat columns of `tasks.release.gate_columns`."""

from __future__ import annotations

from collections.abc import Collection

from expectations.rules import Rules, Suite, contains_all, greater_than, is_true, is_true_for, one_of, rows_between, unique
from tasks.common.vocabulary.roles import PROMPT_ENDS
from tasks.common.vocabulary.splits import SPLITS


def prompt_rules() -> Rules:
    """The row rules of every table with prompts."""
    return {
        "unknown_split": one_of("split", SPLITS),
        "no_prompt": is_true("has_prompt"),
        "prompt_end": one_of("prompt_end", PROMPT_ENDS),
        "prompt_in_two_splits": is_true("prompt_in_one_split"),
    }


def suite(min_rows: int, splits: Collection[str]) -> Suite:
    """The rules of pairs: at least `min_rows`, and some in each of `splits`."""
    rows = {
        **prompt_rules(),
        "no_answer": is_true("has_answers"),
        "not_an_answer": is_true("answers_by_assistant"),
        "equal_sides": is_true("sides_differ"),
        "pair_and_reverse": is_true("not_reversed"),
        "pair_twice": is_true("not_repeated"),
        "margin": is_true("margin_positive"),
        "confidence": greater_than("confidence", 0.5, 1),
        "weight": greater_than("weight", 0),
        "changed_outside_train": is_true("as_written_or_train"),
    }
    table = {
        "too_few": rows_between(min_rows),
        "copied_key": unique("pair_id"),
        **({"empty_split": contains_all("split", splits)} if splits else {}),
        "cluster_in_two_splits": is_true_for("cluster_in_one_split", 1, severity="warning"),
        "conversation_in_two_splits": is_true_for("conversations_in_one_split", 1, severity="warning"),
    }
    return Suite("pairs", rows, table)
