"""Near copies beside their peers: CPU seconds, peak memory, and F1 of the removals on the same texts.

The peers run when they are installed: `pip install rensa==0.5.0 datasketch==2.0.0 click-option-group xxhash` and
`pip install --no-deps text-dedup==0.4.0`. All compare word 5-grams at Jaccard 0.8, each in a process of its own, which reads
normalised texts and writes the ids that it keeps. Engines that check their candidates use 16 bands of 4 rows, which find nearly
all; the others cannot afford so many false candidates: 128 hashes in the bands that the tool itself picks, or 16 of 8 rows.

    python -m tests.benchmarks.copies texts TEXTS.parquet FRACTION
    python -m tests.benchmarks.copies ENGINE TEXTS.parquet
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.corpus import Corpus
from tests.benchmarks.measure import run_measured
from tests.conftest import SHARED

WORDS, THRESHOLD, BANDS, ROWS = 5, 0.8, 16, 4
CORPUS = SHARED / "data" / "corpus_100k"
TEXTS = "texts"  # in place of an engine: write the file of texts
UNCHECKED = 128  # hashes of the engines that take every candidate for a copy
CHUNK = 4_096  # texts whose n-grams a peer holds at a time
Edges = Iterator[tuple[int, int]]


def rows(fraction: float) -> list[dict[str, Any]]:
    """One row of figures an engine, as keywords of `measure.Figures`."""
    with tempfile.TemporaryDirectory(prefix="pairwright-copies-") as folder:
        source = Path(folder) / "texts.parquet"
        # Not in this process: a child's peak memory is never less than what its parent holds when it starts.
        run_measured([sys.executable, "-m", "tests.benchmarks.copies", TEXTS, str(source), str(fraction)], source.parent)
        corpus = Corpus(CORPUS, fraction)
        return [measured(engine, corpus, source, len(corpus.ids)) for engine in installed()]


def write_texts(fraction: float, source: Path) -> None:
    """The conversations of the share as normalised texts, with their ids."""
    from tasks.common.similarity import normalise

    corpus = Corpus(CORPUS, fraction)
    chats = {
        chat["id"]: " ".join(message["content"] for message in chat["messages"])
        for chat in corpus.lines("chats")
        if chat["id"] in corpus.ids
    }
    texts = normalise(pa.array(chats.values(), pa.large_string()))
    pq.write_table(pa.table({"id": pa.array(chats, pa.large_string()), "text": texts}), source)


def installed() -> list[str]:
    """The engines that can run here."""
    found = []
    for name, (module, _) in ENGINES.items():
        if importlib.util.find_spec(module):
            found.append(name)
        else:
            sys.stderr.write(f"{name} is left out: {module} is not installed\n")
    return found


def measured(engine: str, corpus: Corpus, source: Path, count: int) -> dict[str, Any]:
    """The engine in a process of its own, and its result held against the truth."""
    usage = run_measured([sys.executable, "-m", "tests.benchmarks.copies", engine, str(source)], source.parent)
    f1 = corpus.removals_f1(set(source.with_suffix(".kept").read_text(encoding="utf-8").split()))
    return {
        "name": f"copies: {engine} @ {corpus.fraction:g}",
        "rows": count,
        "cpu_seconds": usage.cpu_seconds,
        "peak_mb": usage.peak_mb,
        "wall_seconds": usage.wall_seconds,
        "note": f"F1 {f1:.4f}",
    }


def ours(source: Path) -> list[str]:
    """`tasks.common.similarity` with the pipeline's own settings."""
    from tasks.common.similarity import Near, components, near_pairs
    from tasks.core import engine

    engine.start()
    table = pq.read_table(source).sort_by("id").combine_chunks()
    near = Near(shingle_words=WORDS, threshold=THRESHOLD, bands=BANDS, rows=ROWS, largest_bucket=64, seed=7)
    ids, texts = (cast("pa.Array[Any]", table[name].chunk(0)) for name in ("id", "text"))
    pairs = near_pairs(ids, texts, near)
    left, right = (np.searchsorted(ids.to_numpy(zero_copy_only=False), pairs[side].to_numpy()) for side in ("left", "right"))
    label = components(len(ids), left, right)
    return cast("list[str]", ids.filter(pa.array(label == np.arange(len(ids)))).to_pylist())


def shingles(texts: list[str]) -> Iterator[list[set[str]]]:
    """The texts' word n-grams, chunk by chunk."""
    for at in range(0, len(texts), CHUNK):
        yield [ngrams(text) for text in texts[at : at + CHUNK]]


def ngrams(text: str) -> set[str]:
    """Word n-grams of one text."""
    words = text.split()
    return {" ".join(words[i : i + WORDS]) for i in range(max(len(words) - WORDS + 1, 1))}


