"""Toy projects with a shared remote and a private store, and clones of them."""

from __future__ import annotations

import contextlib
import io
import subprocess
from pathlib import Path

import yaml

from flows import cli
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
    with (root / ".dvc" / "config").open("a") as stream:
        stream.write("    remote = everybody\n" + remotes(shared or str(folder / "shared"), private or str(folder / "private")))
    toys.set_param(root, "private", "remote", "vault")
    return root


def remotes(shared: str, private: str) -> str:
    """Lines of DVC's configuration that name both stores."""
    return f"['remote \"everybody\"']\n    url = {shared}\n['remote \"vault\"']\n    url = {private}\n"


def commit(root: Path, tag: str = "") -> None:
    """Commit all that git follows, and tag it."""
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    subprocess.run(["git", *COMMIT, tag or "a commit"], cwd=root, check=True)
    if tag:
        subprocess.run(["git", "tag", tag], cwd=root, check=True)


def said(*arguments: str, fails: bool = False) -> list[str]:
    """What a command says in the current folder, on stdout, or on stderr where it fails; run in this process, which is quick."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(arguments)
    assert (code, err.getvalue() != "") == (int(fails), fails), (out.getvalue(), err.getvalue())
    return (err if fails else out).getvalue().splitlines()


def logs(root: Path) -> dict[str, str]:
    """The logs that lie in a project."""
    return {path.relative_to(root / RAW).as_posix(): path.read_text() for path in sorted((root / RAW).rglob("*")) if path.is_file()}
