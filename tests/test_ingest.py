"""The stage: any files in, each record read or quarantined with its place, the same facts whatever the files are called."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.common.raw_files.files import raw_files
from tasks.core import engine
from tasks.core.errors import UserError
from tasks.core.ids import person_id, stable_id
from tasks.core.params import load
from tasks.core.tables import TABLES
from tasks.ingest import stage as ingest
from tasks.ingest.formats.columns import RAW_FEEDBACK, RAW_TURNS
from tasks.ingest.formats.limits import MaxUnread
from tests.builders.projects import digests, make_project, run_stage
from tests.builders.raw_logs import GOOD, chat, lines, read
from tests.conftest import ROOT


def test_tables_have_their_schemas_and_the_ledger_adds_up(tmp_path: Path) -> None:
    result = read(tmp_path, {"a.jsonl": lines(GOOD, {"conversation_id": "c", "kind": "copy", "message_index": 1}, 3) + b"{\n"})
    for name in ingest.WRITES:
        assert pq.read_table(result.folder / name).schema.equals(TABLES[name].schema())
    assert result.ledger["records"] == {"in": 4, "made": 0, "kept": 2, "dropped": 2, "reasons": {"not_an_object": 1, "not_json": 1}}
    (file,) = result.table("files")
    assert (file["name"], file["format"], file["records"], file["quarantined"]) == ("a.jsonl", "jsonl", 4, 2)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"id": "c", "messages": [', "not_json"),
        ('{"id": "Привет"}'.encode("cp1251"), "not_utf8"),
        ('{"id": "你好"}'.encode("gbk"), "not_utf8"),
        (b"[" * 100_000, "too_deep"),
        (b'{"id": ' + b"9" * 5000 + b"}", "not_json"),
        (b"[1, 2]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"a": 1}', "unknown_format"),
        (b'{"id": "d", "messages": [{"role": "user", "content": {"a": [1]}}, 4]}', "no_messages"),
    ],
)
def test_an_unreadable_line_is_quarantined_with_its_place_and_the_rest_is_read(tmp_path: Path, raw: bytes, reason: str) -> None:
    result = read(tmp_path, {"a.jsonl": lines(GOOD) + b"\n" + raw + b"\n" + lines(chat("e", "Bye"))})
    assert result.faults() == [(1, 3, reason)]
    assert result.contents() == ["Hi", "Hello", "Bye"]


def test_quarantine_never_holds_text_of_the_record(tmp_path: Path) -> None:
    secret = "jane@example.org"
    bad = [b'{"id": "%s' % secret.encode(), b'{"%s"}' % secret.encode(), json.dumps({"conversation_id": "c", "kind": secret}).encode()]
    bad += [json.dumps({"id": "x", "messages": [{"role": secret, "content": secret}]}).encode(), json.dumps({secret: 1}).encode()]
    result = read(tmp_path, {"a.jsonl": lines(*[GOOD] * 100) + b"\n".join(bad)})
    assert len(result.faults()) == len(bad)
    assert secret not in str(result.table("quarantine"))


def test_traps_of_real_logs_are_read(tmp_path: Path) -> None:
    odd = [
        json.dumps(chat("sep", "a\u2028b\u2029c\x85d"), ensure_ascii=False).encode(),
        b'{"id": "half", "messages": [{"role": "user", "content": "\\ud83d cut"}]}',
        b'{"id": "nan", "score": NaN, "messages": [{"role": "user", "content": "nan"}]}',
        b'{"id": "twice", "id": "last", "messages": [{"role": "user", "content": "dup"}]}',
        b'{"id": 123456789012345678901234567890, "messages": [{"role": "user", "content": "huge"}]}\r',
        b'{"id": "nul", "messages": [{"role": "user", "content": "\\u0000"}]}',
    ]
    result = read(tmp_path, {"a.jsonl": b"\xef\xbb\xbf" + b"\n".join(odd)})
    contents = {row["conversation_id"]: row["content"] for row in result.table("turns")}
    assert contents["jsonl:sep"] == "a\u2028b\u2029c\x85d"
    assert contents["jsonl:half"] == "\ufffd cut"
    assert contents["jsonl:last"] == "dup"
    assert contents["jsonl:nul"] == "\0"
    assert "nan" in contents.values()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_are_unpacked_and_a_broken_one_gives_what_it_holds(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    data = lines(*(chat(f"c{n}", f"text {n * 7919}") for n in range(2000)))
    result = read(tmp_path, {"whole": pack(data)})
    assert len(result.contents()) == 2000
    (tmp_path / "cut").mkdir()
    result = read(tmp_path / "cut", {"a.jsonl": lines(GOOD), "cut": pack(data)[:-40]})
    assert "broken_archive" in {reason for _, _, reason in result.faults()}


def test_members_of_a_zip_are_files_of_their_own(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("conversations.json", json.dumps([GOOD]))
        archive.writestr("more/b.jsonl", lines(chat("d", "Bye")))
        archive.writestr("chat.html", "<p>")
    result = read(tmp_path, {"export.zip": packed.getvalue()})
    assert result.contents() == ["Hi", "Hello", "Bye"]
    assert [(row["name"], row["records"]) for row in result.table("files")] == [
        ("export.zip/chat.html", 0),
        ("export.zip/conversations.json", 1),
        ("export.zip/more/b.jsonl", 1),
    ]
    assert {row["origin"]["record"] for row in result.table("turns")} == {0, 1}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_a_log"),
        (b" \n ", "not_a_log"),
        (b"MIT License", "not_a_log"),
        (b"SQLite format 3\0\1\2", "not_a_log"),
        (b'{"a": 1}', "unknown_format"),
        (b'[{"a": 1}, 2]', "unknown_format"),
        (b'{"a": ', "not_json"),
        (b"PK\x03\x04junk", "broken_archive"),
    ],
)
def test_a_file_that_is_no_log_is_listed_with_its_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    result = read(tmp_path, {"good.json": json.dumps([GOOD], indent=1).encode(), "other": data})
    assert result.faults() == [(-1, None, reason)]
    assert {row["name"]: row["format"] for row in result.table("files")} == {"good.json": "jsonl", "other": None}


def test_a_first_line_cut_off_by_rotation_does_not_cost_the_file(tmp_path: Path) -> None:
    result = read(tmp_path, {"a.log": b'ser", "content": "x"}]}\n' + lines(GOOD)})
    assert result.faults() == [(0, 1, "not_json")]
    assert result.contents() == ["Hi", "Hello"]


def test_records_of_several_formats_may_share_a_file(tmp_path: Path) -> None:
    others = {"messages": [{"role": "user", "content": "x"}]}, {"conversations": [{"from": "human", "value": "y"}]}
    result = read(tmp_path, {"a": lines(GOOD, *others)})
    assert [row["format"] for row in result.table("files")] == ["mixed"]
    assert {row["source"] for row in result.table("turns")} == {"jsonl", "openai", "sharegpt"}


def test_params_force_a_format_and_a_wrong_name_is_refused(tmp_path: Path) -> None:
    forced = read(tmp_path, {"x/a.json": json.dumps([GOOD]).encode(), "b.jsonl": lines(chat("d", "x"))}, {"x/*": "sharegpt"})
    assert [(row["format"], row["reason"]) for row in forced.table("quarantine")] == [("sharegpt", "no_messages")]
    with pytest.raises(UserError, match=r"'sharegtp'; expected one of arena, .*sharegpt"):
        read(tmp_path / "wrong", {"a": lines(GOOD)}, {"*": "sharegtp"})


@pytest.mark.parametrize("files", [{}, {"LICENSE": b"MIT"}, {"a.jsonl": b'{"a": 1}\n{"b": 2}\n'}, {".hidden.jsonl": lines(GOOD)}])
def test_nothing_to_read_is_the_users_to_mend(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(UserError, match="put your exports there"):
        read(tmp_path, files)


def test_the_same_bytes_twice_are_read_once(tmp_path: Path) -> None:
    result = read(tmp_path, {"a.jsonl": lines(GOOD), "b/copy.jsonl": lines(GOOD)})
    assert result.faults() == [(-1, None, "same_file")]
    assert (len(result.contents()), result.ledger["turns"]["dropped"]) == (2, 0)
    assert [(row["name"], row["records"]) for row in result.table("files")] == [("a.jsonl", 1), ("b/copy.jsonl", 0)]


def test_overlapping_exports_keep_each_fact_once(tmp_path: Path) -> None:
    act = {"id": "f", "conversation_id": "c", "kind": "thumb", "value": 1, "message_index": 1}
    result = read(tmp_path, {"a": lines(GOOD, act), "b": lines(chat("c", "Hi", "Hello", "Bye"), act)})
    assert result.contents() == ["Hi", "Hello", "Bye"]
    assert [row["dropped"] for row in result.dropped("turns")] == ["repeated", "repeated"]
    assert [row["dropped"] for row in result.dropped("feedback")] == ["repeated"]


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_of_two_versions_the_newer_stays(tmp_path: Path, names: str) -> None:
    old, new = chat("c", "Hi", "Old", created_at="2026-01-01"), chat("c", "Hi", "New", created_at="2026-01-02")
    vote = {"id": "f", "conversation_id": "c", "kind": "thumb", "message_index": 1}
    votes = [vote | {"value": value, "created_at": f"2026-01-0{2 + value}"} for value in (-1, 1)]
    result = read(tmp_path, {names[0]: lines(old, votes[0]), names[1]: lines(new, votes[1])})
    assert result.contents() == ["Hi", "New"]
    assert sorted(row["dropped"] for row in result.dropped("turns")) == ["conflicting", "repeated"]
    assert [row["value"] for row in result.table("feedback")] == [1.0]
    assert [row["dropped"] for row in result.dropped("feedback")] == ["conflicting"]


def webui_chat(*said: tuple[str, str | None, str], **more: object) -> dict[str, Any]:
    """A row of Open WebUI's chat export, of (id, parent, text); a... are answers, and the last message is the current one."""
    nodes = {
        turn: {
            "id": turn,
            "parentId": above,
            "role": "assistant" if turn[0] == "a" else "user",
            "content": text,
            "timestamp": 1767225600 + at,
        }
        for at, (turn, above, text) in enumerate(said)
    }
    chat = {"history": {"currentId": said[-1][0], "messages": nodes}}
    return {"id": "c", "user_id": "u", "created_at": 1767225600, "meta": {"tags": ["t"]}, "chat": chat} | more


