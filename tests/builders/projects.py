"""Scratch projects: the real path and parameters over some raw logs, away from the checkout."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tasks.core import pipeline
from tests.conftest import ROOT

DATA_STAGES = [name for name in pipeline.stages(ROOT) if not pipeline.stage(name, ROOT).module.startswith("trainer.")]


def make_project(root: Path, raw: Path | None = None) -> Path:
    """A folder with the path, the parameters and, when given, a copy of the raw logs."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "data" / "benchmarks", root / "data" / "benchmarks", ignore=lambda _, names: set(names) - {"README.md"})
    (root / "data" / "splits").mkdir()
    (root / "data" / "erased").mkdir()
    if raw:
        shutil.copytree(raw, root / "data" / "raw")
    return root


def set_param(root: Path, stage: str, key: str, value: object) -> None:
    """Change one parameter of a scratch project."""
    path = root / "params.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert key in document[stage], f"{stage} has no parameter {key}"
    document[stage][key] = value
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def run_stage(root: Path, stage: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one stage of the project as a process of its own; its output is captured."""
    package = pipeline.stage(stage, ROOT).command.split()[2]
    command = [sys.executable, "-m", package, stage]
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)


def run_stages(root: Path, stages: list[str], **environment: str) -> str:
    """Run the stages in order; their output. Fails the test when one fails."""
    output = []
    for stage in stages:
        done = run_stage(root, stage, **environment)
        assert done.returncode == 0, f"{stage} exited with {done.returncode}: {done.stdout}\n{done.stderr}"
        output.append(done.stdout + done.stderr)
    return "".join(output)


def digests(folder: Path, pattern: str = "**/*.parquet") -> dict[str, str]:
    """sha256 of the files below the folder that match."""
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob(pattern)) if p.is_file()}