def merged(texts: list[str], edges: Edges, *, check: bool = False) -> list[bool]:
    """Which texts stay when the edges' components are merged; with `check` only edges at the threshold count."""
    parent = list(range(len(texts)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = row = parent[parent[row]]
        return row

    for one, other in edges:
        a, b = root(one), root(other)
        if a != b and (not check or similarity(texts[one], texts[other]) >= THRESHOLD):
            parent[max(a, b)] = min(a, b)
    return [root(row) == row for row in range(len(texts))]


def similarity(one: str, other: str) -> float:
    """Exact Jaccard similarity."""
    a, b = ngrams(one), ngrams(other)
    return len(a & b) / len(a | b)


def rensa_edges(texts: list[str], hashes_each: int = UNCHECKED) -> Edges:
    """Candidates of rensa's LSH index."""
    import rensa

    index = rensa.RMinHashLSH(THRESHOLD, hashes_each, BANDS)
    for chunk, sets in enumerate(shingles(texts)):
        hashes = rensa.RMinHash.from_token_sets(sets, hashes_each, 42)
        index.insert_many(hashes, chunk * CHUNK)
        for row, found in enumerate(index.query_all(hashes), chunk * CHUNK):
            yield from ((row, other) for other in found if other < row)


def datasketch_edges(texts: list[str]) -> Edges:
    """Candidates of datasketch's LSH index."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=THRESHOLD, num_perm=UNCHECKED)
    row = 0
    for sets in shingles(texts):
        for found in sets:
            minhash = MinHash(num_perm=UNCHECKED)
            minhash.update_batch([gram.encode() for gram in found])
            yield from ((row, other) for other in index.query(minhash))
            index.insert(row, minhash)
            row += 1


def by_edges(find: Callable[[list[str]], Edges], *, check: bool = False) -> Callable[[Path], list[str]]:
    """An engine from what finds its candidates."""

    def engine(source: Path) -> list[str]:
        table = pq.read_table(source)
        ids, texts = cast("list[str]", table["id"].to_pylist()), cast("list[str]", table["text"].to_pylist())
        return [name for name, stays in zip(ids, merged(texts, find(texts), check=check), strict=True) if stays]

    return engine


def rensa_own(source: Path) -> list[str]:
    """Rensa's own deduplicator, one text after the other."""
    import rensa

    table = pq.read_table(source)
    ids = cast("list[str]", table["id"].to_pylist())
    store = rensa.RMinHashDeduplicator(THRESHOLD, UNCHECKED, use_lsh=True, num_bands=BANDS)
    kept: list[str] = []
    for chunk, sets in enumerate(shingles(cast("list[str]", table["text"].to_pylist()))):
        names = ids[chunk * CHUNK : chunk * CHUNK + len(sets)]
        hashes = rensa.RMinHash.from_token_sets(sets, UNCHECKED, 42)
        kept += [name for name, minhash in zip(names, hashes, strict=True) if store.add(name, minhash)]
    return kept


def text_dedup(source: Path) -> list[str]:
    """text-dedup's MinHash command; it splits at what is no letter or digit."""
    import datasets
    from text_dedup.minhash import main as command

    datasets.disable_progress_bars()
    datasets.Dataset.from_parquet(str(source), cache_dir=str(source.parent / "cache")).save_to_disk(str(source.parent / "set"))
    given = {"path": source.parent / "set", "output": source.parent / "out", "column": "text", "num_proc": 1, "ngram": WORDS}
    options = [f"--{name}={value}" for name, value in (given | {"threshold": THRESHOLD, "num_perm": UNCHECKED}).items()]
    command.main(["--local", *options], standalone_mode=False)
    kept: list[str] = datasets.load_from_disk(str(source.parent / "out"))["id"][:]
    return kept


# An engine: the module that it needs, and what makes the ids that stay from the file of texts.
ENGINES: dict[str, tuple[str, Callable[[Path], list[str]]]] = {
    "pairwright": ("tasks.common.similarity", ours),
    "rensa, checked": ("rensa", by_edges(lambda texts: rensa_edges(texts, BANDS * ROWS), check=True)),
    "rensa, candidates": ("rensa", by_edges(rensa_edges)),
    "rensa, its deduplicator": ("rensa", rensa_own),
    "datasketch": ("datasketch", by_edges(datasketch_edges)),
    "text-dedup": ("text_dedup", text_dedup),
}


def main(engine: str, source: Path, *fraction: str) -> None:
    """Run one engine on the file of texts, or write that file."""
    if engine == TEXTS:
        write_texts(float(fraction[0]), source)
    else:
        source.with_suffix(".kept").write_text("\n".join(ENGINES[engine][1](source)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
