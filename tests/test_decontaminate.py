"""Claims about `decontaminate`: what a benchmark's item is, which prompts hold one, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tasks import decontaminate
from tasks.contamination.items import ITEMS
from tasks.core import params
from tasks.core.ledger import Account, settle
from tests.candidates_made import candidate, frame
from tests.conftest import ROOT

PARAMS = params.load(ROOT / "params.yaml", "decontaminate", decontaminate.Params)

ITEM = "Compose an engaging travel blog post about a recent trip to Hawaii, highlighting cultural experiences and must-see attractions."
OTHER = "My printer blinks twice and refuses to wake up, what does the manual of this model say about that?"


def items(*texts: str) -> pa.Table:
    return pa.table({"benchmark": ["mt"] * len(texts), "item": [str(at) for at in range(len(texts))], "text": list(texts)}).cast(ITEMS)


def account(rows: list[dict[str, Any]], sought: pa.Table, **changed: object) -> Account:
    """What the stage does with the candidates."""
    settings = PARAMS.model_copy(update=changed)
    result = decontaminate.run({"candidates": frame(rows)}, sought, settings)
    return settle("decontaminate", "candidates", result["candidates"].to_arrow(), len(rows))


def test_dropped_row_names_benchmark_item_method_and_similarity() -> None:
    found = account([candidate(ITEM), candidate(OTHER)], items("A question about nothing at all that nobody asks.", ITEM))
    (gone,) = found.dropped.to_pylist()
    assert (gone["dropped"], gone["benchmark"], gone["item"], gone["method"], gone["similarity"]) == ("benchmark", "mt", "1", "ngram", 1.0)
    assert [row["prompt"][0]["content"] for row in found.kept.to_pylist()] == [OTHER]
