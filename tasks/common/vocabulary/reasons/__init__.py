"""Reasons: why a stage drops a row. They stand in `dropped` of the dropped rows and in the ledgers.

One module a stage, so that another stage's words make no stage stale. Each declares `REASONS` to the ledger: by table, each
reason with its meaning; the ledger refuses every other. Meanings complete the sentence "The row was dropped because ...".
"""

from __future__ import annotations

from collections.abc import Mapping

Reasons = Mapping[str, Mapping[str, str]]  # by table: reason and meaning