ASKED = ("q", None, "?")
VOTED = webui_chat(ASKED, ("a", "q", "as voted"))
LATER: dict[str, list[tuple[str, str | None, str]]] = {  # the live chat after the vote, and the turns with their parents that come out
    "as it was": [ASKED, ("a", "q", "as voted")],
    "edited": [ASKED, ("a", "q", "edited")],
    "gone on": [ASKED, ("a", "q", "edited"), ("r", "a", "And?"), ("a2", "r", "Then.")],
    "rolled again": [ASKED, ("a", "q", "edited"), ("a1", "q", "another")],
    "deleted": [ASKED, ("a1", "q", "another")],
    "deleted from the middle": [ASKED, ("r", "q", "And?"), ("a2", "r", "Then.")],
}


@pytest.mark.parametrize("state", LATER)
@pytest.mark.parametrize("snapshot", [{"chat": VOTED}, json.dumps({"chat": VOTED})], ids=["object", "text"])
@pytest.mark.parametrize("names", ["ab", "ba"])
def test_the_text_that_was_voted_on_wins_over_what_became_of_the_chat(tmp_path: Path, state: str, snapshot: object, names: str) -> None:
    vote = {"id": "f", "user_id": "u", "type": "rating", "data": {"rating": 1}, "meta": {"chat_id": "c", "message_id": "a"}}
    exports = [[webui_chat(*LATER[state], updated_at=1767232800)], [vote | {"snapshot": snapshot, "created_at": 1767225700}]]
    result = read(tmp_path, {name: json.dumps(export).encode() for name, export in zip(names, exports, strict=True)})
    actual = {row["turn_id"]: (row["parent_id"], row["content"]) for row in result.table("turns")}
    live = {turn: (above, text) for turn, above, text in LATER[state]}
    assert actual == live | {"a": ("q", "as voted")}
    assert {row["topic"] for row in result.table("turns")} == {"t"}
    thumbs = [row for row in result.table("feedback") if row["kind"] == "thumb"]
    assert [(row["turn_id"], row["value"]) for row in thumbs] == [("a", 1.0)]


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_an_export_that_lacks_the_beginning_takes_its_place_from_one_that_has_it(tmp_path: Path, names: str) -> None:
    messages = [
        {"id": f"m{at}", "parent_id": f"m{at - 1}" if at else None, "role": ("user", "assistant")[at % 2], "content": str(at)}
        for at in range(4)
    ]
    whole, part = {"id": "c", "messages": messages}, {"id": "c", "messages": messages[2:]}
    result = read(tmp_path, {name: lines(record) for name, record in zip(names, (whole, part), strict=True)})
    assert [(row["turn_id"], row["parent_id"], row["position"]) for row in result.table("turns")] == [
        (f"m{at}", f"m{at - 1}" if at else None, at) for at in range(4)
    ]
    assert [reason for _, _, reason in result.faults()] == ["missing_parent"]


