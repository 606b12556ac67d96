"""What a candidate holds that is counted over its votes and conversations: counted when it is made, and anew where some are taken out.

Lists come out of a group-by in no certain order, so whoever makes them sorts every one of them.
"""

from __future__ import annotations

from typing import Any, cast

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import DataType, col, lit
from daft.functions import when

from tasks.common.arrays import Mask, distinct, mask, numbers, owners
from tasks.common.vocabulary.kinds import BY_MODELS, COMPLAINT, MODEL, NO_EVIDENCE, PERSON, RATING, RETRY, SIGNAL, THANKS, THUMB, VOTED
from tasks.core.tables import TEXT

# What names a prompt's evidence, the strongest first: the kind of a person's act, or that there is only what is weaker than all of these.
EVIDENCE = {**{kind: kind for kind in (*VOTED, RETRY)}, THANKS: SIGNAL, COMPLAINT: SIGNAL}
BY_PERSON = cast("daft.Expression", col("annotator_kind") != MODEL)
PANEL = 3  # so many people who judge one conversation are a panel: a chat has one user, and perhaps somebody who looks after it


def vote_sums(votes: daft.DataFrame) -> daft.DataFrame:
    """People's thumbs and ratings of each answer; those of judging models stay in the votes alone."""
    is_thumb, is_rating = (cast("daft.Expression", col("kind") == kind) for kind in (THUMB, RATING))
    judged = votes.where((is_thumb | is_rating) & BY_PERSON).select(
        "response_id",
        (is_thumb & (col("value") > lit(0))).cast(DataType.int64()).alias("ups"),
        (is_thumb & (col("value") < lit(0))).cast(DataType.int64()).alias("downs"),
        is_rating.cast(DataType.int64()).alias("ratings"),
        # sums of floats depend on their order; whole millionths do not
        when(is_rating, (col("value") * 1_000_000).round(0).cast(DataType.int64())).otherwise(lit(0)).alias("millionths"),
    )
    summed = judged.groupby("response_id").agg(*(col(name).sum() for name in ("ups", "downs", "ratings", "millionths")))
    score = when(col("ratings") > lit(0), col("millionths") / col("ratings") / 1_000_000.0).otherwise(lit(None))
    return summed.select("response_id", "ups", "downs", "ratings", score.alias("score"))


def sources(parts: pa.LargeListArray[Any], votes: pa.LargeListArray[Any], raters: pa.Array[Any]) -> dict[str, pa.Array[Any]]:
    """Conversations, users and origins of each prompt, from its parts and its votes; where they judge only, `raters` are no users."""
    part, vote, rows = parts.values, votes.values, len(parts)
    outside = pc.or_(pa.array(by_outsiders(votes)), pc.is_in(pc.struct_field(vote, "annotator"), value_set=raters))
    voter = pc.if_else(outside, pa.scalar(None, TEXT), pc.struct_field(vote, "annotator"))
    owner = np.concatenate([owners(parts), owners(votes)])
    return {
        "conversations": distinct(owners(parts), rows, pc.struct_field(part, "conversation")),
        "users": distinct(owner, rows, pa.concat_arrays([pc.struct_field(part, "user"), voter])),
        "origins": distinct(owner, rows, pa.concat_arrays([pc.struct_field(part, "origin"), pc.struct_field(vote, "origin")])),
    }


def by_outsiders(votes: pa.LargeListArray[Any]) -> Mask:
    """Votes by judging models, or by a panel: such judges see conversations of all people, and tie nothing."""
    vote = votes.values
    person = mask(pc.equal(pc.struct_field(vote, "annotator_kind"), pa.scalar(PERSON)))
    talk, judge = (numbers(pc.struct_field(vote, name).dictionary_encode().indices) + 1 for name in ("conversation", "annotator"))
    talk = np.unique(owners(votes) * (int(talk.max(initial=0)) + 1) + talk, return_inverse=True)[1]
    width = int(judge.max(initial=0)) + 1
    judges = np.unique((talk * width + judge)[person & (judge > 0)]) // width
    return np.asarray(~person | (np.bincount(judges, minlength=int(talk.max(initial=0)) + 1)[talk] >= PANEL))


def strongest(votes: pa.LargeListArray[Any]) -> pa.Array[Any]:
    """The first of EVIDENCE among each list's votes; BY_MODELS where only models voted, NO_EVIDENCE where nobody did."""
    order = pa.array([*EVIDENCE.values(), BY_MODELS, NO_EVIDENCE], TEXT)
    kinds = pc.index_in(pc.struct_field(votes.values, "kind"), pa.array(list(EVIDENCE), TEXT))
    by_model = pc.equal(pc.struct_field(votes.values, "annotator_kind"), pa.scalar(MODEL))
    place = pc.if_else(by_model, pa.scalar(len(EVIDENCE), pa.int32()), kinds)
    best = np.full(len(votes), len(order) - 1)
    np.minimum.at(best, owners(votes), place.to_numpy(zero_copy_only=False))
    return order.take(pa.array(best))
