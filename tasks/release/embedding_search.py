"""A third search for similar prompts across splits: by meaning, where an embedding model is set.

In: the released rows and their user turns. Out: the section `meaning` of the certificate, null without a model. Every held-out prompt is
compared with every training prompt by the cosine of their static embeddings (model2vec), which detects paraphrases and, with a
multilingual model, translations. Similarities are rounded to two digits, so that results do not depend on the last bits of a sum.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common.arrays import flat
from tasks.common.embeddings import Embeddings
from tasks.common.vocabulary.splits import TRAIN
from tasks.core.params import StageParams
from tasks.release.character_search import distinct, row_reference

BLOCK = 1024  # held-out prompts compared at a time
PARAMETER = "release.meaning.model"


class Search(StageParams):
    """Parameters of the search by meaning."""

    model: str  # "" is off; or the folder of a model2vec model, or its name on the Hugging Face hub
    threshold: float = Field(gt=0, le=1)  # cosine from which on held-out prompts are counted


def search_by_embeddings(rows: pa.Table, user_turns: pa.LargeListArray[Any], search: Search) -> dict[str, object] | None:
    """How many held-out prompts mean the same as a training prompt, and the most similar pair."""
    if not search.model:
        return None
    train = np.asarray(pc.equal(flat(rows["split"]), pa.scalar(TRAIN)).to_numpy(zero_copy_only=False))
    texts = [" ".join(turns) for turns in cast("list[list[str]]", cast("pa.Array[Any]", user_turns).to_pylist())]
    at, side = distinct(texts, train)
    vectors = Embeddings(search.model, PARAMETER).of([texts[row] for row in at.tolist()])
    held, trained, others = at[~side], at[side], vectors[side].T
    section: dict[str, Any] = {**search.model_dump(), "held_out_at_least_threshold": 0, "highest_similarity": None}
    if not len(held) or not len(trained):
        return section
    best, nearest = np.empty(len(held)), np.empty(len(held), np.int64)
    for start in range(0, len(held), BLOCK):
        cosines = np.round(vectors[~side][start : start + BLOCK] @ others, 2)
        best[start : start + BLOCK], nearest[start : start + BLOCK] = cosines.max(axis=1), cosines.argmax(axis=1)
    top = int(best.argmax())
    couple = {"held_out": row_reference(rows, held[top]), "train": row_reference(rows, trained[nearest[top]])}
    section["held_out_at_least_threshold"] = int((best >= search.threshold - 1e-6).sum())
    section["highest_similarity"] = {"similarity": round(float(best[top]), 2), **couple}
    return section
