"""Write the lists in `locks/` anew: `python -m flows.supply.lock`, what `make lock` does. Needs uv, which asks the index.

In: what `pyproject.toml` and the presets of the trainer name, at the versions of `constraints.txt` where it has one. Out: the lists, and
`constraints.txt` with every version in them. To take a newer version, change or delete its line in `constraints.txt` and write them anew.

The digests are those of all files of a release, so that other systems and Pythons find theirs. What torch needs for NVIDIA's GPUs stands in
a list of its own, because torch for CPUs does without these gigabytes; `locks/elsewhere.txt` names builds that do not lie on PyPI.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from packaging.markers import Marker

from flows.supply.locks import CONSTRAINTS, ELSEWHERE, FOLDER, Locked, everything, files, parse, read
from tasks.core.errors import UserError
from tasks.core.shell import guarded

PRESETS = Path("trainer/presets")
BASE = "dev"
REMOTES = ("s3", "ssh", "gs", "azure", "webdav")  # DVC's clients
# list -> the oldest Python that all of it installs on
EXTRAS = {"dev": "3.11", "docs": "3.11.5", "supply": "3.11", "servers": "3.11", **dict.fromkeys(REMOTES, "3.11")}
CUDA = re.compile(r"cuda-|nvidia-(?!ml-py)|triton")  # what torch's own build for GPUs brings along
BUILD = ("setuptools",)  # what packages without a wheel, and this project, are built with: installed first
SYSTEMS, PYTHONS = ("linux", "darwin"), ("3.11.2", "3.11.9", "3.12.9", "3.13.9")
HEAD = "# Written by `make lock`; every digest that the index has of each version. Installed by `make`, which refuses any other file.\n"
CONSTRAINTS_HEAD = (
    "# Versions that were tested together, for `pip install -c constraints.txt`; `make` installs the same versions from locks/,\n"
    "# which hold their digests too. After a change here: `make lock`.\n"
)


def write(root: Path) -> None:
    """All lists, and the constraints."""
    base = resolved(root, BASE)
    apart = {name: "cuda" if CUDA.match(name) else "build" if name in BUILD else BASE for name in base}
    for stem in sorted(set(apart.values())):
        _list(root / FOLDER / f"{stem}.txt", {name: entry for name, entry in base.items() if apart[name] == stem})
    for extra in EXTRAS.keys() - {BASE}:
        more = {name: entry for name, entry in resolved(root, BASE, extra).items() if name not in base}
        _list(root / FOLDER / f"{extra}.txt", more)
    for path in sorted((root / PRESETS).glob("*.txt")):
        names = "\n".join(read(path))
        _list(path, parse(_compile(root, ["-", "--no-deps", "--python-version", EXTRAS[BASE]], names)))
    _constrain(root)


def resolved(root: Path, *extras: str) -> dict[str, Locked]:
    """The project with these extras, all that they need included."""
    oldest = max((EXTRAS[extra] for extra in extras), key=lambda text: tuple(map(int, text.split("."))))
    wanted = [word for extra in extras for word in ("--extra", extra)]
    entries = parse(_compile(root, ["pyproject.toml", "--python-version", oldest, *wanted]))
    return {name: _with_other_builds(entry, root) for name, entry in entries.items() if _wanted(entry)}


def _wanted(entry: Locked) -> bool:
    """Whether any system that the project runs on installs it."""
    places = [{"sys_platform": system, "python_full_version": python} for system in SYSTEMS for python in PYTHONS]
    return not entry.marker or any(Marker(entry.marker).evaluate(place) for place in places)


def _compile(root: Path, arguments: list[str], given: str = "") -> str:
    """What uv makes of the arguments."""
    options = ["--universal", "--generate-hashes", "--no-annotate", "--no-header", "--no-config", "--quiet", "-c", str(CONSTRAINTS)]
    command = [sys.executable, "-m", "uv", "pip", "compile", *arguments, *options]
    done = subprocess.run(command, cwd=root, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split())[:600] or "nothing"
        raise UserError(
            "uv", said, "versions that fit together", "install uv with `make lock`, and change constraints.txt where it names one"
        )
    return done.stdout


def _with_other_builds(entry: Locked, root: Path) -> Locked:
    """The entry with the digests of its builds that lie elsewhere than on PyPI."""
    other = read(root / ELSEWHERE).get(entry.name)
    more = other.digests if other and other.version == entry.version else ()
    text = entry.text + "".join(f" \\\n    --hash=sha256:{digest}" for digest in more)
    return replace(entry, digests=(*entry.digests, *more), text=text)


def _list(path: Path, entries: Mapping[str, Locked]) -> None:
    path.write_text(HEAD + "".join(f"{entry.text}\n" for _, entry in sorted(entries.items())), encoding="utf-8")


def _constrain(root: Path) -> None:
    """The constraints: every version in a list, those of torch's GPU libraries aside."""
    listed = everything(path for path in files(root) if path.stem != "cuda")
    lines = "".join(f"{entry.name}=={entry.version}\n" for _, entry in sorted(listed.items()))
    (root / CONSTRAINTS).write_text(CONSTRAINTS_HEAD + lines, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(guarded(lambda: write(Path())))
