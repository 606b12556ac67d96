"""The machine and the folder: Python and packages, git and DVC, room on the disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from flows import installed
from flows.preflight.finding import Finding, counted, error, in_bytes, ok, warning
from flows.running import inputs
from tasks.core import pipeline
from tasks.core.errors import UserError

PACKAGE = "pairwright"
PINS = "constraints.txt"
PIN = re.compile(r"^([\w.-]+)==([\w.+!-]+)", re.MULTILINE)
NAME = re.compile(r"[\w.-]+")
# What runs and watches the stages, and what draws for people: of all else that the project needs, another version may give other bytes.
NO_BYTES = frozenset({"dvc", "dvclive", "fastapi", "prefect", "sqlalchemy", "tensorboard"})
PATIENCE = 5.0  # seconds that git may take
# Of the raw logs' bytes, all outputs of the dataset take about twice as much, and DVC's cache as much again; one stage's about a quarter.
ALL_OUTPUTS, ONE_OUTPUT = 4.0, 0.25
LEAST_FREE = 100_000_000  # bytes; a model from scratch with its checkpoints takes some ten million
MOST_FILES = 100_000  # whose sizes are added up


def versions() -> Iterator[Finding]:
    """What differs from the versions that were tested together, what is missing, and which Python this is."""
    here = {_key(found.name): found.version for found in metadata.distributions()}
    wanted = _direct()
    if missing := sorted(wanted - here.keys()):
        yield error("versions", f"not installed: {', '.join(missing)}; run `make install`, or install the package again")
    differ = {name: (pin, here[name]) for name, pin in _pins().items() if name in here and _public(here[name]) != _public(pin)}
    in_bytes_too = sorted((differ.keys() & wanted) - NO_BYTES)
    if in_bytes_too:
        listed = ", ".join(f"{name} {differ[name][1]} (tested: {differ[name][0]})" for name in in_bytes_too)
        yield warning("versions", f"other bytes may come out with {listed}")
    elif not missing:
        others = f"; {counted(len(differ), 'package')} of no effect on bytes differ from {PINS}" if differ else ""
        yield ok("versions", f"Python {sys.version.split()[0]}, {PACKAGE} {here.get(PACKAGE, 'not installed')}{others}")


def _direct() -> set[str]:
    """Packages that the project itself asks for."""
    try:
        asked = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return set()
    return {_key(found[0]) for one in asked if "extra ==" not in one and (found := NAME.match(one))}


def _pins() -> dict[str, str]:
    path = installed.HOME / PINS
    return {_key(name): version for name, version in PIN.findall(path.read_text(encoding="utf-8"))} if path.is_file() else {}


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _public(version: str) -> str:
    """Without the build's own addition, such as +cpu."""
    return version.partition("+")[0]


def repository() -> Iterator[Finding]:
    """Whether git and DVC can work in this folder."""
    missing = [name for name in (".git", ".dvc") if not Path(name).exists()]
    if shutil.which("git") is None:
        yield error("repository", "git: found no such command; expected git, which keeps versions; install it")
    for name in missing:
        remedy = f"run `{name[1:]} init`, or clone the project"
        yield error("repository", UserError(str(Path.cwd()), f"no {name}", "a folder under git and DVC", remedy))
    if not os.access(Path(), os.W_OK):
        yield error(
            "repository", UserError(str(Path.cwd()), "a folder that is not yours to write", "one that is", "work in a copy of your own")
        )
    if not missing and shutil.which("git"):
        yield _git()


def _git() -> Finding:
    """What git itself says: of a folder of somebody else it refuses to read anything."""
    command = ["git", "status", "--porcelain", "--untracked-files=no"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["an error without a word"])[0].removeprefix("fatal: ")
        remedy = f"run `git config --global --add safe.directory {Path.cwd()}`" if "dubious" in said else "mend it, then ask again"
        return error("repository", UserError("git", said, "a repository that git reads", remedy))
    changed = done.stdout.splitlines()
    note = f"; {counted(len(changed), 'tracked file')} changed since the last commit" if changed else ""
    return ok("repository", f"git and DVC {metadata.version('dvc')}{note}")


def disk() -> Iterator[Finding]:
    """Whether what a run writes has room: a stage's output stands beside the old one until it is whole, then goes into DVC's cache too."""
    raw = sum(_size(path) for path in inputs.given())
    outputs = [_size(stage.output) for stage in pipeline.stages().values()]
    one = max(raw * ONE_OUTPUT, *outputs, 0) + LEAST_FREE
    everything = max(raw * ALL_OUTPUTS, 2 * sum(outputs)) + LEAST_FREE
    for folder in _volumes():
        yield _room(folder, shutil.disk_usage(folder).free, one, everything)


def _room(folder: Path, free: float, one: float, everything: float) -> Finding:
    """Free bytes against what one stage's output takes, and all of them."""
    if free < one:
        fault = UserError(str(folder), f"{in_bytes(free)} free", f"{in_bytes(one)}, which one stage's output may take", "free some")
        return error("disk", fault)
    if free < everything:
        return warning("disk", f"{folder}: {in_bytes(free)} free; a run of all stages may take {in_bytes(everything)} with DVC's cache")
    return ok("disk", f"{in_bytes(free)} free for {folder}; a run of all stages takes {in_bytes(everything)} at most")


def _volumes() -> list[Path]:
    """One folder of each file system that is written to: of the data and of DVC's cache, or of what they will lie in."""
    found: dict[int, Path] = {}
    for path in (Path("data"), Path(".dvc/cache")):
        there = next(above for above in (path, *path.parents) if above.exists())
        found.setdefault(there.stat().st_dev, there)
    return list(found.values())


def _size(path: Path) -> int:
    """Bytes of all files below the path, of the first hundred thousand; links are not followed."""
    total = 0
    for number, file in enumerate(inputs.files(path)):
        if number >= MOST_FILES:
            break
        try:
            total += os.lstat(file).st_size
        except OSError:  # gone meanwhile
            continue
    return total
