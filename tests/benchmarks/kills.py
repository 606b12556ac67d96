"""Kill runs at random moments, and see whether the next one ends with the bytes of a run that was never killed.

    python -m tests.benchmarks.kills --kills 200 --seed 0 [--depth 1]

The workspace holds the first `depth` stages of the real path on a log of some records, and two small ones that write their files half by
half. Between two kills the log changes, to and fro, so that everything is stale. What is killed (SIGKILL), at a moment drawn evenly over
the length of the run: `dvc`, the command alone of a plain `dvc repro`; `stage`, what it runs; `all`, both; `flow`, the process of
`pairwright run`; `server`, Prefect's own under it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flows import sections
from flows.running.lock import complain
from tests.builders import toys
from tests.builders.projects import digests
from tests.builders.running import processes
from tests.builders.served import free_port, serving
from tests.conftest import ROOT

MODES = {"dvc": 6, "stage": 5, "all": 3, "flow": 4, "server": 2}  # how often each is drawn
TARGETS = {"dvc": "-m dvc", "stage": "-m (tasks|counting) ", "all": "-m dvc", "flow": "flows.cli run", "server": "uvicorn --factory"}
COUNTING = """
import hashlib, sys, time
from pathlib import Path
import yaml
from tasks.core import starter
starter.watch()
entry = yaml.safe_load(Path("dvc.yaml").read_text())["stages"][sys.argv[1]]
output = Path(next(iter(entry["outs"][0])))
output.mkdir(parents=True, exist_ok=True)
with (output / "digests.txt").open("w") as stream:
    for path in sorted(path for path in Path(entry["deps"][0]).rglob("*") if path.is_file()):
        stream.write(hashlib.sha256(path.read_bytes()).hexdigest() + "\\n")
        stream.flush()
        time.sleep(0.05)
"""
FINISH = """
import sys
from flows import dvc
from flows.running import lock, waiting
from tasks.core import pipeline
def run():
    if dvc.stale([name]):
        dvc.reproduce(name, print)
with lock.hold("finish"):
    for name in pipeline.stages():
        waiting.once_free(run, print)
    sys.exit(bool(dvc.stale()))
"""
LOGS = ("jsonl.json", "openai.json")
LENGTH = {"flow": 3.0, "server": 3.0}  # times the length of a plain `dvc repro`


@dataclass
class Tally:
    """What came of the kills."""

    kills: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)  # what was mended, as said


def workspace(root: Path, depth: int) -> Path:
    """The first stages of the real path and two small ones, in a repository of their own, with nothing built."""
    toys.make(root)
    real = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    stages: dict[str, Any] = {}
    for name in list(real)[:depth]:
        deps = [dep for dep in real[name]["deps"] if dep.startswith("data/")]
        stages[name] = real[name] | {"deps": deps}
    last = next(iter(list(stages.values())[-1]["outs"][0]))
    for name, source in (("count", last), ("recount", "data/90_count")):
        place = f"data/90_{name}"
        about = {"desc": name, "cmd": f"python -m counting {name}", "deps": [source, "counting"]}
        stages[name] = {**about, "outs": [{place: {"persist": True}}]}
    (root / "counting").mkdir()
    (root / "counting" / "__init__.py").touch()
    (root / "counting" / "__main__.py").write_text(COUNTING)
    artifacts = {"dataset": {"path": "data/90_recount", "type": "dataset"}}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages, "artifacts": artifacts}, sort_keys=False))
    ours = yaml.safe_load((ROOT / "params.yaml").read_text())
    kept = [name for name in stages if name in ours] + list(sections.MODULES)
    (root / "params.yaml").write_text(yaml.safe_dump({name: ours[name] for name in kept}, sort_keys=False))
    for name in ("raw", "erased"):
        (root / "data" / name).mkdir()
    lay(root, 0)
    return root


def lay(root: Path, state: int) -> None:
    """One of two states of the log."""
    for at, name in enumerate(LOGS):
        path = root / "data" / "raw" / name
        if at <= state:
            shutil.copy(ROOT / "tests" / "examples" / name, path)
        else:
            path.unlink(missing_ok=True)


def environment() -> dict[str, str]:
    """Variables for all commands of the benchmark."""
    return toys.environment() | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def finish(root: Path) -> str:
    """Let a run go to its end; what it said. AssertionError where it does not get there."""
    done = subprocess.run(
        [sys.executable, "-c", FINISH], cwd=root, env=environment(), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-1500:]
    return done.stdout + done.stderr


def outcome(root: Path) -> dict[str, str]:
    """Digests of all that was made, reports for people left out, and of DVC's record of it."""
    made = digests(root / "data", "**/*")
    kept = {
        name: digest for name, digest in made.items() if not name.startswith(("raw", "reports")) and not Path(name).name.startswith(".")
    }
    return kept | digests(root, "dvc.lock")


