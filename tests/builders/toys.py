"""Toy projects for tests of the flows: three quick stages in a repository of their own, walked by the real flows and the real DVC."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from flows import sections
from tests.conftest import ROOT

STAGE = '''
"""Copies its input. Its parameters may let it wait, fail or kill itself."""
import json, os, sys, time
from pathlib import Path
import yaml
name = sys.argv[1]
entry = yaml.safe_load(Path("dvc.yaml").read_text())["stages"][name]
params = yaml.safe_load(Path("params.yaml").read_text())[name]
print(f"{name}: begins", flush=True)
time.sleep(params["wait"])
if params["fate"] == "fail":
    sys.exit(f"error: {name}: found a cat; expected a dog; feed it")
if params["fate"] == "crash":
    raise ValueError(f"{name} fell over")
if params["fate"] == "killed":
    os.kill(os.getpid(), 9)
output = Path(next(iter(entry["outs"][0])))
if params["fate"] != "forget":
    output.mkdir(parents=True, exist_ok=True)
    (output / "text.txt").write_text(f"{name} {params}")
    (output / "ledger.json").write_text(json.dumps({"turns": {"in": 1234, "made": 0, "kept": 1200, "dropped": 34, "reasons": {}}}))
    if "pairs" in params:
        (output / "metrics.json").write_text(json.dumps({**params["pairs"], "unpaired": 12, "prompts": 20}))
print(f"{name}: ends", flush=True)
'''
FIRST, SECOND, TRAIN = "data/01_first", "data/02_second", "data/models"
CHAIN = {"first": ("toys", "data/raw.txt", FIRST), "second": ("toys", FIRST, SECOND), "train": ("trainer", SECOND, TRAIN)}
ARTIFACTS = {"dataset": {"path": SECOND, "type": "dataset"}, "model": {"path": TRAIN, "type": "model"}}


def make(root: Path, *, private: bool = False) -> Path:
    """A toy project with nothing built; on request its first stage's output is kept from DVC, as ingest's is."""
    for package in ("toys", "trainer"):
        (root / package).mkdir(parents=True)
        (root / package / "__init__.py").touch()  # a package in full, or ours of the same name would be found first
        (root / package / "__main__.py").write_text(STAGE)
    (root / "data").mkdir()
    (root / "data" / "raw.txt").write_text("hello")
    ignored = "/data/?*\n!/data/versions/\n/data/versions/.*\n/data/versions/reports/\n/.prefect/\n/.pairwright/\n__pycache__/\n"
    (root / ".gitignore").write_text(ignored)
    (root / ".dvcignore").write_text((ROOT / ".dvcignore").read_text())
    (root / "prefect.yaml").write_text((ROOT / "prefect.yaml").read_text().replace("publish: true", "publish: false"))
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text((ROOT / ".dvc" / "config").read_text())
    (root / ".dvc" / ".gitignore").write_text((ROOT / ".dvc" / ".gitignore").read_text())
    stages = {name: _stage(name, *links) for name, links in CHAIN.items()}
    if private:
        stages["first"]["outs"] = [{FIRST: {"persist": True, "cache": False}}]
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages, "artifacts": ARTIFACTS}, sort_keys=False))
    ours = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params = {name: {"wait": 0, "fate": ""} for name in CHAIN} | {name: ours[name] for name in sections.MODULES}
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def _stage(name: str, package: str, source: str, output: str) -> dict[str, object]:
    return {
        "desc": f"The stage {name}",
        "cmd": f"python -m {package} {name}",
        "deps": [source, package],
        "params": [name],
        "outs": [{output: {"persist": True}}],
    }


def set_param(root: Path, stage: str, key: str, value: object) -> None:
    """Change one parameter."""
    document = yaml.safe_load((root / "params.yaml").read_text())
    document[stage][key] = value
    (root / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def path_of(root: Path) -> dict[str, Any]:
    """What `dvc.yaml` holds."""
    document: dict[str, Any] = yaml.safe_load((root / "dvc.yaml").read_text())
    return document


def set_path(root: Path, document: dict[str, Any]) -> None:
    """Write `dvc.yaml` anew."""
    (root / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def environment(**more: str) -> dict[str, str]:
    """Variables for commands run in a toy project: our code, no server, and no active virtual environment on the path."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "PAIRWRIGHT_", "VIRTUAL_ENV"))}
    bin_folder = str(Path(sys.executable).parent)
    path = os.pathsep.join(entry for entry in os.environ["PATH"].split(os.pathsep) if entry != bin_folder)
    return kept | {"PYTHONPATH": str(ROOT), "PATH": path} | more


def pairwright(root: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The command, run in the project."""
    command = [sys.executable, "-m", "flows.cli", *arguments]
    return subprocess.run(command, cwd=root, env=environment(**more), capture_output=True, text=True, timeout=300, check=False)


def dvc(root: Path, *arguments: str) -> str:
    """DVC as a person calls it, with the virtual environment active."""
    env = environment() | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, env=env, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
