"""Read a release with `datasets`: `python examples/read_release/read_release.py data/release`.

In: the folder of a release. Out: the rows of each table and split, and what each pair prefers; at most twenty pairs.
"""

from __future__ import annotations

import sys

from datasets import load_dataset

FOR_TRL = ("prompt", "chosen", "rejected")  # the columns that TRL's DPOTrainer reads; the others say where a pair comes from


def main(folder: str) -> None:
    """Print what is in the release."""
    tables = {name: load_dataset(folder, name) for name in ("preference", "unpaired", "prompts")}
    lines = [f"{name}, {split}: {len(rows)} rows" for name, splits in tables.items() for split, rows in splits.items()]
    pairs = tables["preference"]["train"]
    assert set(FOR_TRL) <= set(pairs.column_names)
    for pair in pairs.select(range(min(20, len(pairs)))):
        chosen, rejected = pair["chosen"][-1]["content"], pair["rejected"][-1]["content"]
        lines.append(f"{pair['recipe']}, {pair['confidence']:.2f} {pair['confidence_basis']}: {chosen!r} over {rejected!r}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