def test_an_older_snapshot_gives_way_to_the_text_of_the_latest_vote(tmp_path: Path) -> None:
    votes = []
    for number, text in enumerate(("first", "second")):
        row = {"id": f"f{number}", "user_id": f"u{number}", "type": "rating", "data": {"rating": 1}, "created_at": 1767225700 + number}
        shot = webui_chat(ASKED, ("a", "q", text), ("r", "a", "!"))
        shot["chat"]["history"]["messages"]["r"]["timestamp"] = 1767225650 + number
        votes.append(row | {"meta": {"chat_id": "c", "message_id": "a"}, "snapshot": {"chat": shot}})
    result = read(tmp_path, {"a": json.dumps(votes).encode()})
    assert [row["content"] for row in result.table("turns")] == ["?", "second", "!"]
    assert [row["dropped"] for row in result.dropped("turns") if row["turn_id"] == "a"] == ["conflicting"]


def test_people_are_hashed_with_the_salt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIRWRIGHT_SALT", "pepper")
    act = {"conversation_id": "c", "kind": "copy", "message_index": 1, "user_id": "jane@example.org"}
    result = read(tmp_path, {"a": lines(chat("c", "Hi", "Hello", user_id="jane@example.org"), act)})
    assert {row["user_id"] for row in result.table("turns")} == {person_id("jane@example.org", "pepper")}
    assert result.table("feedback")[0]["annotator"] == person_id("jane@example.org", "pepper")
    assert not any(b"jane@" in path.read_bytes() for path in result.folder.rglob("*.parquet"))


def test_an_index_means_the_place_in_the_log_even_when_messages_have_ids(tmp_path: Path) -> None:
    named = {"id": "c", "messages": [{"id": f"m{n}", "role": "user", "content": str(n)} for n in range(3)]}
    result = read(tmp_path, {"a": lines({"conversation_id": "c", "kind": "copy", "message_index": 2}), "b": lines(named)})
    assert [row["turn_id"] for row in result.table("feedback")] == ["m2"]


