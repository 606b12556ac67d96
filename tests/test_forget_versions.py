"""Claims about a person in versions: which outputs hold them, what a purge and retention delete, and what they leave whole."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows import cli
from flows.commands import forget as command
from flows.erasure import raw_logs, retention
from flows.running import scratch
from flows.versions import record
from tasks.common import salt
from tasks.core.ids import person_id
from tests.builders import erasures, shelves, toys
from tests.builders.projects import set_param
from tests.builders.raw_logs import chat, lines
from tests.builders.shelves import Shelf, pair, table, vote
from tests.builders.stores import said

V1, V2, V3 = (record.tag(number) for number in (1, 2, 3))
JANE, BOB = "jane-roe-1977", "bob-1971-mmm"
FILE = "jane roe – чаты.jsonl"
LOG = "c" * 16
PEOPLE = {JANE: 0, BOB: 1}  # and the record of each in the log


def hashed(name: str) -> str:
    return person_id(name, "salt of the tests")


def tables(*people: str, more: str = "") -> dict[str, Any]:
    """What the stages made of a conversation of each, with a vote and a pair."""
    places = {name: {"file": LOG, "record": PEOPLE[name], "position": 0} for name in people}
    turns = [{"conversation_id": f"jsonl:{name}", "turn_id": name, "user_id": hashed(name), "origin": places[name]} for name in people]
    pairs = [pair(f"of {name}{more}", "a", "b", votes=(f"v-{name}",), origins=[f"{LOG}:{PEOPLE[name]}:0"]) for name in people]
    votes = [vote(f"v-{name}", f"of {name}", file=LOG, person=hashed(name)) for name in people]
    return {
        "02_clean/turns": table("turns", turns),
        "10_pair/pairs": table("pairs", pairs),
        "10_pair/votes": table("votes", votes),
        "release/preference": table("pairs", pairs),
    }


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A version with Jane and a model that learned of her, and two without her; a private store, and her logs."""
    made = shelves.make(tmp_path_factory.mktemp("shelf") / "workspace")
    (made.root / ".dvc" / "config").write_text(
        f"[core]\n    site_cache_dir = {made.root.parent / 'site'}\n    remote = shared\n"
        "['remote \"shared\"']\n    url = ../../shared\n['remote \"vault\"']\n    url = ../../vault\n"
    )
    set_param(made.root, "private", "remote", "vault")
    made.put(tables(JANE, BOB), model="weights that learned of her")
    made.put(tables(BOB))
    made.put(tables(BOB, more=", later"))
    shutil.copytree(made.cache, made.root.parent / "shared" / "files" / "md5")
    own = lines(chat("conv-jane", "I am Jane", "Hello", user_id=JANE))
    (made.root / "data" / "raw" / FILE).write_bytes(own)
    (made.root / "data" / "raw" / "all.jsonl").write_bytes(lines(chat("conv-bob", "I am Bob", "Hello", user_id=BOB)) + own)
    vault = made.root.parent / "vault"
    kept = [
        {"md5": erasures.stored(vault, path.read_bytes()), "relpath": path.name} for path in sorted((made.root / "data" / "raw").iterdir())
    ]
    others = [{"md5": erasures.stored(vault, lines(chat("conv-bob", "Bye", "Bye", user_id=BOB))), "relpath": "late.jsonl"}]
    for listing in (kept, others):
        erasures.stored(vault, json.dumps(listing).encode(), ".dir")
    return made


