"""Claims about `split` over a log that grows: what was placed once stays, nothing crosses, and a second run changes nothing."""

from __future__ import annotations

import random
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import daft
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from tasks import split
from tasks.core import assignment, salt
from tasks.core.assignment import Assignment
from tasks.core.errors import UserError
from tasks.core.ids import stable_id
from tasks.core.ledger import Account
from tasks.core.tables import Candidates
from tasks.evidence import following, placing
from tasks.evidence.ties import Edges
from tests.chatlog import Row, accounts
from tests.test_apart import logs, places, too_common
from tests.test_split import DEFAULTS, MANY, answer, prompt, text

HELD = {"validation", "test"}


def day(rows: list[Row], former: Assignment, **changes: Any) -> tuple[dict[str, Account], Assignment]:
    """The accounts of one release, and what is remembered after it."""
    tables = {"candidates": daft.from_arrow(pa.Table.from_pylist(rows, schema=Candidates.schema()))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        plan, made = split.settle(tables, split.Params.model_validate(DEFAULTS | changes), former)
        return accounts("split", made, tables), plan.assignment


def days(*logs: list[Row], **changes: Any) -> list[list[Row]]:
    """The rows that each release keeps, one release after the other."""
    former, kept = Assignment(), []
    for rows in logs:
        found, former = day(rows, former, **changes)
        kept.append(found["candidates"].kept.to_pylist())
    return kept


def split_of(kept: list[Row], number: int) -> str | None:
    """Where a prompt lies; None when it was dropped."""
    return {row["prompt_id"]: row["split"] for row in kept}.get(stable_id("p", str(number)))


def moved(releases: Sequence[list[Row]]) -> dict[str, set[str]]:
    """Prompts that lay in two splits in two releases."""
    seen: dict[str, set[str]] = defaultdict(set)
    for kept in releases:
        for row in kept:
            seen[row["prompt_id"]].add(row["split"])
    return {name: where for name, where in seen.items() if len(where) > 1}


def in_two_splits(releases: Sequence[list[Row]]) -> set[tuple[str, str]]:
    """Users, conversations, first user turns and answers that lay in train in one release and were held out in another."""
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for kept in releases:
        for value, where in places(kept).items():
            if value[0] != "cluster":
                seen[value] |= where
    return {value for value, where in seen.items() if "train" in where and where & HELD}


def until(rows: list[Row], talks: set[str]) -> list[Row]:
    """The rows as they are while only these conversations are known."""
    found = []
    for row in rows:
        votes = [one for one in row["votes"] if one["conversation"] in talks]
        said = [part for part in row["parts"] if part["conversation"] in talks]
        given = [one | {"turns": [turn for turn in one["turns"] if turn.split("/")[0] in talks]} for one in row["responses"]]
        given = [one for one in given if one["turns"]]
        there = {one["response_id"] for one in given}
        votes = [one for one in votes if one["response_id"] in there]
        ups = Counter(one["response_id"] for one in votes)
        users = sorted({part["user"] for part in said if part["user"]} | {one["annotator"] for one in votes})
        known = [talk for talk in row["conversations"] if talk in talks]
        changed = {"votes": votes, "parts": said, "users": users, "conversations": known}
        if known and given:
            found.append(row | changed | {"responses": [one | {"ups": ups[one["response_id"]]} for one in given]})
    return found


@settings(
    max_examples=40, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(logs(), some.lists(some.floats(0, 1), min_size=1, max_size=3), some.sampled_from(["untie_weakest", "keep"]), some.integers(1, 8))
def test_whatever_grows_nothing_moves_and_nothing_crosses(rows: list[Row], parts: list[float], on_giant: str, popular: int) -> None:
    changes = {"on_giant": on_giant, "popular": popular, "largest_component": 0.3}
    talks = sorted({talk for row in rows for talk in row["conversations"]})
    order = random.Random(len(rows)).sample(talks, len(talks))
    former, releases = Assignment(), []
    for share in [*sorted(parts), 1.0]:
        part = until(rows, set(order[: max(1, round(share * len(order)))]))
        found, after = day(part, former, **changes)
        kept = found["candidates"].kept.to_pylist()
        assert {value for value, where in places(kept).items() if len(where) > 1} <= too_common(part, popular)
        again, same = day(part[::-1], after, **changes)
        assert same.marks == after.marks
        assert {name: account.kept for name, account in again.items()} == {name: account.kept for name, account in found.items()}
        releases.append(kept)
        former = after
    assert moved(releases) == {}
    assert in_two_splits(releases) <= too_common(rows, popular)
