"""Measure whether a real model trains on a laptop: SmolLM2-135M with the preset `smollm2`, from a release.

    python -m tests.benchmarks.smollm2 RELEASE [--stages start train]

Each stage is a process of its own in a scratch project, and its row the figures of that whole process; the lines of the stages,
with the seconds a step, go to standard error. The peak depends on the rows at once and the
longest pairs, little on anything else.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import measure
from tests.conftest import ROOT
from trainer import presets

PRESET = "smollm2"
NEEDED = ("data/models/reward",)  # what stages that are left out would have made; DPO does not read it


def project(root: Path, release: Path) -> Path:
    """A project below `root` with the preset laid over the parameters."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, root / name)
    for path in NEEDED:
        (root / path).mkdir(parents=True)
    (root / "data/release").symlink_to(release.resolve())
    presets.lay(PRESET, root / "params.yaml")
    return root


def figures(release: Path, stages: list[str]) -> list[measure.Figures]:
    """One row a stage."""
    with tempfile.TemporaryDirectory(prefix="pairwright-smollm2-") as scratch:
        root = project(Path(scratch), release)
        rows = []
        for stage in stages:
            usage = measure.run_measured([sys.executable, "-m", "trainer", stage], root)
            rows.append(measure.Figures(f"{PRESET}: {stage}", 1, usage.cpu_seconds, usage.peak_mb, usage.wall_seconds))
        return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Time and memory of the preset smollm2.")
    parser.add_argument("release", type=Path)
    parser.add_argument("--stages", nargs="+", default=["start", "train"])
    given = parser.parse_args()
    sys.stdout.write(measure.table(figures(given.release, given.stages)))


if __name__ == "__main__":
    main()
