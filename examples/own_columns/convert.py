"""Turn a table of votes into a log: `python examples/own_columns/convert.py votes.csv data/raw/votes.jsonl`.

In: a CSV file with the columns id, voter, question, first, second, won (first, second or tie). Out: plain JSONL, two lines a vote.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path


def lines(row: dict[str, str]) -> Iterator[dict[str, object]]:
    """The conversation, with both answers to one question, and the choice between them."""
    question = {"id": "q", "role": "user", "content": row["question"]}
    answers = [{"id": name, "parent_id": "q", "role": "assistant", "content": row[name]} for name in ("first", "second")]
    yield {"id": row["id"], "messages": [question, *answers]}
    better, worse = ("second", "first") if row["won"] == "second" else ("first", "second")
    value = 0 if row["won"] == "tie" else 1
    yield {"conversation_id": row["id"], "kind": "choice", "better": better, "worse": worse, "value": value, "user_id": row["voter"]}


def main(table: str, log: str) -> None:
    """Write the log of the table."""
    with Path(table).open(encoding="utf-8", newline="") as source, Path(log).open("w", encoding="utf-8") as target:
        for row in csv.DictReader(source):
            target.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(row))


if __name__ == "__main__":
    main(*sys.argv[1:])
