"""A workspace over logs of several people: the real stages, git, a cache, a remote, versions with records, and Prefect's database."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from flows.versions import record
from tests.builders import people_logs
from tests.builders.checkouts import checkout, environment, run

PEOPLE = ("jane-doe-1988", "bob-1971-mmm", "ann-2001-nnn")
GONE = PEOPLE[0]


def workspace(folder: Path, seed: int = 3) -> Path:
    """The project with these people's logs and nothing built, and a remote."""
    root = checkout(folder / "project")
    for path in sorted((root / "data" / "raw").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    people_logs.write(root / "data" / "raw" / "export", people_logs.written(seed, PEOPLE, 6))
    run(root, "dvc", "remote", "add", "--default", "store", str(root.parent / "remote"))
    return root


def publish(root: Path, version: int, last: str = "pair") -> None:
    """Build up to a stage, push, and publish: a commit with a tag and a record that names the last output as the release."""
    run(root, "dvc", "repro", last)
    run(root, "dvc", "push")
    lock = json.loads(run(root, sys.executable, "-c", "import json,yaml;print(json.dumps(yaml.safe_load(open('dvc.lock'))))"))
    md5 = lock["stages"][last]["outs"][0]["md5"]
    at = root / "data" / "versions" / f"v{version}.json"
    at.parent.mkdir(exist_ok=True)
    tag = record.tag(version)
    at.write_text(json.dumps({"version": version, "tag": tag, "release": {"md5": md5, "manifest": ""}}))
    git(root, "add", "-A")
    git(root, "commit", "-qm", f"version {version}")
    git(root, "tag", "-am", f"version {version}", tag)


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments], cwd=root, check=True)


def log(root: Path, text: str) -> None:
    """Write a line into a database as Prefect keeps one, and into the server's log."""
    home = root / ".prefect"
    home.mkdir(exist_ok=True)
    with sqlite3.connect(home / "prefect.db") as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, message TEXT)")
        connection.execute("INSERT INTO log (message) VALUES (?)", [text])
    (home / "server.log").write_text(text + "\n")


def forget(root: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The command `pairwright forget`, without a terminal."""
    command = [sys.executable, "-m", "flows.cli", "forget", *arguments]
    return subprocess.run(command, cwd=root, env=environment(root), input=stdin, capture_output=True, text=True, check=False)


def told(*folders: Path) -> bytes:
    """All bytes below the folders, with the cells of tables."""
    return b"\n".join(readable(path) for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())


def readable(path: Path) -> bytes:
    """A file's bytes, with its cells where it is a table (columns are packed)."""
    data = path.read_bytes()
    return data + (json.dumps(pq.read_table(path).to_pylist(), default=str).encode() if data[:4] == b"PAR1" else b"")
