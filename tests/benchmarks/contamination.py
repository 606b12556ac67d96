"""Measure decontamination: planted benchmark items that are found, real prompts that are not, and what it costs.

    python -m tests.benchmarks.contamination

Seven real benchmarks are looked for, with and without embeddings: each item as it stands, in each kind of rewording, and cut down to
every other problem, so that problems which are only alike can be told from the same. None of the real prompts holds an item.
Needs the real inputs (PAIRWRIGHT_SHARED).
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from tasks.common.raw_files import archives, files, records
from tasks.core import params
from tasks.core.tables import TEXT
from tasks.decontaminate.search import Search
from tasks.decontaminate.stage import Params
from tasks.decontaminate.verbatim import METHODS
from tests.builders.real_prompts import MODEL, benchmark_items, chats, real_prompts, same_as_self_instruct
from tests.builders.rewordings import BEYOND, KINDS, reword
from tests.conftest import ROOT, SHARED

SHOWN = METHODS[:-1]  # without that for answers
HEAD = f"{'messages':<34}{'number':>9}{'found':>9}{'share':>9}" + "".join(f"{name:>11}" for name in SHOWN) + f"{'cpu s':>8}"


def main() -> int:
    """Print both tables; 1 where the real inputs are absent."""
    data = SHARED / "data"
    if not data.is_dir():
        sys.stderr.write(f"error: {data}: nothing there; expected the real inputs; set PAIRWRIGHT_SHARED\n")
        return 1
    given = params.load(ROOT / "params.yaml", "decontaminate", Params)
    with tempfile.TemporaryDirectory(prefix="pairwright-bench-") as scratch:
        items = benchmark_items(data, Path(scratch) / "benchmarks")
    for model in ("", str(data / MODEL)):
        settings = given.model_copy(update={"embedding": given.embedding.model_copy(update={"model": model})})
        sys.stdout.write(f"{len(items)} texts of items, embeddings {'on' if model else 'off'}\n{HEAD}\n")
        for line in lines(items, settings, data):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    return 0


def lines(items: pa.Table, settings: Params, data: Path) -> Iterator[str]:
    """The lines of one table."""
    search = Search(items["text"].combine_chunks(), settings)
    texts = cast("list[str]", items["text"].to_pylist())
    yield line("verbatim", search, texts)
    for kind in [*KINDS, *BEYOND]:
        yield line(kind, search, [reword(kind, text, at) for at, text in enumerate(texts)])
    yield line("PandaLM, made from Self-Instruct", search, same_as_self_instruct(data))
    yield line("real prompts", search, real_prompts(data))
    yield line("messages of real chats", search, chats(data))
    yield line("what users say in 100,000 chats", search, corpus(data))
    for name in ("gsm8k", "humaneval"):
        own = cast("list[str]", items["text"].filter(pc.equal(items["benchmark"], pa.scalar(name))).to_pylist())
        yield line(f"other problems of {name}", Search(pa.array(own[::2], TEXT), settings), own[1::2])


def line(name: str, search: Search, messages: Sequence[str]) -> str:
    """One line: how many of the messages hold an item, by which method."""
    before = _cpu()
    methods = search.find(pa.array(messages, TEXT))["method"].to_pylist()
    counts = "".join(f"{methods.count(method):>11,}" for method in SHOWN)
    return f"{name:<34}{len(messages):>9,}{len(methods):>9,}{len(methods) / len(messages):>9.4f}{counts}{_cpu() - before:>8.1f}"


def corpus(data: Path) -> list[str]:
    """What users say in 100,000 chats, without copies."""
    said: set[str] = set()
    for path in sorted((data / "corpus_100k").glob("chats*")):
        for _, stream in archives.members(path):
            assert not isinstance(stream, files.Fault)
            for batch in records.batches(stream):
                said.update(turn["content"] for record in batch for turn in record.value["messages"] if turn["role"] == "user")
    return sorted(said)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
