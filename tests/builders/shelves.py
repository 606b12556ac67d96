"""Versions of a dataset put into git and DVC's cache by hand, as a run and a publication leave them, in no time: rows are what a test says.

The path is the project's own. A stage's output lies in the cache, in `dvc.lock`, and, for the last version, in the workspace.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from flows.versions import record
from tasks.core import manifest, pipeline
from tasks.core.ids import stable_id
from tasks.core.tables import TABLES, TEXT
from tests.builders.projects import DATA_STAGES, make_project
from tests.builders.releases import row
from tests.conftest import ROOT

Rows = list[dict[str, Any]]
Tables = Mapping[str, pa.Table]  # path below data/ of a table: its rows
IGNORED = "/data/?*\n!/data/versions/\n!/data/splits/\n!/data/erased/\n!/data/raw/\n/data/raw/*\n/.pairwright/\n/.prefect/\n"
FILE = "f" * 16
OUTPUTS = {name: pipeline.stage(name, ROOT).output for name in pipeline.stages(ROOT)}


def pair(prompt: str, chosen: str, rejected: str, split: str = "train", votes: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A pair of a conversation of its own."""
    return row(prompt, chosen, rejected, split) | {"votes": list(votes), "conversations": [f"jsonl:{prompt}"], "weight": 1.0} | more


def vote(name: str, prompt: str, value: float = 1.0, file: str = FILE, person: str | None = None) -> dict[str, Any]:
    """A vote on a prompt."""
    made = {"feedback_id": name, "prompt_id": stable_id(prompt), "kind": "choice", "value": value}
    return {**made, "annotator": person, "origin": f"{file}:0:-1"}


def table(name: str, rows: Sequence[Mapping[str, Any]], *more: pa.Field[Any]) -> pa.Table:
    """A table with the columns of its kind; what a row does not say is null."""
    schema = pa.schema([*TABLES[name].schema(), *more])
    return pa.Table.from_pylist([{column: given.get(column) for column in schema.names} for given in rows], schema=schema)


