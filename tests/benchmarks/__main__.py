"""Measure the stages on the benchmark corpus, and their peers beside them, and print one table.

    python -m tests.benchmarks [--fractions 0.25 1.0] [--until pair] [--no-peers]

Needs the corpus `corpus_100k` among the real inputs. Each stage is a process of its own; its CPU seconds and its peak
memory are those of the whole process. Copies and personal data are held against the corpus's planted truth.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tasks.core import pipeline
from tests.benchmarks import copies, redaction
from tests.benchmarks.corpus import Corpus, project
from tests.benchmarks.measure import Figures, run_measured, table
from tests.conftest import ROOT, SHARED

LAST = "pair"


def main() -> int:
    """Print the table; 1 where the corpus is absent."""
    options = arguments()
    folder = SHARED / "data" / "corpus_100k"
    if not folder.is_dir():
        sys.stderr.write(f"error: {folder}: nothing there; expected the benchmark corpus; set PAIRWRIGHT_SHARED\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="pairwright-bench-") as scratch:
        rows: list[Figures] = []
        for fraction in options.fractions:
            corpus = Corpus(folder, fraction)
            rows += stages(corpus, Path(scratch) / f"{fraction}", options.until)
        if not options.no_peers:
            rows += [Figures(**row) for row in copies.rows(min(options.fractions))]
            rows += [Figures(**row) for row in redaction.rows(Corpus(folder, 1.0))]
    sys.stdout.write(table(rows))
    return 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.25, 1.0], help="shares of the corpus, from its beginning")
    parser.add_argument("--until", default=LAST, help="last stage to run")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    return parser.parse_args()


def stages(corpus: Corpus, root: Path, until: str) -> list[Figures]:
    """Run the stages one after the other on a share of the corpus."""
    project(corpus, root)
    rows: list[Figures] = []
    for name in pipeline.stages(ROOT):
        usage = run_measured([sys.executable, "-m", "tasks", name], cwd=root)
        note = corpus.quality(name, root)
        rows.append(Figures(f"{name} @ {corpus.fraction:g}", corpus.messages, usage.cpu_seconds, usage.peak_mb, usage.wall_seconds, note))
        sys.stderr.write(table(rows[-1:], header=False))
        if name == until:
            break
    return rows


if __name__ == "__main__":
    sys.exit(main())
