"""A workspace as a team has it, for nights from end to end: the real stages, logs that grow, and stores for git, DVC and the raw logs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from tests.builders.checkouts import checkout, environment
from tests.conftest import ROOT

SAMPLE = ROOT / "data" / "raw" / "sample"
NUMBER = re.compile(rb"(?:desk|copy)-(\d{5})")  # conversations of the sample are numbered by date
TIMEOUT = 900
RELEASE = Path("data/release")
Keep = Callable[[int], bool]


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    seconds: float


@dataclass(frozen=True)
class Workspace:
    """A project with its stores beside it."""

    root: Path

    @property
    def outside(self) -> Path:
        """The folder that the project and its stores share."""
        return self.root.parent

    def command(self, *command: str, text: str = "") -> Done:
        """A command of a person's, in the project."""
        env = environment(self.root) | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        began = time.monotonic()
        done = subprocess.run(
            command,
            cwd=self.root,
            env=env,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
        return Done(done.returncode, done.stdout, time.monotonic() - began)

    def well(self, *command: str, text: str = "") -> str:
        """Output of a command that must end well."""
        done = self.command(*command, text=text)
        assert done.code == 0, f"{' '.join(command)}: {done.code}\n{done.out[-4000:]}"
        return done.out

    def night(self, *more: str) -> Done:
        """What a timer runs."""
        return self.command("pairwright", "run", "--no-train", "--publish", *more)

    def status(self) -> str:
        """What git says has changed; empty after a night that published."""
        return self.well("git", "status", "--porcelain")

    def tags(self) -> list[str]:
        """The versions, oldest first."""
        return sorted(self.well("git", "tag", "--list", "dataset@*").split(), key=lambda tag: int(tag[9:].split(".")[0]))

    def release(self) -> dict[str, str]:
        """Digest of each file of the release."""
        folder = self.root / RELEASE
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def diff(self, before: str, after: str) -> dict[str, Any]:
        """The difference of two versions, as JSON."""
        found: dict[str, Any] = json.loads(self.well("pairwright", "diff", before, after, "--json"))
        return found

    def set_parameters(self, **values: object) -> None:
        """Change parameters, each named by its dotted path with `__` for a dot."""
        path = self.root / "params.yaml"
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name, value in values.items():
            *outer, last = name.split("__")
            at = document
            for key in outer:
                at = at[key]
            assert last in at, f"there is no parameter {name}"
            at[last] = value
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def clone(self, name: str) -> Workspace:
        """A clone beside the project that knows the stores and the salt, and has no data."""
        made = Workspace(self.outside / name)
        self.well("git", "clone", "-q", str(self.outside / "origin.git"), str(made.root))
        made.well("dvc", "remote", "add", "--local", "private", str(self.outside / "private"))
        shutil.copy(self.root / ".pairwright" / "salt", made.root / ".pairwright" / "salt")
        return made


def workspace(folder: Path) -> Workspace:
    """A new project without logs; a bare git remote, a DVC remote and a private store beside it."""
    made = Workspace(checkout(folder / "project"))
    for path in (made.root / "data" / "splits").glob("*.txt"):
        path.unlink()
    shutil.rmtree(made.root / "data" / "raw")
    (made.root / "data" / "raw").mkdir()
    made.well("git", "init", "-q", "--bare", str(folder / "origin.git"))
    made.well("git", "remote", "add", "origin", str(folder / "origin.git"))
    made.well("dvc", "remote", "add", "--default", "shared", str(folder / "shared"))
    made.well("dvc", "remote", "add", "--local", "private", str(folder / "private"))
    made.set_parameters(private__remote="private", augment__augmenters__back_translation__enabled=False)  # a third of a night
    made.well("git", "add", "-A")
    made.well("git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "Set up the workspace")
    return made


def export(root: Path, keep: Keep, more: Iterable[dict[str, Any]] = (), *, value: str = "value") -> None:
    """Write the logs as a product exports them each night: everything that is kept, in three formats, and some records more."""
    folder = root / "data" / "raw" / "desk"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [*_kept((SAMPLE / "desk.jsonl").read_bytes().splitlines(), keep), *(json.dumps(one).encode() for one in more)]
    renamed = [line.replace(b'"value":', f'"{value}":'.encode()) for line in lines]
    (folder / "desk.jsonl").write_bytes(b"\n".join(renamed) + b"\n")
    (folder / "battles.jsonl").write_bytes(b"\n".join(_kept((SAMPLE / "battles.jsonl").read_bytes().splitlines(), keep)) + b"\n")
    for name in ("webui-chats.json", "webui-feedback.json"):
        records = json.loads((SAMPLE / name).read_bytes())
        kept = [one for one in records if _is_kept(json.dumps(one).encode(), keep)]
        (folder / name).write_text(json.dumps(kept), encoding="utf-8")


def _kept(lines: Iterable[bytes], keep: Keep) -> list[bytes]:
    return [line for line in lines if _is_kept(line, keep)]


def _is_kept(record: bytes, keep: Keep) -> bool:
    found = NUMBER.search(record)
    return found is None or keep(int(found[1]))


def places(values: Iterable[str], folder: Path) -> Iterator[tuple[str, str]]:
    """File and value wherever a value stands below a folder: in bytes, in names, and in the cells of tables."""
    wanted = list(values)
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        told = readable(path) + str(path.relative_to(folder)).encode()
        yield from ((str(path.relative_to(folder)), value) for value in wanted if value.encode() in told)


def readable(path: Path) -> bytes:
    """A file's bytes, with its cells where it is a table (columns are packed)."""
    data = path.read_bytes()
    return data + (json.dumps(pq.read_table(path).to_pylist(), default=str, ensure_ascii=False).encode() if data[:4] == b"PAR1" else b"")
