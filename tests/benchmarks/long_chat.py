"""Measure `split` on one conversation with many judged answers: every answer is a prompt of its own, which holds all that was said before.

    python -m tests.benchmarks.long_chat [--answers 800 1600 3200]

The table itself grows with the square of the answers (3,200 answers are ten million messages), so the seconds of reading it stand beside
those of the stage's own work: what is compared, tied and placed.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.core import engine, params
from tasks.core.ids import stable_id
from tasks.core.tables import PROMPT, TEXT, Candidates
from tasks.split import stage as split
from tasks.split.assignment_table import Assignment
from tests.builders.split_runs import answer, prompt
from tests.conftest import ROOT

OTHERS = 300  # conversations of one question each, so that there is something else


def main() -> int:
    """Print one line a length."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.long_chat", description=__doc__)
    parser.add_argument("--answers", type=int, nargs="+", default=[800, 1600, 3200])
    settings = params.load(ROOT / "params.yaml", "split", split.Params)
    engine.start()
    sys.stdout.write(f"{'answers':>8}{'messages':>12}{'facts cpu s':>13}{'plan cpu s':>12}\n")
    for count in parser.parse_args().answers:
        with tempfile.TemporaryDirectory() as scratch:
            engine.write_sorted(long_chat(count), Candidates.KEY, Path(scratch) / "candidates", 250_000)
            start = cpu()
            facts = split.known_facts(engine.read_table(Path(scratch) / "candidates"), settings)
            read = cpu()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                split.make_plan(facts, settings, Assignment())
            sys.stdout.write(f"{count:>8,}{count * count:>12,}{read - start:>13.2f}{cpu() - read:>12.2f}\n")
            sys.stdout.flush()
    return 0


def cpu() -> float:
    """CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def long_chat(count: int) -> pa.Table:
    """Candidates of one conversation with `count` judged answers, and of OTHERS with one each."""
    said = random.Random(1)
    words = [stable_id(str(number))[:5] for number in range(4000)]
    turns = [(("user", "assistant")[at % 2], " ".join(said.choices(words, k=9)), None) for at in range(2 * count)]
    rows = [prompt(at, conversations=["long"], users=["somebody"], responses=[answer(turns[2 * at + 1][1], "long")]) for at in range(count)]
    others = [prompt(count + at, " ".join(said.choices(words, k=9)), users=[f"p{at}"]) for at in range(OTHERS)]
    known = pa.Table.from_pylist([row | {"prompt": []} for row in rows], schema=Candidates.schema())
    flat = pa.StructArray.from_arrays([pa.array(list(column), TEXT) for column in zip(*turns, strict=True)], fields=list(PROMPT.value_type))
    lengths = 2 * np.arange(count) + 1
    ends = np.cumsum(lengths)
    places = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    prompts = pa.LargeListArray.from_arrays(pa.array(np.concatenate([[0], ends])), flat.take(pa.array(places))).cast(PROMPT)
    long = known.set_column(known.schema.get_field_index("prompt"), "prompt", prompts)
    return pa.concat_tables([long, pa.Table.from_pylist(others, schema=Candidates.schema())])


if __name__ == "__main__":
    sys.exit(main())
