"""What the stage `dedupe` makes of a small log."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tasks.core.ledger import Account
from tasks.dedupe import stage as dedupe
from tasks.dedupe.same_chat import SameChat
from tests.builders.chatlog import ChatLog, accounts

SAME_CHAT = SameChat(
    min_words=0.5, min_message_words=0.5, min_answer_words=1, common=20, misspelt_question_chars=60, misspelt_answer_chars=40
)
PARAMS = dedupe.Params(shingle_words=2, threshold=0.6, bands=64, rows=1, largest_bucket=50, seed=1, same_chat=SAME_CHAT)


def settled(log: ChatLog, shuffle: int | None = None) -> dict[str, Account]:
    """The accounts of the stage on the log."""
    tables = log.tables(shuffle)
    return accounts("dedupe", dedupe.run(tables, PARAMS), tables)


def rows(table: pa.Table, *names: str) -> list[Any]:
    """Rows as tuples, or as values of one column."""
    columns = [table[name].to_pylist() for name in names]
    return columns[0] if len(names) == 1 else list(zip(*columns, strict=True))