def dropped(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table of dropped rows."""
    return table(name, rows, pa.field("dropped", TEXT))


@dataclass
class Shelf:
    """A project with its versions."""

    root: Path
    codes: dict[str, str] = field(default_factory=lambda: dict.fromkeys(DATA_STAGES, "1"))  # stage: digest of its code
    tags: list[str] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        return self.root / ".dvc" / "cache" / "files" / "md5"

    def git(self, *arguments: str) -> str:
        """What git says."""
        named = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        done = subprocess.run(["git", *named, *arguments], cwd=self.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def put(self, tables: Tables, files: Mapping[str, bytes] | None = None, model: str = "") -> str:
        """A version more, with these tables and no others; its tag. `model` names bytes of one trained on it."""
        outputs: dict[str, dict[str, bytes]] = {name: {"ledger.json": b"{}"} for name in DATA_STAGES}
        for path, rows in tables.items():
            stage, inside = self._place(path)
            outputs[stage][f"{inside}/00000.parquet"] = _parquet(rows)
        outputs["release"] |= self._release(tables) | dict(files or {})
        if model:
            outputs["train"] = {"model.safetensors": model.encode()}
        lock = {name: self._stage(name, inside) for name, inside in outputs.items()}
        (self.root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": lock}, sort_keys=False), encoding="utf-8")
        return self._publish(lock["release"]["outs"][0]["md5"], outputs["release"], model)

    def _place(self, path: str) -> tuple[str, str]:
        stage = next(name for name, output in OUTPUTS.items() if output in Path("data", path).parents)
        return stage, Path("data", path).relative_to(OUTPUTS[stage]).as_posix()

    def _release(self, tables: Tables) -> dict[str, bytes]:
        splits = tables["10_pair/pairs"]["split"].to_pylist() if "10_pair/pairs" in tables else []
        counts = {f"pairs_{split}": splits.count(split) for split in ("train", "validation", "test")}
        metrics = manifest.dumps({**counts, "unpaired": 0, "prompts": 0})
        listed = {"metrics.json": {"bytes": len(metrics), "sha256": manifest.digest(metrics)}}
        return {"metrics.json": metrics, "manifest.json": manifest.dumps({"files": listed})}

    def _stage(self, name: str, inside: Mapping[str, bytes]) -> dict[str, Any]:
        """An output in the cache and in the workspace, and what `dvc.lock` says of it."""
        folder = self.root / OUTPUTS[name]
        shutil.rmtree(folder, ignore_errors=True)
        for path, data in inside.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        stage = pipeline.stage(name, ROOT)
        listing = [{"md5": self.stored(data), "relpath": path} for path, data in sorted(inside.items())]
        digest = self.stored(json.dumps(listing).encode(), ".dir") + ".dir"
        deps = [{"path": f"tasks/{name}", "hash": "md5", "md5": _md5(self.codes.get(name, "").encode())}]
        deps += [{"path": str(path), "hash": "md5", "md5": self._made(path)} for path in stage.data if path.parts[0] == "data"]
        section = yaml.safe_load((self.root / "params.yaml").read_text(encoding="utf-8")).get(name)
        size = sum(map(len, inside.values()))
        out = {"path": str(stage.output), "hash": "md5", "md5": digest, "size": size, "nfiles": len(inside)}
        return {"cmd": stage.command, "deps": deps, "params": {"params.yaml": {name: section}}, "outs": [out]}

    def _made(self, path: Path) -> str:
        """DVC's digest of what lies at a path now, as far as it matters here: another one for other bytes."""
        at = self.root / path
        found = sorted(file for file in ([at] if at.is_file() else at.rglob("*")) if file.is_file())
        if path in OUTPUTS.values():
            listing = [{"md5": _md5(file.read_bytes()), "relpath": file.relative_to(at).as_posix()} for file in found]
            return _md5(json.dumps(listing).encode()) + ".dir"
        return _md5(b"".join(file.read_bytes() for file in found))

    def stored(self, data: bytes, ending: str = "") -> str:
        """Put bytes into the cache; their digest."""
        md5 = _md5(data)
        place = self.cache / md5[:2] / (md5[2:] + ending)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return md5

    def _publish(self, release: str, inside: Mapping[str, bytes], model: str) -> str:
        number = len(self.tags) + 1
        made = {
            "version": number,
            "tag": record.tag(number),
            "previous": self.tags[-1] if self.tags else None,
            "metrics": json.loads(inside["metrics.json"]),
            **{"ledgers": {}, "parameters": {}, "code": None, "salt": None, "raw": None, "environment": {}},
            "release": {"md5": release, "manifest": manifest.digest(inside["manifest.json"])},
        }
        at = self.root / "data" / "versions" / f"v{number}.json"
        at.parent.mkdir(exist_ok=True)
        at.write_bytes(manifest.dumps(made))
        self.git("add", "-A")
        self.git("commit", "-qm", record.tag(number))
        self.git("tag", "-am", "a version", record.tag(number))
        if model:
            self.git("tag", "-am", "a model\n\ntest_accuracy: 0.75", record.model_tag(number))
        self.tags.append(record.tag(number))
        return self.tags[-1]


def make(root: Path) -> Shelf:
    """A project without a version, under git and DVC."""
    make_project(root)
    for name in ("raw", "versions"):
        (root / "data" / name).mkdir()
    (root / ".gitignore").write_text(IGNORED)
    (root / ".dvcignore").write_text((ROOT / ".dvcignore").read_text())
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text(f"[core]\n    site_cache_dir = {root.parent / 'site'}\n")
    (root / ".dvc" / ".gitignore").write_text("/cache\n/tmp\n/config.local\n")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return Shelf(root)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _parquet(rows: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(rows, out)
    return out.getvalue().to_pybytes()
