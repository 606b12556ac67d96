"""Claims about forgetting a person: what is shown, what is written, and what of one is left after a purge."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from flows.erasure import database, raw_logs, raw_parts, retention, rows, subject, texts
from tasks.common import salt
from tasks.common.raw_files import files as raw
from tasks.core.ids import person_id
from tasks.core.tables import ORIGIN, TEXT
from tests.builders import erasures, people_logs
from tests.builders.checkouts import environment
from tests.builders.raw_logs import chat, lines
from tests.conftest import ROOT

GONE, OTHER, _ = erasures.PEOPLE
DAY = dt.date(2026, 5, 1)


@pytest.fixture
def whom(monkeypatch: pytest.MonkeyPatch) -> subject.Subject:
    """A person who is to be forgotten, in the checkout's own path and parameters."""
    monkeypatch.chdir(ROOT)
    return subject.of_raw_id(GONE, DAY)


def purged(folder: Path, whom: subject.Subject, backup: Path | None = None) -> list[str]:
    """What is said of each file that is written anew."""
    found = raw_logs.search_in(raw.raw_files(folder), whom)
    return [line.partition(": ")[2] for line in raw_logs.purge(found, whom.search, backup)]


JANE = chat("conv-jane", "I am Jane", "Hello Jane", user_id=GONE)
BOB = chat("conv-bob", "I am Bob", "Hello Bob", user_id=OTHER)


def test_lines_are_written_without_the_persons_and_the_others_byte_for_byte(tmp_path: Path, whom: subject.Subject) -> None:
    odd = (
        b'{"id":  "conv-ann", "user_id":"ann", "messages": [{"role":"user","content":"\\u00e9 1.0"},{"role":"assistant","content":"x"}]}\n'
    )
    (tmp_path / "a.jsonl").write_bytes(lines(JANE) + odd + lines(BOB))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines(BOB, JANE)))
    assert sorted(purged(tmp_path, whom)) == ["written without 1 of its 2 records", "written without 1 of its 3 records"]
    assert (tmp_path / "a.jsonl").read_bytes() == odd + lines(BOB)
    assert gzip.decompress((tmp_path / "b.jsonl.gz").read_bytes()) == lines(BOB)
    assert raw_logs.search_in(raw.raw_files(tmp_path), whom) == []


def test_a_broken_line_is_kept_where_it_is_and_goes_where_it_names_the_person(tmp_path: Path, whom: subject.Subject) -> None:
    broken, named = b'{"id": "x", "mess\n{"id": "\xff\xfe"}\n', f'{{"id": "y", "user_id": "{GONE}", "mes\n'.encode()
    (tmp_path / "a.jsonl").write_bytes(b"exported on Monday\n" + broken + lines(JANE) + b"\n" + named + b"a note\n" + lines(BOB))
    purged(tmp_path, whom)
    assert (tmp_path / "a.jsonl").read_bytes() == b"exported on Monday\n" + broken + lines(BOB)
    assert raw_logs.search_in(raw.raw_files(tmp_path), whom) == []


def test_a_list_is_written_without_the_persons_elements_and_a_file_of_theirs_alone_goes(tmp_path: Path, whom: subject.Subject) -> None:
    (tmp_path / "list.json").write_text(json.dumps([BOB, JANE, BOB | {"id": "conv-3"}], indent=2))
    (tmp_path / "hers.jsonl").write_bytes(lines(JANE))
    purged(tmp_path, whom)
    assert json.loads((tmp_path / "list.json").read_text()) == [BOB, BOB | {"id": "conv-3"}]
    assert not (tmp_path / "hers.jsonl").exists()


def test_a_vote_on_the_persons_answer_goes_from_a_file_of_other_peoples_votes(tmp_path: Path, whom: subject.Subject) -> None:
    votes = [
        {"conversation_id": f"conv-{name}", "kind": "thumb", "message_index": 1, "value": 1, "user_id": OTHER} for name in ("jane", "bob")
    ]
    (tmp_path / "chats.jsonl").write_bytes(lines(JANE, BOB))
    (tmp_path / "votes.jsonl").write_bytes(lines(*votes))
    purged(tmp_path, whom)
    assert (tmp_path / "votes.jsonl").read_bytes() == lines(votes[1])


