"""A workspace over logs of several people: the real stages, git, a cache, a remote, versions with records, and Prefect's database."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from flows.versions import record
from tests.builders import people_logs
from tests.builders.checkouts import checkout, environment, run

PEOPLE = ("jane-roe-1977", "bob-1971-mmm", "ann-2001-nnn")
GONE = PEOPLE[0]


def workspace(folder: Path, seed: int = 3) -> Path:
    """The project with these people's logs and nothing built, and a remote."""
    root = checkout(folder / "project")
    for path in sorted((root / "data" / "raw").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    people_logs.write(root / "data" / "raw" / "export", people_logs.written(seed, PEOPLE, 6))
    run(root, "dvc", "remote", "add", "--default", "store", "../remote")
    return root


def keep_raw(root: Path) -> None:
    """Name a private store beside the workspace, and put the raw files there as DVC stores files."""
    run(root, "dvc", "remote", "add", "rawlogs", "../private")
    path = root / "params.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8")) | {"private": {"remote": "rawlogs"}}
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    for file in sorted((root / "data" / "raw").rglob("*.json*")):
        stored(root.parent / "private", file.read_bytes())


def train(root: Path, last: str = "pair") -> None:
    """Let a model lie there that DVC knows as trained on what the last stage made."""
    lock = yaml.safe_load((root / "dvc.lock").read_text(encoding="utf-8"))
    policy = root / "data" / "models" / "policy"
    policy.mkdir(parents=True)
    weights = f"weights that learned {last}".encode()
    (policy / "model.safetensors").write_bytes(weights)
    cache, (out,) = root / ".dvc" / "cache", lock["stages"][last]["outs"]
    listing = json.dumps([{"md5": stored(cache, weights), "relpath": "model.safetensors"}]).encode()
    lock["stages"]["train"] = {
        "cmd": "python -m trainer train",
        "deps": [{"path": out["path"], "hash": "md5", "md5": out["md5"]}],
        "outs": [{"path": "data/models/policy", "hash": "md5", "md5": stored(cache, listing, ".dir") + ".dir"}],
    }
    (root / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")


def leave_unrecorded(root: Path) -> None:
    """Let the cache hold what a run made of the logs that failed later, so that no lock in git names it."""
    table = pq.read_table(root / "data" / "02_clean" / "turns")
    packed = pa.BufferOutputStream()
    pq.write_table(table, packed, compression="gzip")
    cache = root / ".dvc" / "cache"
    listing = [{"md5": stored(cache, packed.getvalue().to_pybytes()), "relpath": "turns/00000.parquet"}]
    stored(cache, json.dumps(listing).encode(), ".dir")


def stored(store: Path, data: bytes, ending: str = "") -> str:
    """Put bytes into a store as DVC does; their digest."""
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    place = store / "files" / "md5" / md5[:2] / (md5[2:] + ending)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return md5


def publish(root: Path, version: int, last: str = "pair") -> None:
    """Build up to a stage, push, and publish: a commit with a tag and a record that names the last output as the release."""
    run(root, "dvc", "repro", last)
    run(root, "dvc", "push")
    lock = yaml.safe_load((root / "dvc.lock").read_text(encoding="utf-8"))
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
