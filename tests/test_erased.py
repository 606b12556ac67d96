"""Claims about tombstones: what they name is as though it had never been in a log, and nothing of it is written."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as law
from hypothesis import strategies as st

from tasks.common import salt, tombstones
from tasks.common.tombstones import Tombstones
from tasks.core.errors import UserError
from tasks.core.ids import person_id
from tests.builders import people_logs, real_sets
from tests.builders.raw_logs import Result, chat, lines, read

DAY = dt.date(2026, 5, 1)
PEOPLE = ("jane-1988", "bob-1971", "ann-2001")
KEY = "salt of the tests"


def erased(root: Path, people: tuple[str, ...] = (), conversations: tuple[str, ...] = (), before: dt.date | None = None) -> None:
    """Put tombstones where `read` looks for them."""
    found = Tombstones(KEY).grown(tombstones.USER, [person_id(name, KEY) for name in people], DAY)
    found = found.grown(tombstones.CONVERSATION, conversations, DAY)
    tombstones.save(root / "erased", found.aged(before) if before else found)


def plain_rows(result: Result, name: str) -> list[str]:
    """Kept rows without their places, which are other ones in other files."""
    return sorted(json.dumps({key: value for key, value in row.items() if key != "origin"}, default=str) for row in result.table(name))


def told(folder: Path) -> str:
    """Everything that a run wrote, tables cell by cell."""
    import pyarrow.parquet as pq

    tables = [json.dumps(pq.read_table(path).to_pylist(), default=str) for path in sorted(folder.rglob("*.parquet"))]
    return "".join([*tables, *(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.json")))])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> pytest.TempPathFactory:
    return tmp_path_factory


@law(max_examples=12)
@given(seed=st.integers(0, 10_000), gone=st.sampled_from(PEOPLE))
def test_a_build_with_a_tombstone_is_one_of_logs_without_the_person(folders: pytest.TempPathFactory, seed: int, gone: str) -> None:
    one, two = (folders.mktemp(name) for name in ("erased", "never"))
    records = people_logs.written(seed, PEOPLE)
    erased(one, (gone,))
    with_tombstone = read(one, people_logs.files(records))
    never_there = read(two, people_logs.files([*people_logs.without(records, gone)]))
    for table in ("turns", "feedback"):
        assert plain_rows(with_tombstone, table) == plain_rows(never_there, table)
    owned = {person_id(gone, KEY), *(str(record.line.get("id")) for record in records if record.people == {gone})}
    assert [value for value in owned if len(value) > 3 and value in told(with_tombstone.folder)] == []


@pytest.mark.slow
def test_every_table_of_the_path_is_byte_for_byte_that_of_logs_without_the_person(tmp_path: Path) -> None:
    records, gone = people_logs.written(5, PEOPLE, 3), PEOPLE[0]
    erased(tmp_path / "one", (gone,))
    one = real_sets.run_path(people_logs.write(tmp_path / "one" / "raw", records, apart=True), tmp_path / "one" / "out")
    left = people_logs.without(records, gone)
    two = real_sets.run_path(people_logs.write(tmp_path / "two" / "raw", left, apart=True), tmp_path / "two" / "out")
    assert len(two["pair"]["prompts"].kept) > 3, "there is something to compare"
    for stage in list(two)[1:]:
        for name, account in two[stage].items():
            assert one[stage][name].kept.equals(account.kept), f"{stage}: {name}"
            assert one[stage][name].dropped.equals(account.dropped), f"{stage}: dropped {name}"


def test_an_erased_row_is_counted_with_its_place_and_nothing_else(tmp_path: Path) -> None:
    erased(tmp_path, ("jane-1988",))
    logs = lines(chat("conv-jane", "I am Jane", "Hello Jane", user_id="jane-1988"), chat("other", "Hi", "Hello", user_id="bob"))
    result = read(
        tmp_path, {"a.jsonl": logs, "v.jsonl": lines({"conversation_id": "conv-jane", "kind": "thumb", "message_index": 1, "value": 1})}
    )
    assert [row["conversation_id"] for row in result.table("turns")] == ["jsonl:other"] * 2
    assert result.ledger["turns"] == {"in": 0, "made": 4, "kept": 2, "dropped": 2, "reasons": {"erased": 2}}
    assert result.ledger["feedback"]["reasons"] == {"erased": 1}
    for row in result.dropped("turns") + result.dropped("feedback"):
        assert {name for name, value in row.items() if value is not None} == {"source", "origin", "dropped"}
    assert "Jane" not in told(result.folder)
    assert "conv-jane" not in told(result.folder)


def test_a_vote_of_the_person_on_anothers_answer_goes_and_the_answer_stays(tmp_path: Path) -> None:
    erased(tmp_path, ("jane-1988",))
    votes = [{"conversation_id": "c", "kind": "thumb", "message_index": 1, "value": 1, "user_id": user} for user in ("jane-1988", "bob")]
    result = read(tmp_path, {"a.jsonl": lines(chat("c", "Hi", "Hello", user_id="bob"), *votes)})
    assert result.contents() == ["Hi", "Hello"]
    assert [row["annotator"] for row in result.table("feedback")] == [person_id("bob", KEY)]


@pytest.mark.parametrize("name", ["conv-jane", "jsonl:conv-jane"])
def test_a_conversation_is_erased_by_its_id_in_the_log_or_in_the_tables(tmp_path: Path, name: str) -> None:
    erased(tmp_path, conversations=(name,))
    result = read(tmp_path, {"a.jsonl": lines(chat("conv-jane", "I am", "Hello"), chat("other", "Hi", "Hello"))})
    assert {row["conversation_id"] for row in result.table("turns")} == {"jsonl:other"}


def test_of_two_conversations_with_one_id_only_the_persons_goes(tmp_path: Path) -> None:
    erased(tmp_path, ("jane-1988",))
    one = lines(chat("1", "I bake bread", "Good", user_id="jane-1988"))
    other = lines(chat("1", "I mend bikes", "Well", user_id="bob"))
    result = read(tmp_path, {"a.jsonl": one, "b.jsonl": other})
    assert [(row["conversation_id"], row["content"]) for row in result.table("turns")] == [("jsonl:1", "I mend bikes"), ("jsonl:1", "Well")]


def test_what_is_older_than_the_day_goes_by_its_last_message(tmp_path: Path) -> None:
    erased(tmp_path, before=DAY)
    logs = [chat("old", "Hi", "Ho", created_at="2026-04-30T23:59:59Z"), chat("new", "Hi", "Hey", created_at="2026-05-01T00:00:00Z")]
    alone = {"conversation_id": "nowhere", "kind": "comment", "text": "old words", "message_index": 1, "created_at": "2026-01-01T00:00:00Z"}
    result = read(tmp_path, {"a.jsonl": lines(*logs, chat("timeless", "Hi", "Hu"), alone)})
    assert {row["conversation_id"] for row in result.table("turns")} == {"jsonl:new", "jsonl:timeless"}
    assert result.table("feedback") == []


def test_tombstones_of_another_salt_stop_the_run(tmp_path: Path) -> None:
    tombstones.save(tmp_path / "erased", Tombstones("lost").grown(tombstones.USER, ["0" * 16], DAY))
    with pytest.raises(UserError, match="tombstones made with another salt"):
        read(tmp_path, {"a.jsonl": lines(chat("c", "Hi", "Hello"))})


def test_a_line_that_is_no_tombstone_stops_the_run(tmp_path: Path) -> None:
    path = tombstones.place(tmp_path / "erased", KEY)
    path.parent.mkdir()
    for line in ("user jane 2026-05-01", "older 2026-13-01", "user 0123456789abcdef"):
        path.write_text(f"# head\n{line}\n")
        with pytest.raises(UserError, match="line 2"):
            tombstones.load(path.parent, KEY)


def test_tombstones_come_back_as_written_and_keep_their_first_day(tmp_path: Path) -> None:
    found = Tombstones(KEY).grown(tombstones.USER, ["a", "b"], DAY).grown(tombstones.CONVERSATION, ["jsonl:c"], DAY).aged(DAY)
    path = tombstones.save(tmp_path, found)
    assert tombstones.load(tmp_path, KEY) == found
    later = found.grown(tombstones.USER, ["a"], dt.date(2026, 6, 1)).aged(dt.date(2026, 1, 1))
    assert later == found
    assert not any(name in path.read_text() for name in ("jsonl:c", person_id("a", KEY)))
    assert path.stem == salt.fingerprint(KEY)
