"""The rules of prompts (for PPO) before release."""

from __future__ import annotations

from expectations.pairs import prompt_rules
from expectations.rules import Suite, rows_between, unique


def suite(min_rows: int) -> Suite:
    """The rules of prompts: at least `min_rows`."""
    return Suite("prompts", prompt_rules(), {"too_few": rows_between(min_rows), "copied_key": unique("prompt_id")})