def kill(root: Path, mode: str, after: float) -> bool:
    """Start a run and kill its part after so many seconds, or as soon as it is there; whether there was one to kill."""
    plain = mode in ("dvc", "stage", "all")
    command = [sys.executable, "-m", *(["dvc", "repro"] if plain else ["flows.cli", "run", "--no-train"])]
    with (root.parent / "killed.log").open("w") as log:
        run = subprocess.Popen(command, cwd=root, env=environment(), stdout=log, stderr=log, start_new_session=True)
    time.sleep(after)
    found = _struck(root, mode, run)
    if mode == "server" or not found:
        run.wait(300)
    elif mode == "flow":
        run.wait(60)  # killed itself; what it started is left to end by itself
    return found


def _struck(root: Path, mode: str, run: subprocess.Popen[bytes]) -> bool:
    """Kill what the mode names; False where the run ended before there was any."""
    while run.poll() is None:
        for pid in processes(TARGETS[mode], root):
            with suppress(ProcessLookupError):
                (os.killpg if mode == "all" else os.kill)(pid if mode != "all" else run.pid, signal.SIGKILL)
                return True
        time.sleep(0.005)
    return False


def measure(folder: Path, kills: int, seed: int, depth: int, say: Callable[[str], object] = complain) -> Tally:
    """Kill so many times; what came of it."""
    chance, tally = random.Random(seed), Tally()
    wanted, length = _never_killed(folder / "whole", depth)
    root = workspace((folder / "killed").resolve(), depth)
    shutil.copytree(folder / "whole" / ".pairwright", root / ".pairwright", dirs_exist_ok=True)  # the same salt
    finish(root)
    with serving(root, free_port()):
        for number in range(1, kills + 1):
            mode = chance.choices(list(MODES), list(MODES.values()))[0]
            after = chance.uniform(0, length * LENGTH.get(mode, 1.0))
            lay(root, number % 2)
            tally.kills[mode if kill(root, mode, after) else "ended before"] += 1
            _judge(root, wanted[number % 2], f"kill {number}: {mode} after {after:.2f} s", tally)
            if not number % 10:
                say(told(tally))
    return tally


def _never_killed(root: Path, depth: int) -> tuple[list[dict[str, str]], float]:
    """What comes out for each state of the log, and how long a plain run takes."""
    workspace(root.resolve(), depth)
    wanted: list[dict[str, str]] = []
    began = 0.0
    for state in (0, 1):
        lay(root, state)
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=root, env=environment(), capture_output=True, check=True)
        wanted.append(outcome(root))
    assert wanted[0] != wanted[1]
    return wanted, time.monotonic() - began


def _judge(root: Path, wanted: dict[str, str], what: str, tally: Tally) -> None:
    """Let a run go to its end, and compare."""
    try:
        said = finish(root)
        tally.told.update(line.partition(":")[0] + line.rpartition(":")[2] for line in said.splitlines() if line.startswith("note: "))
        found = outcome(root)
        differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        if differing:
            tally.wrong.append(f"{what}: {', '.join(differing)}")
    except (AssertionError, subprocess.TimeoutExpired) as error:
        tally.wrong.append(f"{what}: {error}")


@contextmanager
def scratch(given: str | None) -> Iterator[Path]:
    """The folder that was named, or one for the time being."""
    if given:
        Path(given).mkdir(parents=True)
        yield Path(given)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--folder")
    given = parser.parse_args()
    with scratch(given.folder) as folder:
        tally = measure(folder, given.kills, given.seed, given.depth)
    sys.stdout.write(f"{told(tally)}\n")
    sys.exit(bool(tally.wrong))


def told(tally: Tally) -> str:
    """The outcome, in a line and one for each kill after which something was wrong."""
    head = f"{sum(tally.kills.values())} kills {dict(tally.kills)}, mended {dict(tally.told)}; {len(tally.wrong)} wrong"
    return "\n".join([head, *tally.wrong])


if __name__ == "__main__":
    main()
