"""How many stages an edit makes stale: by `dvc status` for files that are edited, and on average over every line of the product.

    python -m tests.benchmarks.stale [FILE ...] [--root CHECKOUT]

In a scratch copy of the checkout all stages count as run (their outputs are stubs), a comment is put at the end of each file in turn, and
DVC is asked which stages changed. The mean counts, for each line of our packages, the stages whose deps in `dvc.yaml` hold its file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tasks.common.raw_files import files
from tasks.core import pipeline
from tasks.pair import rating_scales
from tests.conftest import ROOT

PACKAGES = ("tasks", "trainer", "expectations", "flows")
DEFAULT = [str(Path(module.__file__ or "").relative_to(ROOT)) for module in (files, rating_scales)]


def main() -> int:
    """Print the stages for each file, and the mean."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stale", description=__doc__)
    parser.add_argument("files", nargs="*", default=DEFAULT, help="files to edit, as paths below the root")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pairwright-stale-") as scratch:
        root = project(options.root.resolve(), Path(scratch) / "copy")
        for name in options.files:
            found = stale_after(root, name)
            sys.stdout.write(f"{name}: {len(found)} stale: {', '.join(found) or 'none'}\n")
    sys.stdout.write(f"mean stages stale per edited line: {mean(options.root.resolve()):.2f}\n")
    return 0


def project(source: Path, root: Path) -> Path:
    """A copy of the checkout's code in a repository of its own, in which every stage counts as run."""
    root.mkdir()
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(source / name, root)
    for package in PACKAGES:
        shutil.copytree(source / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for stage in pipeline.stages(root).values():
        for path in (stage.output, *stage.data, *stage.code):
            if not (root / path).exists():
                stub(root / path)
    run(root, "git", "init", "-q")
    run(root, sys.executable, "-m", "dvc", "init", "-q")
    run(root, sys.executable, "-m", "dvc", "commit", "-q", "--force")
    assert not changed(root)
    return root


def stub(path: Path) -> None:
    """Something at a path: a file where the name has an ending or lies in a hidden folder, else a folder with one file."""
    file = path if path.suffix or path.parent.name.startswith(".") else path / "stub"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}\n", encoding="utf-8")


def stale_after(root: Path, name: str) -> list[str]:
    """The stages that DVC calls changed after one more comment in the file, which is then as it was."""
    path = root / name
    before = path.read_bytes()
    path.write_bytes(before + b"# edited\n")
    try:
        return changed(root)
    finally:
        path.write_bytes(before)


def changed(root: Path) -> list[str]:
    """Stages of which DVC says that something changed."""
    return list(json.loads(run(root, sys.executable, "-m", "dvc", "status", "--json")))


def run(root: Path, *command: str) -> str:
    """Output of a command in the copy."""
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def mean(root: Path) -> float:
    """Stages that hold a line's file among their deps, on average over all lines of our packages."""
    stages = [[root / path for path in stage.code] for stage in pipeline.stages(root).values()]
    lines = stale = 0
    for file in (file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))):
        count = len(file.read_bytes().splitlines())
        lines += count
        stale += count * sum(any(file == path or path in file.parents for path in code) for code in stages)
    return stale / lines


if __name__ == "__main__":
    sys.exit(main())
