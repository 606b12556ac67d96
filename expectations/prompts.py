"""What must hold for the prompts to practise on before they are released."""

from __future__ import annotations

from expectations.pairs import prompt_rules
from expectations.rules import Suite, rows_between, unique


def suite(min_rows: int) -> Suite:
    """The rules of prompts: at least so many."""
    return Suite("prompts", prompt_rules(), {"too_few": rows_between(min_rows), "copied_key": unique("prompt_id")})