@pytest.fixture
def own(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A copy of it all, in the current folder, with a Prefect home of its own."""
    shutil.copytree(shelf.root.parent, tmp_path / "copy", symlinks=True)
    root = tmp_path / "copy" / "workspace"
    config = root / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(shelf.root.parent), str(root.parent)))
    monkeypatch.chdir(root)
    monkeypatch.setenv("PREFECT_HOME", str(root / ".prefect"))
    for name in ("PREFECT_API_URL", "PREFECT_API_DATABASE_CONNECTION_URL"):
        monkeypatch.delenv(name, raising=False)
    for module, name in ((raw_logs, "erasing-raw.json"), (sys.modules["flows.erasure.versions"], "erasing.json")):
        monkeypatch.setattr(module, "PLAN", root / ".pairwright" / name)
    return Shelf(root, tags=list(shelf.tags))


def objects(at: Shelf, *tags: str) -> set[str]:
    """The objects that the locks of these versions name."""
    found = set()
    for tag in tags:
        for stage in yaml.safe_load(at.git("show", f"{tag}:dvc.lock"))["stages"].values():
            for out in stage["outs"]:
                listing = json.loads((at.root.parent / "all" / out["md5"][:2] / out["md5"][2:]).read_bytes())
                found |= {out["md5"], *(entry["md5"] for entry in listing)}
    return found


def held(store: Path) -> set[str]:
    return {path.parent.name + path.name for path in store.rglob("*") if path.is_file()}


def forget(*more: str, fails: bool = False) -> list[str]:
    return said("forget", "--user", hashed(JANE), *more, fails=fails)


def test_what_is_known_names_versions_outputs_raw_records_and_models_and_writes_nothing(own: Shelf) -> None:
    erasures.log(own.root, f"run of {hashed(JANE)}")
    found = json.loads("\n".join(forget("--json")[:-1]))
    assert found["versions"] == [V1]
    paths = [one["path"] for one in found["outputs"]]
    assert paths == ["data/02_clean", "data/10_pair", "data/models/policy", "data/release"]
    assert {(one["stage"], one["table"], one["rows"]) for one in found["tables"]} == set(), "the workspace is made without her"
    assert {Path(one["file"]).name: one["records"] for one in found["raw"]} == {FILE: [0], "all.jsonl": [1]}
    assert found["database"] == [{"table": "log", "column": "message", "cells": 1}]
    assert [one["file"].endswith("server.log") for one in found["logs"]] == [True]
    assert (found["unsure"], found["away"]) == ([], [])
    assert list((own.root / "data" / "erased").iterdir()) == []
    told = forget()
    assert f"version   {V1}" in told
    assert told[-1] == "nothing was done: add --yes to write the tombstone"
    assert "I am Jane" not in "".join(told)


def test_a_purge_deletes_what_held_her_and_leaves_every_other_version_whole(own: Shelf) -> None:
    shutil.copytree(own.cache, own.root.parent / "all")
    gone, kept = objects(own, V1) - objects(own, V2, V3), objects(own, V2, V3)
    held_her = {oid for oid in gone if b"weights" in (own.root.parent / "all" / oid[:2] / oid[2:]).read_bytes()}
    assert held_her, "the model is among them"
    told = forget("--yes", "--purge")
    assert f"purge: {V1}: its record says that it is erased; the tag stays" in told
    for store in (own.cache, own.root.parent / "shared"):
        left = held(store)
        assert left >= kept
        assert not held_her & left
        assert not [oid for oid in left if hashed(JANE).encode() in (own.root.parent / "all" / oid[:2] / oid[2:]).read_bytes()]
    erased = [json.loads((own.root / "data" / "versions" / f"v{number}.json").read_text()).get("erased") for number in (1, 2, 3)]
    assert erased == [True, None, None]
    assert [line.split()[-1] for line in said("versions")[1:]] == ["here", "here", "here"], "those of the newest two are; of v1's see below"


def test_lists_and_files_of_raw_logs_go_from_the_private_store_and_those_of_others_stay(own: Shelf) -> None:
    told = forget("--yes", "--purge")
    assert "purge: private store 'vault': 2 files of raw logs deleted, and 1 lists of files that named them" in told
    texts = [path.read_bytes() for path in (own.root.parent / "vault").rglob("*") if path.is_file()]
    assert sorted(b"late.jsonl" in text for text in texts) == [False, True]
    assert not [text for text in texts if JANE.encode() in text or json.dumps(FILE)[1:-1].encode() in text]
    assert not (own.root / "data" / "raw" / FILE).exists()
    assert (own.root / "data" / "raw" / "all.jsonl").read_bytes() == lines(chat("conv-bob", "I am Bob", "Hello", user_id=BOB))


@pytest.mark.slow
def test_set_aside_logs_leftovers_logs_and_notes_are_purged_too(own: Shelf) -> None:
    log = (own.root / "data" / "raw" / FILE).read_bytes()
    half = [f"data/.raw.new/{FILE}", f"data/.01_ingest.new/{FILE}"]
    for name in (f"data/raw-set-aside/1/{FILE}", *half):
        (own.root / name).parent.mkdir(parents=True)
        (own.root / name).write_bytes(log)
    notes = [".pairwright/lineage/a.jsonl", ".pairwright/reports/validate/0/index.html", "data/reports/run/log.jsonl"]
    for name in notes:
        (own.root / name).parent.mkdir(parents=True, exist_ok=True)
        (own.root / name).write_text(json.dumps({"read": f"{FILE} of {hashed(JANE)}"}))
    erasures.log(own.root, f"read {FILE}")
    said("status")
    site = own.root.parent / "site"
    assert [path for path in site.rglob("*") if path.is_file()], "DVC notes paths here"
    forget("--yes", "--purge", "--backup", str(own.root.parent / "backup"))
    assert not any((own.root / name).exists() for name in half)
    assert [json.loads((own.root / name).read_text()) for name in notes] == [{"read": "[erased] of [erased]"}] * 3
    assert not list((own.root / "data" / "raw-set-aside").rglob("*.jsonl"))
    kept = sorted(path.relative_to(own.root.parent / "backup").as_posix() for path in (own.root.parent / "backup").rglob("*.jsonl"))
    assert kept == sorted([FILE, "all.jsonl", f"raw-set-aside/1/{FILE}"])
    said_of = erasures.told(own.root / ".prefect", site)
    assert not [form for form in (FILE.encode(), json.dumps(FILE)[1:-1].encode()) if form in said_of]


@pytest.mark.slow
def test_copies_of_the_private_store_lie_in_the_workspace_for_its_owner_alone_and_go(own: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    search = raw_logs.search_in

    def looked(*given: Any) -> Any:
        if scratch.FOLDER.is_dir():
            seen.append((stat.S_IMODE(scratch.FOLDER.stat().st_mode), len(list(scratch.FOLDER.iterdir()))))
        return search(*given)

    monkeypatch.setattr(raw_logs, "search_in", looked)
    forget("--yes", "--purge")
    assert seen == [(0o700, 3)]
    assert not scratch.FOLDER.exists()
    scratch.FOLDER.mkdir(parents=True)
    (scratch.FOLDER / "left").write_text("of a command that was killed")
    said("forget", "--user", "0" * 16, "--yes")
    assert not scratch.FOLDER.exists(), "whoever takes the lock next takes it away"


def test_a_dataset_that_holds_her_still_is_not_purged_but_its_raw_logs_are(own: Shelf) -> None:
    own.git("checkout", "-q", V1)
    (line,) = forget("--yes", "--purge", fails=True)
    assert re.search(r"found rows of whom is to be purged: it was made before the tombstone.*run `pairwright run`, then the same", line)
    assert held(own.cache) == held(own.root.parent / "shared")
    assert not (own.root / "data" / "raw" / FILE).exists()


@pytest.mark.slow
@pytest.mark.parametrize("away", ["http://127.0.0.1:9/", "../../not-mounted"])
def test_a_remote_that_is_away_is_named_and_the_rest_of_the_purge_is_done_when_it_is_back(own: Shelf, away: str) -> None:
    (own.root.parent / "shared").rename(own.root.parent / "moved")
    config = (own.root / ".dvc" / "config").read_text()
    (own.root / ".dvc" / "config").write_text(config.replace("url = ../../shared", f"url = {away}"))
    told = forget("--yes", "--purge")
    assert [line for line in told if re.match(r"purge: remote 'shared': does not answer \(.*\): what it holds is still there", line)]
    assert not [path for path in own.cache.rglob("*") if path.is_file() and b"weights" in path.read_bytes()]
    weights = [path for path in (own.root.parent / "moved").rglob("*") if path.is_file() and b"weights" in path.read_bytes()]
    assert weights
    (own.root.parent / "moved").rename(own.root.parent / "shared")
    (own.root / ".dvc" / "config").write_text(config)
    forget("--yes", "--purge")
    assert not [path for path in (own.root.parent / "shared").rglob("*") if path.is_file() and b"weights" in path.read_bytes()]


@pytest.mark.slow
def test_retention_deletes_the_bytes_that_only_older_versions_need(own: Shelf) -> None:
    shutil.copytree(own.cache, own.root.parent / "all")
    old, needed = objects(own, V1), objects(own, V2, V3)
    assert list(retention.thin(3)) == ["versions: 3, none older than the newest 3"]
    told = list(retention.thin(2))
    for store, path in (("DVC's cache", own.cache), ("remote 'shared'", own.root.parent / "shared")):
        assert held(path) == needed
        assert f"{store}: {len(old - needed)} files of earlier versions and models deleted" in told
    erased = [json.loads((own.root / "data" / "versions" / f"v{number}.json").read_text()).get("erased") for number in (1, 2, 3)]
    assert erased == [True, None, None]
    assert own.tags == [V1, V2, V3]
    assert list(retention.thin(2)) == ["versions: 3, none older than the newest 2"]
    settings = retention.Params(raw_days=0, versions_keep=1)
    assert f"{V2}: its record says that it is erased; the tag stays" in list(retention.apply(settings))
    assert held(own.cache) == objects(own, V3)


def test_age_counts_back_from_today(own: Shelf) -> None:
    told = said("forget", "--older-than", "30", "--yes")
    (path,) = (own.root / "data" / "erased").glob("*.txt")
    assert f"older {dt.datetime.now(dt.UTC).date() - dt.timedelta(days=30)}" in path.read_text()
    assert told[-1].startswith(f"tombstone: data/erased/{path.name}: the next build leaves out every row of theirs")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (("--older-than", "0"), "error: --older-than: found 0; expected a number of days from 1; correct it"),
        (
            ("--user", "x", "--backup", "b"),
            "error: --backup: found no --purge; expected a purge, which alone writes raw files",
        ),
        (("--raw-id", " "), "error: --raw-id: found nothing; expected an id; give it, or write it on stdin after `--raw-id -`"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_writes_nothing(own: Shelf, given: tuple[str, ...], line: str) -> None:
    (told,) = said("forget", *given, "--yes", fails=True)
    assert told.startswith(line)
    assert list((own.root / "data" / "erased").iterdir()) == []


def test_of_somebody_unknown_that_is_said_and_the_tombstone_holds_for_logs_to_come(own: Shelf) -> None:
    assert said("forget", "--raw-id", "nobody-at-all")[0] == "nothing is known of them here"
    assert said("forget", "--raw-id", "nobody-at-all", "--yes")[1].startswith("tombstone: ")
    (path,) = (own.root / "data" / "erased").glob("*.txt")
    assert len(path.read_text().splitlines()) == 2
    assert "nobody-at-all" not in path.read_text()


def test_with_another_salt_nothing_is_written_beside_the_tombstones_of_the_first(own: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    forget("--yes")
    (path,) = (own.root / "data" / "erased").glob("*.txt")
    before = path.read_bytes()
    monkeypatch.setenv(salt.VARIABLE, "another")
    (line,) = forget("--yes", fails=True)
    assert "tombstones made with another salt" in line
    assert [(one.name, one.read_bytes()) for one in path.parent.iterdir()] == [(path.name, before)]


def test_notes_of_dvc_that_are_spoilt_hold_nobody_up(own: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    (own.root / ".dvc" / "tmp").mkdir(exist_ok=True)
    (own.root / ".dvc" / "tmp" / "rwlock").write_text('{"data/02')
    code, told = cli.main(["forget", "--user", hashed(JANE), "--yes"]), capsys.readouterr()
    assert (code, "tombstone: " in told.out) == (0, True)
    assert re.fullmatch(r"note: \.dvc/tmp/rwlock.*\n", told.err), told.err


def test_while_a_run_goes_on_a_tombstone_waits_or_is_refused_in_one_line(own: Shelf) -> None:
    set_param(own.root, "runs", "max_wait_minutes", 0)
    code = "from flows.running import lock\nwith lock.hold('pairwright run'):\n    print('mine', flush=True)\n    input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=own.root, env=toys.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "mine\n"
        (line,) = forget("--yes", fails=True)
        holder.communicate("\n")
    assert re.search(r"run\.lock: found pairwright run \(process \d+ on .*\) at work here", line), line
    assert list((own.root / "data" / "erased").iterdir()) == []


@pytest.mark.slow
def test_of_two_who_forget_at_once_no_tombstone_is_lost(own: Shelf) -> None:
    names = [hashed(str(number)) for number in range(4)]
    env = toys.environment(PAIRWRIGHT_SALT="salt of the tests")
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "forget", "--user", name, "--yes"], cwd=own.root, env=env, stderr=subprocess.PIPE
        )
        for name in names
    ]
    for run in runs:
        errors = run.communicate(timeout=300)[1].decode()
        assert run.returncode == 0, errors
    (path,) = (own.root / "data" / "erased").glob("*.txt")
    assert len(path.read_text().splitlines()) == 1 + len(names)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_line(own: Shelf) -> None:
    (own.root / "data" / "erased").chmod(0o500)
    (line,) = forget("--yes", fails=True)
    assert "no permission" in line


def test_an_answer_of_no_does_nothing(own: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    for answer, agreed in (("n", False), ("", False), ("yes", True), ("Y", True)):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        monkeypatch.setattr(sys, "stdin", _Terminal())
        monkeypatch.setattr(sys, "stdout", _Terminal())
        assert command._agreed(purge=True) is agreed


class _Terminal:
    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        """Nowhere."""

    def flush(self) -> None:
        """Nothing to do."""
