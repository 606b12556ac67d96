"""Claims about `split` over a log that grows: what was placed once stays, nothing crosses, and a second run changes nothing."""

from __future__ import annotations

import random
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import daft
import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from tasks.common import salt
from tasks.common.links import Edges, Keyed
from tasks.core.errors import UserError
from tasks.core.ids import stable_id
from tasks.core.ledger import Account
from tasks.core.tables import Candidates
from tasks.split import assignment as placing
from tasks.split import assignment_table, earlier_releases
from tasks.split import stage as split
from tasks.split.assignment_table import Assignment
from tests.builders.chatlog import Row, accounts
from tests.builders.split_runs import DEFAULTS, MANY, prompt, text
from tests.builders.tied_logs import logs, places, too_common
from tests.conftest import ROOT

HELD = {"validation", "test"}


def day(rows: list[Row], former: Assignment, **changes: object) -> tuple[dict[str, Account], Assignment]:
    """The accounts of one release, and what is remembered after it."""
    tables = {"candidates": daft.from_arrow(pa.Table.from_pylist(rows, schema=Candidates.schema()))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        plan, made = split.assign(tables, split.Params.model_validate(DEFAULTS | changes), former)
        return accounts("split", made, tables), plan.assignment


def days(*logs: list[Row], **changes: object) -> list[list[Row]]:
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


@pytest.mark.slow
@settings(
    max_examples=15, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    logs(), some.lists(some.floats(0, 1), min_size=1, max_size=3), some.sampled_from(["drop_weakest_links", "keep"]), some.integers(1, 8)
)
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


def first(rows: list[Row], **changes: object) -> tuple[dict[str, list[Row]], Assignment]:
    """The rows of a first release by split, and what is remembered of it."""
    found, former = day(rows, Assignment(), **changes)
    by_split: dict[str, list[Row]] = defaultdict(list)
    for row in found["candidates"].kept.to_pylist():
        by_split[row["split"]].append(row)
    return by_split, former


@pytest.mark.parametrize("where", ["train", "validation", "test"])
@pytest.mark.parametrize("tie", ["users", "conversations", "opening", "near"])
def test_what_is_new_follows_what_it_is_tied_to(where: str, tie: str) -> None:
    rows = [prompt(number, f"{text(number)} and more of it", users=[f"p{number}"]) for number in range(60)]
    found, former = first(rows)
    old = found[where][0]
    asked = old["prompt"][0]["content"]
    new = {
        "users": [prompt(900 + number, users=old["users"]) for number in range(9)],
        "conversations": [prompt(900 + number, conversations=old["conversations"]) for number in range(9)],
        "opening": [prompt(900 + number, asked, "yes", text(900 + number)) for number in range(2)],
        "near": [prompt(900 + number, f"{asked} {'please ' * number}now") for number in range(9)],
    }[tie]
    after, _ = day([*rows, *new], former)
    kept = after["candidates"].kept.to_pylist()
    assert {split_of(kept, 900 + number) for number in range(len(new))} == {where}
    assert len(kept) == len(rows) + len(new)


def test_a_conversation_stays_when_all_its_texts_read_otherwise() -> None:
    """As after a change of `clean`, which gives every prompt another id."""
    rows = [prompt(number, users=[f"p{number}"]) for number in range(60)]
    _, former = first(rows)
    again = [prompt(500 + number, conversations=[f"c{number}"]) for number in range(60)]
    before, _ = day(rows, Assignment())
    after, _ = day(again, former)
    places_before = {row["conversations"][0]: row["split"] for row in before["candidates"].kept.to_pylist()}
    places_after = {row["conversations"][0]: row["split"] for row in after["candidates"].kept.to_pylist()}
    assert places_after == places_before


ASKED = "how do I set the clock of the oven back to noon when the power was off during the night".split()  # noqa: SIM905
ONE, OTHER, BETWEEN = " ".join(["well", "then", *ASKED[:14]]), " ".join([*ASKED[4:], "and", "so", "on"]), " ".join(ASKED)


def test_a_new_row_between_two_splits_lies_in_neither_and_moves_nothing() -> None:
    near = DEFAULTS["near"] | {"threshold": 0.5}
    for shift in range(40):  # until the two draw apart
        rows = [*MANY, prompt(2 * shift, ONE), prompt(2 * shift + 1, OTHER)]
        found, former = day(rows, Assignment(), near=near)
        kept = found["candidates"].kept.to_pylist()
        one, other = split_of(kept, 2 * shift), split_of(kept, 2 * shift + 1)
        if {one, other} == {"train", "test"}:
            break
    bridge = prompt(999, BETWEEN)
    after, then = day([*rows, bridge], former, near=near)
    left = after["candidates"].kept.to_pylist()
    assert (split_of(left, 2 * shift), split_of(left, 2 * shift + 1), split_of(left, 999)) == (one, other, None)
    assert after["candidates"].reasons == {"crosses_split": 1}
    assert {row["place"] for row in after["places"].kept.to_pylist() if row["prompt_id"] == bridge["prompt_id"]} == {"neither"}
    again, _ = day([*rows, bridge], then, near=near)
    assert again["candidates"].kept.equals(after["candidates"].kept)


def test_a_value_lies_where_it_is_remembered_else_where_most_of_its_rows_do() -> None:
    codes = np.repeat(np.arange(4), 3)
    side = np.array([2, 2, 0, 0, 0, 2, 1, 1, 2, 1, 1, 0])
    marks = np.array([earlier_releases.TRAIN, 2, assignment_table.UNKNOWN, assignment_table.ANYWHERE])
    values = Keyed(codes, np.arange(12), pa.array(["in train", "in test", "nowhere yet", "too common once"]))
    assert earlier_releases.value_sides(values, marks, side).tolist() == [0, 2, 1, 1]


def test_a_person_who_was_too_common_once_ties_nothing_later() -> None:
    owner = [prompt(number, users=["owner"]) for number in range(40)]
    others = [prompt(number, users=[f"p{number}"]) for number in range(100, 300)]
    alone, together = days([*owner, *others[:20]], [*owner, *others], largest_user=0.5)
    assert {row["split"] for row in alone if row["users"] == ["owner"]} == {"train", "validation", "test"}
    assert len(together) == len(owner) + len(others), "nothing is lost"


def test_a_crowd_that_is_tied_to_one_held_out_row_does_not_come_along() -> None:
    rows = [prompt(number, users=[f"p{number}"]) for number in range(200)]
    found, former = first(rows, largest_held_out=0.25)
    held = found["test"][0]["users"]
    crowd = [prompt(1000 + number, users=[*(held if number == 0 else ["crowd"]), "crowd"]) for number in range(150)]
    after, _ = day([*rows, *crowd], former, largest_held_out=0.25, largest_component=0.9)
    kept = after["candidates"].kept.to_pylist()
    places_of = Counter(split_of(kept, 1000 + number) for number in range(150))
    assert places_of["train"] >= 149
    assert moved([[row for rows in found.values() for row in rows], kept]) == {}


@pytest.mark.parametrize("share", [0.4, 0.6, 0.75])
def test_a_large_component_trains_whole_and_costs_no_vote(share: float) -> None:
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["split"]
    shipped = {name: document[name] for name in ("train", "validation", "test", "largest_component", "largest_held_out")}
    size = int(200 * share)
    rows = [prompt(number, users=[f"p{number // 2}", f"p{number // 2 + number % 2}"]) for number in range(size)]
    rows += [prompt(number) for number in range(1000, 1200 - size)]
    found, _ = day(rows, Assignment(), **shipped)
    kept = found["candidates"].kept.to_pylist()
    assert len(kept) == len(rows)
    assert {split_of(kept, number) for number in range(size)} == {"train"}
    assert {row["split"] for row in kept} == {"train", "validation", "test"}


def test_shares_far_from_those_asked_are_a_warning_and_near_ones_are_not() -> None:
    rows = [prompt(number, conversations=["big"]) for number in range(1000, 1090)] + [prompt(number) for number in range(10)]
    tables = {"candidates": daft.from_arrow(pa.Table.from_pylist(rows, schema=Candidates.schema()))}
    wide = split.Params.model_validate(DEFAULTS | {"far_from_asked": 0.05, "largest_component": 0.95})
    with pytest.warns(UserWarning, match=r"train has 9\d.\d% of the rows \(60% asked\)"):
        split.assign(tables, wide, Assignment())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, result = split.assign(tables, wide.model_copy(update={"far_from_asked": 0.5}), Assignment())
    assert result["candidates"].count_rows() == len(rows)


def test_shares_come_near_those_asked_when_a_log_grows_day_by_day() -> None:
    """People come back, and with them their splits; those who are new make up for what is missing."""
    shares = {"train": 0.8, "validation": 0.1, "test": 0.1, "largest_held_out": 0.25, "largest_component": 0.8}
    rows = [prompt(number, users=[f"p{int(stable_id('user', str(number)), 16) % (40 + number // 3)}"]) for number in range(1500)]
    found = days(*(rows[:stop] for stop in range(150, 1501, 150)), **shares)
    assert moved(found) == {}
    for kept in found[4:]:
        counts = Counter(row["split"] for row in kept)
        assert abs(counts["test"] / len(kept) - 0.1) < 0.02
        assert abs(counts["validation"] / len(kept) - 0.1) < 0.02


def test_what_is_asked_of_new_rows_makes_up_for_what_is_short_within_bounds() -> None:
    shares = (0.8, 0.1, 0.1)
    assert placing.asked(shares, np.array([0, 0, 0]), 100) == (0.1, 0.1)
    assert placing.asked(shares, np.array([800, 100, 100]), 0) == (0.1, 0.1), "nothing is new"
    assert placing.asked(shares, np.array([800, 100, 100]), 100) == pytest.approx((0.1, 0.1))
    assert placing.asked(shares, np.array([810, 100, 90]), 100) == pytest.approx((0.1, 0.2))
    assert placing.asked(shares, np.array([900, 0, 100]), 100) == pytest.approx((0.3, 0.1))
    assert placing.asked(shares, np.array([500, 400, 100]), 100) == pytest.approx((0.0, 0.1))


def test_comparisons_grow_with_the_answers_of_a_chat_and_not_with_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.common.similarity import near_copies

    exact, compared = near_copies.jaccard, list[int]()

    def counting(texts: pa.Array[Any], left: Any, right: Any, words: int) -> Any:
        compared.append(len(left))
        return exact(texts, left, right, words)

    monkeypatch.setattr(near_copies, "jaccard", counting)
    asked = list[int]()
    for count in (40, 80, 160):
        said = [text(number) for number in range(2 * count)]
        rows = [prompt(number, *said[: 2 * number + 1], conversations=["long"]) for number in range(count)]
        tables = {"candidates": daft.from_arrow(pa.Table.from_pylist(rows, schema=Candidates.schema()))}
        facts = split.known_facts(tables["candidates"], split.Params.model_validate(DEFAULTS))
        asked.append(sum(map(len, cast("list[list[str]]", facts["asked"].to_pylist()))))
        day(rows, Assignment(), popular=1000, largest_component=1.0)
    assert compared[0] == compared[1] == compared[2] > 0, "what comes after `compared_turns` is equal, and one is compared for all"
    assert asked[2] - asked[1] == 2 * (asked[1] - asked[0]) == 80 * DEFAULTS["compared_turns"]


def test_the_file_says_the_same_when_it_is_read_and_written(tmp_path: Path) -> None:
    known = Assignment(b"key").grown(("prompt", pa.array(["a", "b", "c"]), [0, 1, 2]), ("user", pa.array(["x"]), [4]))
    assignment_table.save(tmp_path, known)
    path = assignment_table.place(tmp_path, salt.current())
    assert assignment_table.parse(path) == dict(known.marks)
    assert [name.name for name in tmp_path.iterdir()] == [path.name], "nothing is left beside it"
    written = path.stat().st_mtime_ns
    assignment_table.save(tmp_path, known)
    assert path.stat().st_mtime_ns == written
    assert "train" in path.read_text(encoding="utf-8")
    assert not any(name in path.read_text(encoding="utf-8").split() for name in "abcx"), "digests only"


def test_a_mark_never_changes_but_to_what_ties_nothing() -> None:
    known = Assignment().grown(("user", pa.array(["a", "b"]), [0, 2]))
    known = known.grown(("user", pa.array(["a", "b", "c"]), [1, assignment_table.ANYWHERE, assignment_table.UNKNOWN]))
    assert known.of("user", pa.array(["a", "b", "c"])).tolist() == [0, assignment_table.ANYWHERE, assignment_table.UNKNOWN]
    assert known.of("prompt", pa.array(["a"])).tolist() == [assignment_table.UNKNOWN]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["train:", "0123456789ab", "<<<<<<< HEAD"], "line 4: found '<<<<<<< HEAD'; expected 12 hex digits under one of"),
        (["0123456789ab"], "line 2: found '0123456789ab'"),
        (["train:", "0123456789ab", "test:", "0123456789ab"], "line 5: found 0123456789ab in train and in test; expected one place"),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused(tmp_path: Path, lines: list[str], told: str) -> None:
    path = assignment_table.place(tmp_path, salt.current())
    path.write_text("\n".join(["# head", *lines]) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=told) as error:
        assignment_table.load(tmp_path)
    assert "git checkout" in str(error.value)