def test_a_record_that_only_names_the_person_goes_too(tmp_path: Path, whom: subject.Subject) -> None:
    nothing = {"id": "conv-x", "user_id": GONE, "messages": []}
    (tmp_path / "a.jsonl").write_bytes(lines(BOB, nothing))
    purged(tmp_path, whom)
    assert (tmp_path / "a.jsonl").read_bytes() == lines(BOB)


def test_what_cannot_be_written_anew_is_left_and_named(tmp_path: Path, whom: subject.Subject) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.jsonl", lines(BOB, JANE))
    before = (tmp_path / "a.zip").read_bytes()
    (said,) = purged(tmp_path, whom)
    assert said.startswith("records 1: cannot be written anew")
    assert (tmp_path / "a.zip").read_bytes() == before


def test_a_record_that_others_share_is_left_and_named(tmp_path: Path, whom: subject.Subject) -> None:
    nodes = [record.line for record in people_logs.tree("t", (OTHER, GONE, "ann"), random.Random(1))]
    replies = {node["message_id"]: {**node, "replies": []} for node in nodes}
    for node in replies.values():
        if node["parent_id"]:
            replies[node["parent_id"]]["replies"].append(node)
    (tmp_path / "tree.jsonl").write_bytes(lines({"message_tree_id": "t", "prompt": replies["t-root"]}))
    (said,) = purged(tmp_path, whom)
    assert said == f"records 0 {raw_logs.SHARED}"


def test_a_file_is_kept_aside_only_when_asked(tmp_path: Path, whom: subject.Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    monkeypatch.setattr(raw_logs, "folder", lambda: folder)
    (folder / "a.jsonl").write_bytes(lines(JANE, BOB))
    purged(folder, whom, tmp_path / "aside")
    assert (tmp_path / "aside" / "a.jsonl").read_bytes() == lines(JANE, BOB)
    assert [path.name for path in folder.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize("data", [b'{"a": 1} {"b": 2}\n', b"no json\n", b"[1, 2", b"[1] [2]", b'{"a": 1}\x00', b"\xff\xfe{}"])
def test_a_file_whose_records_are_not_sure_is_not_taken_apart(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "log").write_bytes(data)
    assert raw_parts.take_apart(tmp_path / "log") is None


def test_rows_are_counted_by_people_and_places_however_deep() -> None:
    origin = pa.array([{"file": "f", "record": 1, "position": 0}, {"file": "f", "record": 2, "position": 0}], ORIGIN)
    nested = pa.array([[{"who": ["x", "y"]}], []], pa.large_list(pa.struct([("who", pa.large_list(TEXT))])))
    table = pa.table({"origin": origin, "nested": nested, "text": pa.array(["a", None], TEXT)})
    assert [rows.hits(table, {mark}) for mark in ("f:2:0", "y", "a", "f", "jsonl:a")] == [1, 1, 1, 0, 0]
    erased = table.append_column("dropped", pa.array(["erased", "erased"], TEXT))
    assert rows.hits(erased, {"y", "f:2:0"}) == 0


def test_values_are_blanked_in_a_database_and_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / ".prefect"))
    monkeypatch.chdir(ROOT)
    erasures.log(tmp_path, f"run of {GONE} failed")
    values = [GONE.encode()]
    assert database.find(values) == [("log", "message", 1)]
    for path, _ in texts.files(values):
        texts.blank(path, values)
    assert database.blank(values) == "Prefect's database: 1 cells blanked"
    assert GONE.encode() not in erasures.told(tmp_path)
    assert b"run of [erased] failed" in erasures.told(tmp_path)


def test_a_short_id_is_not_looked_for_in_texts(whom: subject.Subject) -> None:
    assert GONE.encode() in whom.sure
    assert subject.of_raw_id("u1", DAY).sure == [person_id("u1", salt.current()).encode()]


def test_age_is_counted_in_days_by_utc_and_never_moves_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert retention.cut_off(30, dt.date(2026, 3, 2)) == dt.date(2026, 1, 31)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(subject, "folder", lambda: tmp_path)
    settings = retention.Params(raw_days=30, versions_keep=0)
    (line,) = retention.apply(settings)
    written = next(tmp_path.glob("*.txt")).read_text()
    assert f"older {retention.cut_off(30)}" in written
    assert str(retention.cut_off(30)) in line
    list(retention.apply(settings.model_copy(update={"raw_days": 60})))
    assert next(tmp_path.glob("*.txt")).read_text() == written, "what was erased stays erased"
    assert list(retention.apply(retention.Params(raw_days=0, versions_keep=0))) == []


