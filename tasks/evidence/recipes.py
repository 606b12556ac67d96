"""Recipes: from one kind of evidence to proposed preferences. A new recipe is one function and one line in RECIPES.

In: votes (VOTE, one row each, with prompt_id) and answers (RESPONSE, one row each, with prompt_id), as DataFrames. Out: one row a
proposal (PROPOSAL); `dropped` says why a proposal cannot become a pair: `tie` (as many acts for as against, equal scores) or
`below_margin`. Margins are in (0, 1]. The confidence of w acts for, l against and t ties, n together, is (w + t/2 + 1) / (n + 2): the
expected share of people who agree, before whom we knew nothing; with w > l it lies above a half.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import daft
import pyarrow as pa
from daft import DataType, Expression, Window, col, lit
from daft.functions import dense_rank, when
from pydantic import Field

from tasks.core.params import StageParams
from tasks.core.tables import TEXT

PROPOSAL = pa.schema(
    [
        ("prompt_id", TEXT),
        ("chosen_id", TEXT),  # response ids
        ("rejected_id", TEXT),
        ("recipe", TEXT),
        ("margin", pa.float64()),
        ("confidence", pa.float64()),
        ("evidence", pa.int32()),
        ("dropped", TEXT),
    ]
)


class Switch(StageParams):
    """A recipe without numbers."""

    use: bool


class Ranking(Switch):
    """Which pairs of one ranking are proposed."""

    which: Literal["all", "adjacent", "best_vs_rest"]


class RatingMargin(Switch):
    """When two mean ratings (0..1) are apart enough."""

    min_margin: float = Field(gt=0, le=1)
    min_ratings: int = Field(ge=1)  # of each answer


class ThumbContrast(Switch):
    """When one answer is liked and the other is not."""

    min_votes: int = Field(ge=1)  # thumbs of each answer


@dataclass(frozen=True)
class Evidence:
    """What recipes read."""

    votes: daft.DataFrame
    answers: daft.DataFrame


Recipe = Callable[[Evidence, Any], daft.DataFrame]


def comparison(kind: str) -> Recipe:
    """Acts of one kind that name a better and a worse answer; a choice may also say that neither is better."""

    def recipe(evidence: Evidence, settings: Switch) -> daft.DataFrame:
        better, worse = col("better"), col("worse")
        decided = col("value").is_null() | (col("value") > 0)
        return net(
            evidence.votes.where(col("kind") == kind).select(
                "prompt_id",
                when(better < worse, better).otherwise(worse).alias("low"),
                when(better < worse, worse).otherwise(better).alias("high"),
                when(~decided, lit(0)).when(better < worse, lit(1)).otherwise(lit(-1)).alias("sign"),
            )
        )

    return recipe


def ranking(evidence: Evidence, settings: Ranking) -> daft.DataFrame:
    """Answers that one person put in order; each ranking that holds both answers is one act about them."""
    window = Window().partition_by("prompt_id", "group").order_by("value")
    ranked = evidence.votes.where(col("kind") == "ranking").select(
        "prompt_id", "group", "response_id", "value", dense_rank().over(window).cast(DataType.int64()).alias("place")
    )
    right = ranked.select("prompt_id", "group", col("response_id").alias("high"), col("place").alias("high_place"))
    both = ranked.select("prompt_id", "group", col("response_id").alias("low"), col("place").alias("low_place"))
    both = both.join(right, on=["prompt_id", "group"], how="inner").where(col("low") < col("high"))
    gap = col("high_place") - col("low_place")
    if settings.which == "adjacent":
        both = both.where((gap <= 1) & (gap >= -1))
    if settings.which == "best_vs_rest":
        both = both.where((col("high_place") == 1) | (col("low_place") == 1))
    return net(both.select("prompt_id", "low", "high", sign(gap).alias("sign")))


def rating_margin(evidence: Evidence, settings: RatingMargin) -> daft.DataFrame:
    """Answers whose mean ratings differ."""
    rated = evidence.answers.where(col("ratings") >= settings.min_ratings).select("prompt_id", "response_id", "score", "ratings")
    both = couples(rated).where(col("low") < col("high"))
    gap = col("score") - col("other_score")
    margin = when(gap > 0, gap).otherwise(lit(0.0) - gap)
    reason = when(gap == 0, lit("tie")).when(margin < settings.min_margin, lit("below_margin")).otherwise(nothing())
    evidence_count = col("ratings") + col("other_ratings")
    return propose(both.with_column("gap", gap), gap > 0, margin, margin / 2.0 + 0.5, evidence_count, reason)


def thumb_contrast(evidence: Evidence, settings: ThumbContrast) -> daft.DataFrame:
    """An answer with more thumbs up than down against one with more down than up."""
    thumbs = evidence.answers.where((col("ups") + col("downs")) >= settings.min_votes)
    both = couples(thumbs.select("prompt_id", "response_id", "ups", "downs"))
    both = both.where((col("ups") > col("downs")) & (col("other_ups") < col("other_downs")))
    first, second = col("ups") + col("downs"), col("other_ups") + col("other_downs")
    margin = ((col("ups") - col("downs")) / first - (col("other_ups") - col("other_downs")) / second) / 2.0
    confidence = (col("ups") + col("other_downs") + 1) / (first + second + 2)
    return propose(both, lit(True), margin, confidence, first + second, nothing())


# Strongest evidence first: where two recipes contradict each other the earlier one holds, and of equal pairs it gives the one.
RECIPES: dict[str, Recipe] = {
    "edit": comparison("edit"),
    "choice": comparison("choice"),
    "ranking": ranking,
    "rating_margin": rating_margin,
    "thumb_contrast": thumb_contrast,
    "regeneration": comparison("regenerate"),
}


def net(acts: daft.DataFrame) -> daft.DataFrame:
    """Proposals from acts about two answers (prompt_id, low, high, sign: 1 for low, -1 for high, 0 for neither)."""
    one = DataType.int64()
    tallied = acts.select("prompt_id", "low", "high", (col("sign") > 0).cast(one).alias("up"), (col("sign") < 0).cast(one).alias("down"))
    counted = tallied.groupby("prompt_id", "low", "high").agg(
        col("up").sum(), col("down").sum().alias("down"), col("low").count().cast(one).alias("acts")
    )
    lead = when(col("up") > col("down"), col("up") - col("down")).otherwise(col("down") - col("up"))
    # (w + t/2 + 1) / (n + 2) with w - l = lead and w + l + t = n
    confidence = (lead + col("acts") + 2) / (col("acts") * 2 + 4)
    reason = when(lead == 0, lit("tie")).otherwise(nothing())
    return propose(counted, col("up") > col("down"), lead / col("acts"), confidence, col("acts"), reason)


def couples(answers: daft.DataFrame) -> daft.DataFrame:
    """Every two answers to one prompt, both ways round: `low` with its columns, `high` with them as `other_*`."""
    facts = [name for name in answers.column_names if name not in ("prompt_id", "response_id")]
    right = answers.select("prompt_id", col("response_id").alias("high"), *(col(name).alias(f"other_{name}") for name in facts))
    left = answers.select("prompt_id", col("response_id").alias("low"), *facts)
    return left.join(right, on="prompt_id", how="inner").where(col("low") != col("high"))


def propose(
    rows: daft.DataFrame, low_wins: Expression, margin: Expression, confidence: Expression, acts: Expression, reason: Expression
) -> daft.DataFrame:
    """Rows with `low` and `high` as proposals, without their recipe's name."""
    return rows.select(
        "prompt_id",
        when(low_wins, col("low")).otherwise(col("high")).alias("chosen_id"),
        when(low_wins, col("high")).otherwise(col("low")).alias("rejected_id"),
        margin.cast(DataType.float64()).alias("margin"),
        confidence.cast(DataType.float64()).alias("confidence"),
        acts.cast(DataType.int32()).alias("evidence"),
        reason.alias("dropped"),
    )


def sign(value: Expression) -> Expression:
    """1, 0 or -1."""
    return when(value > 0, lit(1)).when(value < 0, lit(-1)).otherwise(lit(0))


def nothing() -> Expression:
    """A null text."""
    return lit(None).cast(DataType.string())