def test_a_union_of_two_histories_is_read_where_they_agree(tmp_path: Path) -> None:
    path = assignment_table.place(tmp_path, salt.current())
    path.write_text("train:\n0123456789ab\n0123456789ab\nanywhere:\n0123456789ab\n", encoding="utf-8")
    assert assignment_table.parse(path) == {"0123456789ab": assignment_table.ANYWHERE}


def test_another_salt_has_its_own_file_and_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Assignment().grown(("prompt", pa.array(["a"]), [0]))
    assignment_table.save(tmp_path, known)
    monkeypatch.setenv(salt.VARIABLE, "another")
    with pytest.warns(UserWarning, match="every row draws its split anew"):
        assert assignment_table.load(tmp_path).marks == {}
    assignment_table.save(tmp_path, known)
    assert len(list(tmp_path.glob("*.txt"))) == 2
    monkeypatch.setenv(salt.VARIABLE, salt.PUBLIC)
    for path in tmp_path.glob("*.txt"):
        path.unlink()
    assignment_table.save(tmp_path, known)
    monkeypatch.setenv(salt.VARIABLE, "another")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert assignment_table.load(tmp_path).marks == {}, "the sample's says nothing of logs of one's own"


def test_a_held_out_split_takes_no_more_of_a_crowd_than_it_may() -> None:
    rows = 50
    side = np.full(rows, -1)
    side[0], side[1] = 2, 0
    chain = Edges(np.arange(rows - 1), np.arange(1, rows), np.full(rows - 1, 2))
    new = np.ones(rows, bool)
    for key, most in (("conversation", 1 + 5), ("user", 1)):
        spread = earlier_releases.spread(side, new, {key: chain}, np.array([50.0, 5.0, 5.0]))
        assert spread[0] == 2
        assert np.bincount(spread, minlength=3)[2] <= most
        assert (spread >= 0).all()
