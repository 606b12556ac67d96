"""Toy projects with a shared remote and a private store, and clones of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from tests.builders import toys

RAW = Path("data/raw")
PLANTED = "jane.doe@example.org"
LOGS = {"desk/monday.jsonl": f"I am {PLANTED}", "desk/tuesday.jsonl": "Hello", "again.jsonl": "Hello"}
COMMIT = ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm"]


def make(folder: Path, private: str = "", shared: str = "") -> Path:
    """A project over a folder of logs, its first stage private, with the stores of these URLs; without one, folders beside it."""
    root = toys.make(folder / "origin", private=True)
    (root / "data" / "raw.txt").unlink()
    for name, text in LOGS.items():
        (root / RAW / name).parent.mkdir(parents=True, exist_ok=True)
        (root / RAW / name).write_text(text)
    document = yaml.safe_load((root / "dvc.yaml").read_text())
    document["stages"]["first"]["deps"] = [str(RAW), "toys"]
    (root / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    toys.dvc(root, "remote", "add", "--default", "everybody", shared or str(folder / "shared"))
    toys.dvc(root, "remote", "add", "vault", private or str(folder / "private"))
    toys.set_param(root, "private", "remote", "vault")
    return root


def commit(root: Path, tag: str = "") -> None:
    """Commit all that git follows, and tag it."""
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    subprocess.run(["git", *COMMIT, tag or "a commit"], cwd=root, check=True)
    if tag:
        subprocess.run(["git", "tag", tag], cwd=root, check=True)


def clone(root: Path, name: str = "clone") -> Path:
    """A fresh clone beside the project."""
    subprocess.run(["git", "clone", "-q", str(root), str(root.parent / name)], check=True)
    return root.parent / name


def logs(root: Path) -> dict[str, str]:
    """The logs that lie in a project."""
    return {path.relative_to(root / RAW).as_posix(): path.read_text() for path in sorted((root / RAW).rglob("*")) if path.is_file()}