def test_raw_files_are_left_as_they_were(tmp_path: Path) -> None:
    read(tmp_path, {"a.jsonl": lines(GOOD), "b.gz": gzip.compress(lines(chat("d", "x")))})
    before = [(file.digest, file.path.stat().st_mtime_ns) for file in raw_files(tmp_path / "raw")]
    (tmp_path / "out").rename(tmp_path / "first")
    read(tmp_path, {})
    assert [(file.digest, file.path.stat().st_mtime_ns) for file in raw_files(tmp_path / "raw")] == before


def test_links_in_circles_end(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "loop").symlink_to(tmp_path / "raw")
    assert read(tmp_path, {"a": lines(GOOD)}).contents() == ["Hi", "Hello"]


TEXT = st.text(max_size=12)
CHATS = st.lists(st.tuples(st.lists(TEXT, min_size=1, max_size=4), st.booleans(), st.sampled_from([None, "t"])), min_size=1, max_size=6)
VOTES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.sampled_from([-1, 1])), max_size=6)


def records_of(chats: list[tuple[list[str], bool, str | None]], votes: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
    """Conversations, with and without ids on their messages, and thumbs by place."""
    records: list[dict[str, Any]] = []
    for number, (texts, named, topic) in enumerate(chats):
        messages = chat(f"c{number}", *texts)["messages"]
        for at, message in enumerate(messages if named else []):
            message["id"] = f"m{at}"
        records.append({"id": f"c{number}", "messages": messages} | ({"topic": topic} if topic else {}))
    for number, (which, place, value) in enumerate(votes):
        texts = chats[which % len(chats)][0]
        target = {"conversation_id": f"c{which % len(chats)}", "message_index": place % len(texts)}
        records.append({"id": f"f{number}", "kind": "thumb", "value": value, **target})
    return records


@settings(max_examples=25, deadline=None)
@given(chats=CHATS, votes=VOTES, data=st.data())
def test_what_is_written_is_read_whatever_the_files_and_their_order(chats: Any, votes: Any, data: st.DataObject) -> None:
    records = records_of(chats, votes)
    with tempfile.TemporaryDirectory() as folder:
        result = read(Path(folder, "one"), {"a.jsonl": lines(*records)})
        turns, acts = result.table("turns"), result.table("feedback")
        assert [row["content"] for row in turns] == [text for texts, _, _ in chats for text in texts]
        assert {row["topic"] for row in turns} == {topic or "" for _, _, topic in chats}
        known = {(row["conversation_id"], row["turn_id"]): row["position"] for row in turns}
        actual = sorted((row["conversation_id"], known[row["conversation_id"], row["turn_id"]], row["value"]) for row in acts)
        assert actual == sorted((f"jsonl:c{w % len(chats)}", p % len(chats[w % len(chats)][0]), v) for w, p, v in votes)

        again = data.draw(st.permutations(records))
        parts = [again[: len(again) // 2], again[len(again) // 2 :]]
        one = read(Path(folder, "two"), {name: lines(*part) for name, part in zip("ab", parts, strict=True) if part})
        two = read(Path(folder, "three"), {f"z/{name}": lines(*part) for name, part in zip("ba", parts, strict=True) if part})
        for table in ("turns", "feedback", "quarantine"):
            assert digests(one.folder / table) == digests(two.folder / table)
            assert [{**row, "origin": 0} for row in one.table(table)] == [{**row, "origin": 0} for row in result.table(table)]


def test_run_gives_back_every_table_it_was_given() -> None:
    schemas = {name: TABLES[name].schema() for name in ingest.WRITES} | {"turns": RAW_TURNS, "feedback": RAW_FEEDBACK}
    empty = {name: engine.from_arrow(schema.empty_table()) for name, schema in schemas.items()}
    result = ingest.run(empty, load(ROOT / "params.yaml", "ingest", ingest.Params))
    assert {name: len(frame.to_arrow()) for name, frame in result.items()} == dict.fromkeys(ingest.WRITES, 0)


def test_workers_change_no_byte_and_mistakes_are_one_line(tmp_path: Path) -> None:
    raw = tmp_path / "logs"
    raw.mkdir()
    (raw / "a.jsonl").write_bytes(lines(*(chat(f"c{n}", "Hi", f"Hello {n}") for n in range(300))))
    written = []
    for workers in ("1", "2"):
        project = make_project(tmp_path / workers, raw)
        done = run_stage(project, "ingest", PAIRWRIGHT_WORKERS=workers)
        assert done.returncode == 0, done.stderr
        written.append(digests(project / "data" / "01_ingest", "**/*"))
    assert written[0] == written[1]
    (tmp_path / "empty" / "data" / "raw").mkdir(parents=True)
    done = run_stage(make_project(tmp_path / "empty"), "ingest")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "put your exports there" in done.stderr


def test_real_exports_are_read(tmp_path: Path, shared_data: Path) -> None:
    (tmp_path / "raw").mkdir()
    for name in ("oasst", "hh_rlhf", "frontend_exports", "fastchat"):
        (tmp_path / "raw" / name).symlink_to(shared_data / name)
    result = read(tmp_path, {}, max_unread=MaxUnread(records=1, file=1, files=1, at_least=1))
    counts: dict[str, int] = {}
    for row in result.table("feedback"):
        counts[f"{row['source']} {row['kind']}"] = counts.get(f"{row['source']} {row['kind']}", 0) + 1
    assert counts["hh choice"] >= 1700
    assert counts["oasst ranking"] > 300
    formats = {row["name"].rsplit("/", 1)[-1]: row["format"] for row in result.table("files")}
    assert formats["librechat-tree.json"] == "librechat"
    assert formats["chatgpt-export.json"] == "chatgpt"
    assert formats["LICENSE"] is None
    entry = result.ledger["records"]
    assert entry["in"] == entry["kept"] + entry["dropped"]


def test_of_two_exports_that_differ_in_a_call_or_a_file_only_the_newer_stays(tmp_path: Path) -> None:
    def told(size: int, when: str, **more: object) -> dict[str, Any]:
        asked = {"id": "q", "role": "user", "content": "Rain?", "created_at": when}
        answers = [{"id": f"a{at}", "parent_id": "q", "role": "assistant", "content": "x"} | more for at in range(size)]
        return {"id": "c", "messages": [asked, *answers]}

    old, new = told(1, "2026-01-01", files=[{"id": "f1"}]), told(1, "2026-01-02", files=[{"id": "f2"}])
    result = read(tmp_path, {"a.jsonl": lines(old), "b.jsonl": lines(new), "c.jsonl": lines(new, 3)})
    (_, answer), ledger = result.table("turns"), result.ledger["turns"]
    assert answer["attachments"] == [stable_id("attachment", "", "f2")]
    assert ledger["reasons"] == {"conflicting": 1, "repeated": 3}


SUMS = [("1", "user", "Gold or lead?"), ("2", "assistant", "Gold."), ("3", "assistant", "Lead."), ("4", "assistant", "Both.")]


def numbered(*ids: Any, **more: Any) -> dict[str, Any]:
    """A question with three answers to it, whose messages have these ids, or none."""
    messages = [{"role": role, "content": text} for _, role, text in SUMS]
    for message, name in zip(messages, ids, strict=False):
        if name is not None:
            message["id"] = name
    if ids:
        for message in messages[1:]:
            message["parent_id"] = ids[0]
    return {"id": 5, "messages": messages} | more


@pytest.mark.parametrize("ids", [(1, 2, 3, 4), ("1", "2", "3", "4"), (1.0, 2.0, 3.0, 4.0)])
@pytest.mark.parametrize(("better", "worse"), [(2, 3), ("2", "3"), (2.0, 3.0), ("2.0", "3.0")])
def test_a_number_that_is_the_id_of_a_message_names_it_and_is_no_place(tmp_path: Path, ids: Any, better: Any, worse: Any) -> None:
    line = {"conversation_id": 5, "kind": "choice", "better": better, "worse": worse, "shown_first": worse}
    (act,) = read(tmp_path, {"a.jsonl": lines(numbered(*ids), line)}).table("feedback")
    assert (act["better"], act["worse"], act["shown_first"]) == ("2", "3", "3")


def test_a_place_has_keys_of_its_own_even_where_ids_are_numbers(tmp_path: Path) -> None:
    line = {"conversation_id": 5, "kind": "choice", "better_index": 2, "worse_index": 3.0, "shown_first_index": "3"}
    votes = [{"conversation_id": 5, "kind": "thumb", "value": 1, "message_index": index} for index in (1, 1.0, "1")]
    acts = read(tmp_path, {"a.jsonl": lines(numbered(1, 2, 3, 4), line, *votes)}).table("feedback")
    assert {(act["better"], act["worse"], act["shown_first"], act["turn_id"]) for act in acts} == {
        ("3", "4", "4", None),
        (None, None, None, "2"),
    }


def test_a_number_that_names_no_message_of_those_with_ids_is_reported(tmp_path: Path) -> None:
    line = {"conversation_id": 5, "kind": "choice", "better": 0, "worse": 2}
    result = read(tmp_path, {"a.jsonl": lines(numbered(1, 2, 3, 4), line)})
    (act,) = result.table("feedback")
    assert (act["better"], act["worse"]) == ("0", "2")
    assert result.faults() == [(1, None, "no_such_message")]


def test_only_where_no_message_has_an_id_is_a_number_a_place(tmp_path: Path) -> None:
    chat = numbered()
    chat["messages"][2]["parent_id"] = chat["messages"][3]["parent_id"] = "0000"
    line = {"conversation_id": 5, "kind": "choice", "better": 2, "worse": 3.0}
    result = read(tmp_path, {"a.jsonl": lines(chat, line)})
    (act,) = result.table("feedback")
    assert (act["better"], act["worse"], result.faults()) == ("0002", "0003", [])


def test_a_number_that_could_be_an_id_or_a_place_is_refused(tmp_path: Path) -> None:
    line = {"conversation_id": 5, "kind": "choice", "better": 2, "worse": 3}
    result = read(tmp_path, {"a.jsonl": lines(numbered("q", 2, None, 3), line)})  # the message at place 2 has no id, another has the id 2
    (act,) = result.table("feedback")
    assert act["better"] is None
    assert result.faults() == [(1, None, "two_messages")]


@pytest.mark.parametrize("key", ["conversation_id", "chat_id", "thread_id", "session_id"])
def test_a_conversation_s_id_may_stand_under_other_keys_and_have_been_a_float(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIRWRIGHT_SALT", "pepper")
    messages = GOOD["messages"]
    chats = [{key: 12, "messages": messages, "user_id": 7}, {key: "x", "messages": messages}]
    votes = [{key: name, "kind": "thumb", "value": 1.0, "message_index": 1.0, "user_id": 7.0} for name in (12.0, "12.0", "x")]
    result = read(tmp_path, {"c.jsonl": lines(*chats), "f.jsonl": lines(*votes)})
    assert {row["conversation_id"] for row in result.table("turns")} == {"jsonl:12", "jsonl:x"}
    acts = result.table("feedback")
    assert sorted((act["conversation_id"], act["turn_id"]) for act in acts) == [("jsonl:12", "0001"), ("jsonl:x", "0001")]
    assert {act["annotator"] for act in acts} == {person_id("7", "pepper")}


def test_beside_a_conversation_s_id_an_id_is_the_record_s(tmp_path: Path) -> None:
    chats = [
        {"id": f"row {at}", "conversation_id": "x", "messages": chat("", "Hi", "Hello", "More?", "Yes")["messages"][:at]} for at in (2, 4)
    ]
    result = read(tmp_path, {"c.jsonl": lines(*chats, {**chats[0], "id": None}, {**chats[0], "conversation_id": None})})
    assert {row["conversation_id"] for row in result.table("turns")} == {"jsonl:x", "jsonl:row 2"}
    assert len(result.contents()) == 6


EGG = chat("1", "Boil an egg?", "Six minutes.", user_id="alice", created_at="2026-03-02")
PRINTER = chat("1", "My printer?", "Throw it away.", "Seriously?", "Clean it.", user_id="bob", created_at="2026-01-02")
LIKED = {"conversation_id": "1", "kind": "thumb", "message_index": 1, "value": 1, "id": "f1"}


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_one_id_in_two_files_that_begin_otherwise_is_two_conversations_each_with_its_own_votes(tmp_path: Path, names: str) -> None:
    files = {f"{names[0]}.jsonl": lines(EGG, LIKED), f"{names[1]}.jsonl": lines(PRINTER, LIKED | {"value": -1})}
    result = read(tmp_path, files)
    turns = {(row["conversation_id"], row["turn_id"]): row["content"] for row in result.table("turns")}
    assert sorted(turns.values()) == sorted(message["content"] for log in (EGG, PRINTER) for message in log["messages"])
    votes = {turns[act["conversation_id"], act["turn_id"]]: act["value"] for act in result.table("feedback")}
    assert votes == {"Six minutes.": 1.0, "Throw it away.": -1.0}
    assert {name for name, _ in turns if name == "jsonl:1"} == {"jsonl:1"}  # the earlier keeps its name
    assert turns["jsonl:1", "0001"] == "Throw it away."
    assert [reason for _, _, reason in result.faults()] == ["another_conversation"]


@pytest.mark.parametrize(("users", "count"), [(("alice", "bob"), 2), (("", ""), 2), (("alice", "alice"), 1)])
def test_one_counted_id_under_which_two_chats_begin_with_hello_is_two_conversations(
    tmp_path: Path, users: tuple[str, str], count: int
) -> None:
    messages = [
        chat("1", "hello", "Hello!", f"My {what}?", answer) for what, answer in (("egg", "Six minutes."), ("printer", "Throw it away."))
    ]
    files = {f"{at}.jsonl": lines(log | {"user_id": user or None}, LIKED | {"message_index": 3, "value": 2 * at - 1})
             for at, (log, user) in enumerate(zip(messages, users, strict=True))}  # fmt: skip
    result = read(tmp_path, files)
    turns = {(row["conversation_id"], row["turn_id"]): row["content"] for row in result.table("turns")}
    assert len({name for name, _ in turns}) == count
    if count == 2:
        votes_by_text = {turns[act["conversation_id"], act["turn_id"]]: act["value"] for act in result.table("feedback")}
        assert votes_by_text == {"Six minutes.": -1.0, "Throw it away.": 1.0}


def test_a_vote_in_a_third_file_goes_where_only_one_has_such_a_message_or_is_refused(tmp_path: Path) -> None:
    votes = [LIKED, LIKED | {"message_index": 3, "id": "f2"}]
    result = read(tmp_path, {"a.jsonl": lines(EGG), "b.jsonl": lines(PRINTER), "c.jsonl": lines(*votes)})
    acts = {act["turn_id"]: act["conversation_id"] for act in result.table("feedback")}
    assert acts == {None: "jsonl:1", "0003": "jsonl:1"}
    assert sorted(reason for _, _, reason in result.faults()) == ["another_conversation", "two_conversations"]


def test_a_conversation_exported_again_longer_and_with_a_system_prompt_is_still_one(tmp_path: Path) -> None:
    longer = {"id": "1", "messages": [*EGG["messages"], *chat("1", "And soft?", "Four.")["messages"]]}
    with_ids = {
        "id": "2",
        "messages": [{"id": "s", "role": "system", "content": "Be brief."}, {"id": "q", "role": "user", "content": " Hi\n"}],
    }
    bare = {"id": "2", "messages": [{"id": "q", "role": "user", "content": "Hi"}]}
    result = read(tmp_path, {"a.jsonl": lines(EGG, with_ids), "b.jsonl": lines(longer, bare)})
    assert {row["conversation_id"] for row in result.table("turns")} == {"jsonl:1", "jsonl:2"}
    assert result.faults() == []


def test_a_first_question_that_was_edited_in_place_is_known_by_its_long_id(tmp_path: Path) -> None:
    def told(text: str) -> dict[str, Any]:
        return {
            "id": "1",
            "messages": [{"id": "6f1c2d3e-aaaa-bbbb", "role": "user", "content": text}, {"id": "a", "role": "assistant", "content": "x"}],
        }

    result = read(tmp_path, {"a.jsonl": lines(told("Hi")), "b.jsonl": lines(told("Hello"))})
    assert (len(result.contents()), result.faults()) == (2, [])


def test_an_answer_in_two_messages_is_one_and_a_vote_on_either_is_about_it(tmp_path: Path) -> None:
    messages = [("q", "user", "Repot?"), ("1", "assistant", "Take it out."), ("2", "assistant", "Cut the roots."), ("r", "user", "Thanks")]
    chats = [
        {"id": "c", "messages": [{"id": name, "role": role, "content": text} for name, role, text in messages]},
        {"id": "d", "messages": [{"role": role, "content": text} for _, role, text in messages]},
    ]
    votes = [
        {"conversation_id": name, "kind": "thumb", "value": 1, "message_index": at, "id": f"{name}{at}"} for name in "cd" for at in (1, 2)
    ]
    votes.append({"conversation_id": "c", "kind": "thumb", "value": 1, "message_id": "1", "id": "by id"})
    result = read(tmp_path, {"a.jsonl": lines(*chats, *votes)})
    turns = {
        (row["conversation_id"][-1], row["turn_id"]): (row["parent_id"], row["position"], row["content"]) for row in result.table("turns")
    }
    assert turns["c", "2"] == ("q", 1, "Take it out.\n\nCut the roots.")
    assert turns["d", "0002"] == ("0000", 1, "Take it out.\n\nCut the roots.")
    assert (turns["c", "r"], len(turns)) == (("2", 2, "Thanks"), 6)
    assert {(act["conversation_id"][-1], act["turn_id"]) for act in result.table("feedback")} == {("c", "2"), ("d", "0002")}
    assert len(result.table("feedback")) == 5


def test_two_endings_of_one_beginning_are_two_answers(tmp_path: Path) -> None:
    messages = [{"id": "q", "role": "user", "content": "Repot?"}, {"id": "1", "role": "assistant", "content": "Out."}]
    messages += [{"id": name, "parent_id": "1", "role": "assistant", "content": name} for name in "ab"]
    result = read(tmp_path, {"a.jsonl": lines({"id": "c", "messages": messages})})
    assert [(row["turn_id"], row["parent_id"], row["content"]) for row in result.table("turns")] == [
        ("q", None, "Repot?"),
        ("a", "q", "Out.\n\na"),
        ("b", "q", "Out.\n\nb"),
    ]


def test_a_vote_on_a_call_of_a_tool_is_about_the_answer_that_it_led_to(tmp_path: Path) -> None:
    call = {"id": "c", "role": "assistant", "content": None, "tool_calls": [{"function": {"name": "rain", "arguments": "{}"}}]}
    messages = [{"id": "q", "role": "user", "content": "Rain?"}, call, {"id": "t", "role": "tool", "content": "12"}]
    messages.append({"id": "a", "role": "assistant", "content": "Yes."})
    votes = [{"conversation_id": "x", "kind": "thumb", "value": 1, "message_id": name, "id": name} for name in "cta"]
    result = read(tmp_path, {"a.jsonl": lines({"id": "x", "messages": messages}, *votes)})
    assert {act["turn_id"] for act in result.table("feedback")} == {"a"}
    assert [row["parent_id"] for row in result.table("turns")] == [None, "q", "c", "t"]


def test_roles_that_do_not_alternate_are_reported_once_a_file(tmp_path: Path) -> None:
    twice = [{"role": role, "content": "x"} for role in ("user", "user", "assistant")]
    greeting = [{"role": role, "content": "x"} for role in ("assistant", "user", "assistant")]
    chats = [{"id": str(at), "messages": messages} for at, messages in enumerate((twice, greeting, GOOD["messages"], twice))]
    result = read(tmp_path, {"a.jsonl": lines(*chats)})
    (note,) = result.table("quarantine")
    assert (note["record"], note["reason"], note["detail"][:21]) == (-1, "roles_not_alternating", "in 3 conversations ro")


def voted(annotation: dict[str, Any], when: int) -> list[dict[str, Any]]:
    """A chat export of Open WebUI with one answer and what its owner noted on it."""
    answer = {"role": "assistant", "parentId": "q", "content": "Yes.", "annotation": annotation, "feedbackId": "fb"}
    nodes = {"q": {"role": "user", "parentId": None, "content": "Rain?"}, "a": answer}
    return [{"id": "w", "user_id": "u", "updated_at": 1760000000 + when, "chat": {"history": {"messages": nodes}}}]


def rated(data: dict[str, Any], when: int, name: str = "fb") -> list[dict[str, Any]]:
    """A feedback export of Open WebUI about that answer."""
    meta = {"chat_id": "w", "message_id": "a"}
    return [{"id": name, "user_id": "u", "type": "rating", "data": data, "meta": meta, "updated_at": 1760000000 + when}]


def thumb(value: object, when: int | None, **more: object) -> list[dict[str, Any]]:
    line = {"conversation_id": "c", "kind": "thumb", "message_index": 1, "value": value, "user_id": "u"}
    return [line | ({} if when is None else {"created_at": 1760000000 + when}) | more]


def liked(feedback: object, when: int) -> list[dict[str, Any]]:
    """A message of LibreChat's collection."""
    shown = {"conversationId": "l", "messageId": "a", "isCreatedByUser": False, "text": "Yes.", "updatedAt": 1760000000 + when}
    return [shown | {"feedback": feedback}]


STARS = {"rating": -1, "details": {"rating": 2}}
BOTH: set[tuple[str, float | None]] = {("thumb", 1.0), ("rating", 9.0)}
ACTS_IN_TIME: list[tuple[list[Any], list[Any], set[tuple[str, float | None]]]] = [  # an older and a newer file, and what stands
    (voted({"rating": 1}, 1), voted({"rating": None}, 2), set()),
    (voted({"rating": 1}, 1), voted({"rating": -1}, 2), {("thumb", -1.0)}),
    (voted({"rating": -1}, 1), voted({"rating": 1}, 2), {("thumb", 1.0)}),
    (voted({"rating": None}, 1), voted({"rating": 1}, 2), {("thumb", 1.0)}),
    (voted(STARS, 1), voted({"rating": 1}, 2), {("thumb", 1.0)}),
    (voted({"rating": 1}, 1), voted({"rating": 1, "details": {"rating": 9}}, 2), BOTH),
    (rated({"rating": 1}, 1), voted({"rating": 0}, 2), set()),
    (voted({"rating": 1}, 1), rated({"rating": None}, 2), set()),
    (rated({"rating": -1}, 1), rated({"rating": "1"}, 2), {("thumb", 1.0)}),
    (rated(STARS, 1), rated({"rating": 1}, 2, "fb-2"), {("thumb", -1.0), ("thumb", 1.0)}),  # `aggregate` takes the later of two thumbs
    (thumb(1, 1), thumb(None, 2), set()),
    (thumb(1, 1), thumb("none", 2), set()),
    (thumb(1, 1, id="f"), thumb(0, 2, id="f"), set()),
    (thumb(1, 1), thumb(None, 2, user_id="v"), {("thumb", 1.0), ("thumb", None)}),
    (thumb(None, 1), thumb(1, 2), {("thumb", 1.0), ("thumb", None)}),
    (thumb(1, None), thumb(None, None), set()),
    (liked({"rating": "thumbsUp"}, 1), liked(None, 2), set()),
    (liked(None, 1), liked({"rating": "thumbsUp"}, 2), {("thumb", 1.0)}),
]


@pytest.mark.parametrize(("older", "newer", "stands"), ACTS_IN_TIME)
@pytest.mark.parametrize("names", ["ab", "ba"])
def test_the_last_word_of_a_person_counts_and_what_was_taken_back_does_not(
    tmp_path: Path, older: list[Any], newer: list[Any], stands: set[tuple[str, float | None]], names: str
) -> None:
    result = read(tmp_path, {f"{names[0]}.jsonl": lines(*older), f"{names[1]}.jsonl": lines(*newer)})
    votes = result.table("feedback")
    assert {(act["kind"], act["value"]) for act in votes} == stands
    assert len(votes) == len(stands)


def test_in_one_file_without_times_the_later_line_takes_back_the_earlier(tmp_path: Path) -> None:
    result = read(tmp_path, {"a.jsonl": lines(*thumb(1, None), *thumb(None, None), *thumb(-1, None))})
    assert [act["value"] for act in result.table("feedback")] == [-1.0]
    assert result.ledger["feedback"]["reasons"] == {"taken_back": 2}


def test_a_preference_beside_a_plain_conversation_is_read_and_a_label_of_unknown_meaning_is_no_thumb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIRWRIGHT_SALT", "pepper")
    shown = [chat("c", "Hi", chosen="Hello", rejected="Go away", user_id="u"), chat("d", "Hi", "Bye", label=False)]
    result = read(tmp_path, {"a.jsonl": lines(*shown)})
    turns = {row["turn_id"]: row for row in result.table("turns") if row["conversation_id"] == "jsonl:c"}
    (act,) = result.table("feedback")
    assert (turns[act["better"]]["content"], turns[act["worse"]]["content"]) == ("Hello", "Go away")
    assert {row["user_id"] for row in turns.values()} == {person_id("u", "pepper")}
