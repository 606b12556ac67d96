"""A third search for prompts of two sides that are alike: by what they mean, where a model of embeddings is named.

In: the released rows and what users say in them. Out: the section `meaning` of the certificate, null without a model. Every held-out prompt
is compared with every training prompt by the cosine of their static embeddings (model2vec), which sees other words and, with a model of
several languages, translations. Similarities are rounded to two digits, so that no figure hangs on the last bits of a sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common.arrays import flat
from tasks.common.embeddings import Embeddings
from tasks.core.params import StageParams
from tasks.release.character_search import distinct, named

BLOCK = 1024  # held-out prompts compared at a time
PARAMETER = "release.meaning.model"


class Search(StageParams):
    """How couples are sought by meaning."""

    model: str  # "": not at all; or the folder of a model2vec model, or its name on the Hugging Face hub
    threshold: float = Field(gt=0, le=1)  # cosine from which on held-out prompts are counted


def sought(rows: pa.Table, said: pa.LargeListArray, search: Search) -> dict[str, Any] | None:
    """How many held-out prompts mean what a training prompt means, and the couple most alike."""
    if not search.model:
        return None
    train = np.asarray(pc.equal(flat(rows["split"]), "train").to_numpy(zero_copy_only=False))
    texts = [" ".join(turns) for turns in said.to_pylist()]
    at, side = distinct(texts, train)
    vectors = Embeddings(search.model, PARAMETER).of([texts[row] for row in at.tolist()])
    held, trained, others = at[~side], at[side], vectors[side].T
    found: dict[str, Any] = {**search.model_dump(), "held_out_at_least_threshold": 0, "highest_similarity": None}
    if not len(held) or not len(trained):
        return found
    best, nearest = np.empty(len(held)), np.empty(len(held), np.int64)
    for start in range(0, len(held), BLOCK):
        cosines = np.round(vectors[~side][start : start + BLOCK] @ others, 2)
        best[start : start + BLOCK], nearest[start : start + BLOCK] = cosines.max(axis=1), cosines.argmax(axis=1)
    top = int(best.argmax())
    couple = {"held_out": named(rows, held[top]), "train": named(rows, trained[nearest[top]])}
    found["held_out_at_least_threshold"] = int((best >= search.threshold - 1e-6).sum())
    found["highest_similarity"] = {"similarity": round(float(best[top]), 2), **couple}
    return found