def test_tombstones_of_several_people_lie_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(subject, "folder", lambda: tmp_path)
    paths = {subject.bury(subject.of_raw_id(name, DAY)) for name in (GONE, OTHER)} | {subject.bury(subject.of_conversation("conv-1", DAY))}
    (path,) = paths
    assert [line.split()[0] for line in path.read_text().splitlines()[1:]] == ["conversation", "user", "user"]
    assert GONE not in path.read_text()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a version in which the person is, a tombstone, and a version without them."""
    base = tmp_path_factory.mktemp("erasure")
    root = erasures.workspace(base)
    erasures.keep_raw(root)
    erasures.publish(root, 1)
    erasures.train(root)
    erasures.log(root, f"flow run of {GONE} ended")
    erasures.leave_unrecorded(root)
    before = erasures.forget(root, "--raw-id", "-", stdin=f"{GONE}\n")
    assert before.returncode == 0, before.stderr
    assert "nothing was done: add --yes" in before.stdout
    assert list((root / "data" / "erased").glob("*.txt")) == []
    (base / "before.txt").write_text(before.stdout)
    done = erasures.forget(root, "--raw-id", GONE, "--yes")
    assert done.returncode == 0, done.stderr
    erasures.publish(root, 2)
    return base


@pytest.mark.slow
def test_what_is_known_is_told_by_table_version_file_and_log_without_texts(published: Path) -> None:
    told = (published / "before.txt").read_text()
    for part in (
        "ingest: turns: ",
        "clean: turns: ",
        "pair: prompts: ",
        "raw       data/raw/export/plain.jsonl: records ",
        "dataset@v1.0.0",
    ):
        assert part in told, part
    for part in ("data/models/policy", "server.log: 1 times", "log.message: 1 cells"):
        assert part in told, part
    assert people_logs.PHRASE not in told


@pytest.mark.slow
def test_the_next_build_holds_nothing_of_the_person(published: Path) -> None:
    root = published / "project"
    made = erasures.told(*(path for path in (root / "data").iterdir() if path.name[:2].isdigit()))
    assert [value for value in (GONE, hashed(root, GONE)) if value.encode() in made] == []
    assert hashed(root, OTHER).encode() in made


@pytest.mark.slow
def test_after_a_purge_nothing_is_left_anywhere_and_a_killed_one_ends_the_same(published: Path, tmp_path: Path) -> None:
    planted = [value.encode() for value in (GONE, hashed(published / "project", GONE))]
    shutil.rmtree(published / "project" / "tests")  # which name the people
    assert all(value in erasures.told(published) for value in planted)
    for name in ("whole", "killed"):
        shutil.copytree(published, tmp_path / name)
    for lines_before in (1, 4, 9):
        kill_after(tmp_path / "killed" / "project", lines_before)
    said = {}
    for name in ("whole", "killed"):
        done = erasures.forget(tmp_path / name / "project", "--raw-id", GONE, "--yes", "--purge")
        assert done.returncode == 0, done.stderr
        said[name] = done.stdout
        assert [value for value in planted if value in erasures.told(tmp_path / name)] == []
        assert not (tmp_path / name / "project" / "data" / "models" / "policy").exists()
    assert "dataset@v1.0.0: its record says that it is erased" in said["whole"]
    assert digests(tmp_path / "whole") == digests(tmp_path / "killed")
    status = subprocess.run(
        ["dvc", "status", "--cloud"],
        cwd=tmp_path / "whole" / "project",
        env=environment(tmp_path / "whole" / "project"),
        check=False,
    )
    assert status.returncode == 0, "the current version is whole"


def hashed(root: Path, name: str) -> str:
    """The hash of a person's id with the workspace's own salt."""
    return person_id(name, (root / ".pairwright" / "salt").read_text().strip())


def kill_after(root: Path, lines_before: int) -> None:
    """Begin a purge and kill it after some lines; it may have ended by then."""
    command = [sys.executable, "-m", "flows.cli", "forget", "--raw-id", GONE, "--yes", "--purge"]
    with subprocess.Popen(command, cwd=root, env=environment(root), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            lines_before -= line.startswith("purge: ")
            if not lines_before:
                process.send_signal(signal.SIGKILL)
                break


def digests(base: Path) -> dict[str, str]:
    """Digests of what a purge touches, but the database, which is written in pages."""
    folders = [base / "remote", base / "private", *(base / "project" / name for name in ("data", ".dvc/cache", ".pairwright"))]
    paths = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(base)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
