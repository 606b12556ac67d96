"""Nothing is lost in silence: what is not read is told with its file, its keys and the nearest format, and too much of it stops the run."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import UserError
from tasks.ingest.formats import FORMATS
from tasks.ingest.formats.limits import MaxUnread
from tasks.ingest.formats.nearest_format import NEEDS, nearest
from tests.builders.format_examples import example
from tests.builders.projects import digests, make_project, run_stage
from tests.builders.raw_logs import GOOD, chat, lines, read

OLD = [chat(f"c{n}", f"Question {n}?", f"Answer {n}.") for n in range(20)]
RENAMED = [{"id": f"r{n}", "turns": OLD[n]["messages"]} for n in range(10)]
THUMB = {"conversation_id": "c0", "kind": "thumb", "message_index": 1, "value": 1}


def test_a_file_whose_exporter_renamed_a_field_stops_the_run_and_is_named_with_all_that_helps(tmp_path: Path) -> None:
    with pytest.raises(UserError) as stopped:
        read(tmp_path, {"new.jsonl": lines(*RENAMED), "old.jsonl": lines(*OLD)})
    output = str(stopped.value)
    for part in (
        "new.jsonl",
        "10 of 10 records",
        "unknown_format",
        "id, turns",
        "jsonl, which requires id, messages",
        "ingest.max_unread.file",
    ):
        assert part in output
    page = list(csv.DictReader((tmp_path / "reports" / "quarantine.csv").read_text().splitlines()))
    assert [(row["file"], row["reason"]) for row in page] == [("new.jsonl", "unknown_format")]


@pytest.mark.parametrize(("inside", "seen"), [("spoken_by", "messages[].spoken_by"), ("text", "messages[].text")])
def test_a_field_renamed_inside_the_messages_is_seen_too(tmp_path: Path, inside: str, seen: str) -> None:
    renames = {"spoken_by": "role", "text": "content"}
    damaged = [
        record
        | {
            "messages": [
                {inside if key == renames[inside] else key: text for key, text in messages.items()} for messages in record["messages"]
            ]
        }
        for record in OLD
    ]
    with pytest.raises(UserError, match=re.escape(seen)):
        read(tmp_path, {"new.jsonl": lines(*damaged), "old.jsonl": lines(GOOD)})


def bounds(**changed: float) -> MaxUnread:
    return MaxUnread.model_validate({"records": 1.0, "file": 1.0, "files": 1.0, "at_least": 5} | changed)


@pytest.mark.parametrize(
    ("files", "limits", "named"),
    [
        ({"a": OLD, "b": [*RENAMED, *OLD[:10]]}, bounds(file=0.4), r"b: found 10 of 20 .*max_unread\.file"),
        ({"a": OLD, "b": RENAMED}, bounds(records=0.3), r"b: found 10 of 10 .*all 30 records, not 10 .*max_unread\.records"),
        ({"a": OLD, **{f"b{n}": RENAMED[n : n + 1] for n in range(5)}}, bounds(files=0.5), r"b4: found 1 of 1 .*max_unread\.files"),
        ({"a": OLD, "b": RENAMED}, bounds(records=0.34), None),
        ({"a": OLD, "b": [*RENAMED, *OLD[:10]]}, bounds(file=0.5), None),
        ({"a": OLD, "b": RENAMED[:4]}, bounds(records=0.1, file=0.1, files=0.1), None),
    ],
)
def test_what_may_be_unread_is_bounded_over_all_by_file_and_by_files(
    tmp_path: Path, files: Any, limits: MaxUnread, named: str | None
) -> None:
    written = {name: lines(*records) for name, records in files.items()}
    if named is None:
        assert len(read(tmp_path, written, max_unread=limits).contents()) == 40
        return
    with pytest.raises(UserError, match=named):
        read(tmp_path, written, max_unread=limits)


def test_files_that_exports_bring_along_may_be_unread_and_are_reported(tmp_path: Path) -> None:
    beside = {f"export/{name}": json.dumps([{"email": name}] * 50).encode() for name in ("user.json", "library_files.json")}
    with pytest.warns(UserWarning, match=r"user\.json: 50 of 50 records not read .*keys seen: email"):
        read(tmp_path, {"export/conversations.json": json.dumps(OLD).encode(), **beside})
    with pytest.raises(UserError, match=r"other\.json: found 50 of 50"):
        read(tmp_path / "again", {"a": lines(*OLD), "other.json": beside["export/user.json"]})


def test_records_that_are_left_out_because_of_what_they_say_are_not_unread(tmp_path: Path) -> None:
    same = {"chosen": "\n\nHuman: Hi\n\nAssistant: Yes", "rejected": "\n\nHuman: Hi\n\nAssistant: Yes"}
    result = read(tmp_path, {"a": lines(*OLD), "b": lines(*[same] * 30)})
    assert result.ledger["records"]["reasons"] == {"identical_pair": 30}


def test_the_quarantine_is_written_when_nothing_could_be_read(tmp_path: Path) -> None:
    raw = tmp_path / "logs"
    raw.mkdir()
    (raw / "new.jsonl").write_bytes(lines(*RENAMED))
    project = make_project(tmp_path / "project", raw)
    done = run_stage(project, "ingest")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert re.search(r"new\.jsonl: 10 of 10 records not read.*id, turns.*put your exports there.*data/reports/ingest/quarantine\.csv", last)
    assert "unknown_format" in (project / "data" / "reports" / "ingest" / "quarantine.csv").read_text()
    assert not (project / "data" / "01_ingest").exists()


def test_a_stopped_run_leaves_the_last_output_and_names_a_format_that_was_read_before(tmp_path: Path) -> None:
    raw = tmp_path / "logs"
    raw.mkdir()
    (raw / "a.jsonl").write_bytes(lines(*OLD))
    (raw / "b.jsonl").write_bytes(lines({"conversations": [{"from": "human", "value": "Hi"}]}))
    project = make_project(tmp_path / "project", raw)
    assert run_stage(project, "ingest").returncode == 0
    before = digests(project / "data" / "01_ingest", "**/*")
    (project / "data" / "raw" / "b.jsonl").write_bytes(lines(*[{"dialogue": [{"from": "human", "value": "Hi"}]}] * 9))
    done = run_stage(project, "ingest")
    assert done.returncode == 1
    assert "b.jsonl: the previous run read it as sharegpt; now no reader recognises it" in done.stderr
    assert digests(project / "data" / "01_ingest", "**/*") == before
    (project / "data" / "raw" / "b.jsonl").unlink()
    assert run_stage(project, "ingest").returncode == 0
    assert not (project / "data" / "reports" / "ingest" / "quarantine.csv").exists()


def test_every_format_says_which_keys_it_needs() -> None:
    assert set(NEEDS) == set(FORMATS)
    for name in FORMATS:
        for record in example(name)["records"]:
            assert any(needs <= record.keys() for needs in NEEDS[name]), f"{name}: {sorted(record)}"


@pytest.mark.parametrize(
    ("keys", "near"),
    [
        (["id", "turns"], "jsonl"),
        (["conversation_id", "type", "value", "message_index"], "jsonl"),
        (["conversation"], "sharegpt"),
        (["conversationID", "message_id", "isCreatedByUser"], "librechat"),
        (["title", "created", "current_node", "maping"], "chatgpt"),
        (["email"], None),
    ],
)
def test_the_nearest_format_is_the_one_whose_keys_are_closest(keys: list[str], near: str | None) -> None:
    result = nearest(keys)
    assert (result.format if result else None) == near


UNREAD: list[tuple[list[dict[str, Any]], list[str]]] = [  # records that are read, and the keys of votes in them that are not
    ([GOOD | {"rating": 5}], ["rating"]),
    ([GOOD | {"rating": None}], []),
    ([GOOD | {"feedback": {"score": 1}}], ["feedback", "feedback.score"]),
    ([chat("c", "Hi", "Hello", scores=[{"value": 1}], user_id="u")], ["scores"]),
    (
        [{"id": "c", "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello", "thumbs": 0.5}]}],
        ["messages.thumbs"],
    ),
    ([GOOD | {"content": {"answer": "A"}}], ["content.answer"]),
    ([GOOD | {"choices": ["up"]}], ["choices"]),
    ([THUMB, THUMB | {"rating": 4}], ["rating"]),
    ([THUMB, {"conversation_id": "c", "kind": "choice", "better": 1, "worse": 2}], []),
    ([THUMB | {"better": 1}], ["better"]),
    ([{"conversations": [{"from": "human", "value": "Hi", "likes": 3}]}], ["conversations.likes"]),
    ([{"conversation_id": "c", "message_id": "m", "rating": "thumbsUp", "feedback_type": "x"}], []),
    *(([record], []) for name in FORMATS for record in example(name)["records"]),
]


@pytest.mark.parametrize(("records", "keys"), UNREAD)
def test_what_looks_like_a_vote_and_is_not_read_is_reported_with_key_and_count(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, records: list[dict[str, Any]], keys: list[str]
) -> None:
    result = read(tmp_path, {"a.jsonl": lines(*OLD, *[record | {"title": n} for n, record in enumerate(records * 3)])})
    findings = [row for row in result.table("quarantine") if row["reason"] == "unread_vote"]
    assert sorted(re.findall("`(.*?)`", row["detail"])[0] for row in findings) == sorted(keys)
    assert all("3 times" in row["detail"] for row in findings)
    output = [str(warning.message) for warning in recwarn if "looks like a vote" in str(warning.message)]
    assert len(output) == bool(keys)
    assert all(f"`{key}`" in output[0] for key in keys)


def test_keys_that_may_be_personal_are_reported_to_nobody(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    odd = [{"jane@example.org": 1, "feedback of jane@example.org": 2, "12345678": 3} for _ in range(3)]
    result = read(tmp_path, {"a.jsonl": lines(*OLD, *odd, GOOD | {"rating by jane@example.org": 1, "jane@x.org": {"rating": 5}})})
    output = str(result.table("quarantine")) + "".join(str(warning.message) for warning in recwarn)
    assert "`*.rating`" in output
    assert not re.search("jane|12345678", output)


def test_people_in_the_names_of_files_are_not_printed(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    name = "jane.doe@example.org/chat +49 171 2345678.jsonl"
    with pytest.raises(UserError) as stopped:
        read(tmp_path, {name: lines(*({"turns": []} for _ in range(30)))})
    output = f"{stopped.value} {[str(warning.message) for warning in recwarn]}"
    assert "[EMAIL]" in output
    assert "jane.doe" not in output
    assert "2345678" not in output
