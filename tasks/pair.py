"""Stage `pair`: from candidates to preferences (pairs), liked and disliked answers (unpaired) and prompts to practise on (prompts).

In: candidates. Out: the three tables. Pairs come from the named recipes of `tasks.evidence.recipes`, each of which reads one kind of
evidence; `tasks.evidence.resolve` decides between them. What was proposed and did not become a pair is in the dropped rows of pairs, with
the reason. An answer is liked or disliked (unpaired) by its thumbs and its mean rating; dropped there are `middle` (no clear
side) and `contradicted` (thumbs say one thing, ratings the other). Every prompt that people wrote is in prompts; variants are not. A
candidate is dropped as `no_pair` when it gives no row at all: a variant without pairs.
"""

from __future__ import annotations

import daft
import pyarrow as pa
from daft import DataType, Expression, col, lit
from daft.functions import coalesce, to_struct, when
from pydantic import Field

from tasks.core import engine
from tasks.core.engine import Tables
from tasks.core.ids import stable_id
from tasks.core.params import StageParams
from tasks.core.tables import RESPONSE, TEXT, VOTE, Pairs, Prompts, Unpaired
from tasks.evidence import identity, recipes
from tasks.evidence.recipes import RECIPES, Evidence, nothing
from tasks.evidence.resolve import resolve

WRITES = ("pairs", "unpaired", "prompts")


class Clear(StageParams):
    """When an answer counts as liked or disliked."""

    min_votes: int = Field(ge=1)  # thumbs for one side beyond those for the other
    min_distance: float = Field(gt=0, le=0.5)  # of the mean rating (0..1) from the middle


class Params(StageParams):
    """Parameters of `pair`: one key a recipe, and what is common to all."""

    edit: recipes.Switch
    choice: recipes.Switch
    ranking: recipes.Ranking
    rating_margin: recipes.RatingMargin
    thumb_contrast: recipes.ThumbContrast
    regeneration: recipes.Switch
    max_pairs_per_prompt: int = Field(ge=1)
    unpaired: Clear


def run(tables: Tables, params: Params) -> Tables:
    """Pairs, unpaired and prompts from candidates."""
    candidates = tables["candidates"]
    answers = unfold(candidates, "responses", RESPONSE)
    decided = decide(candidates, answers, params)
    pairs = write_out(decided, candidates, answers)
    unpaired = sides(candidates, answers, params.unpaired).collect()
    giving = decided.select("prompt_id", "dropped").concat(unpaired.select("prompt_id", "dropped"))
    giving = giving.where(col("dropped").is_null()).select("prompt_id").distinct().with_column("gives", lit(True))
    accounted = candidates.join(giving, on="prompt_id", how="left")
    idle = col("augmented_from").not_null() & col("gives").is_null()
    return {
        "pairs": pairs,
        "unpaired": unpaired,
        "prompts": candidates.where(col("augmented_from").is_null()).select(*Prompts.names()),
        "candidates": accounted.with_column("dropped", when(idle, lit("no_pair")).otherwise(nothing())).exclude("gives"),
    }


def unfold(candidates: daft.DataFrame, name: str, kind: pa.StructType) -> daft.DataFrame:
    """A list column of candidates, one row an element, with its prompt."""
    rows = candidates.select("prompt_id", name).where(col(name).length() > 0).explode(name)
    return rows.select("prompt_id", *(col(name)[field.name].alias(field.name) for field in kind))


def decide(candidates: daft.DataFrame, answers: daft.DataFrame, params: Params) -> daft.DataFrame:
    """All proposals of all recipes that are on, each with the reason why it is no pair, or null."""
    evidence = Evidence(unfold(candidates, "votes", VOTE), answers)
    proposed = daft.from_arrow(recipes.PROPOSAL.empty_table())
    for name, recipe in RECIPES.items():
        settings: recipes.Switch = getattr(params, name)
        if settings.use:
            proposals = recipe(evidence, settings).with_column("recipe", lit(name))
            proposed = proposed.concat(proposals.select(*recipes.PROPOSAL.names))
    proposed = proposed.collect()
    asked = candidates.join(proposed.select("prompt_id").distinct(), on="prompt_id", how="semi")
    augmented = col("augmented_from").not_null()
    texts = asked.select(
        "prompt_id", augmented.alias("augmented"), when(augmented, prompt_key(col("prompt"))).otherwise(col("prompt_id")).alias("text_key")
    )
    keyed = proposed.join(texts, on="prompt_id", how="inner")
    for side in ("chosen", "rejected"):
        keyed = keyed.join(side_of(answers, side).exclude(f"{side}_model"), on=["prompt_id", f"{side}_id"], how="inner")
        keyed = keyed.with_column(f"{side}_key", text_key(col(side))).exclude(side)
    keyed = keyed.with_column("pair_id", name_rows(*(col(part) for part in ("prompt_id", "chosen_id", "rejected_id", "recipe"))))
    return daft.from_arrow(resolve(keyed.to_arrow(), params.max_pairs_per_prompt))


def side_of(answers: daft.DataFrame, side: str) -> daft.DataFrame:
    """Answers under the names of one side of a pair."""
    return answers.select(
        "prompt_id", col("response_id").alias(f"{side}_id"), col("content").alias(side), col("model").alias(f"{side}_model")
    )


def write_out(decided: daft.DataFrame, candidates: daft.DataFrame, answers: daft.DataFrame) -> daft.DataFrame:
    """The pairs table, with the dropped proposals."""
    rows = decided.select("pair_id", *recipes.PROPOSAL.names)
    for side in ("chosen", "rejected"):
        rows = rows.join(side_of(answers, side), on=["prompt_id", f"{side}_id"], how="inner")
        rows = rows.with_column(side, as_messages(col(side)))
    about = [name for name in Pairs.names() if name in candidates.column_names]
    return rows.join(candidates.select(*about), on="prompt_id", how="inner").select(*Pairs.names(), "dropped")


def sides(candidates: daft.DataFrame, answers: daft.DataFrame, clear: Clear) -> daft.DataFrame:
    """The unpaired table: answers with thumbs or ratings, and which side they are on."""
    judged = answers.where((col("ups") + col("downs") + col("ratings")) > 0)
    lead = col("ups") - col("downs")
    by_thumbs = when(lead >= clear.min_votes, lit(1)).when(lead <= -clear.min_votes, lit(-1)).otherwise(lit(0))
    distance = coalesce(col("score"), lit(0.5)) - 0.5
    by_ratings = when(distance >= clear.min_distance, lit(1)).when(distance <= -clear.min_distance, lit(-1)).otherwise(lit(0))
    sided = judged.with_columns({"by_thumbs": by_thumbs, "by_ratings": by_ratings})
    side = col("by_thumbs") + col("by_ratings")
    against = (col("by_thumbs") * col("by_ratings")) < 0
    rows = sided.select(
        name_rows(col("prompt_id"), col("response_id")).alias("example_id"),
        "prompt_id",
        as_messages(col("content")).alias("completion"),
        (side > 0).alias("label"),
        (col("ups") + col("downs") + col("ratings")).cast(DataType.int32()).alias("evidence"),
        "model",
        when(against, lit("contradicted")).when(side == 0, lit("middle")).otherwise(nothing()).alias("dropped"),
    )
    about = [name for name in Unpaired.names() if name in candidates.column_names and name != "evidence"]
    return rows.join(candidates.select(*about), on="prompt_id", how="inner").select(*Unpaired.names(), "dropped")


def as_messages(content: Expression) -> Expression:
    """An answer as a list of one message."""
    return daft.functions.to_list(to_struct(role=lit("assistant"), content=content))


@engine.batch(TEXT)
def text_key(contents: daft.Series) -> pa.Array:
    """A short key that is equal where answers are (see `identity.fold`)."""
    return pa.array([identity.response_id("", text) for text in contents.to_pylist()], TEXT)


@engine.batch(TEXT)
def prompt_key(prompts: daft.Series) -> pa.Array:
    """A key that is equal where prompts are; for people's own prompts it is the prompt_id."""
    return pa.array([identity.prompt_id(messages) for messages in prompts.to_pylist()], TEXT)


@engine.batch(TEXT)
def name_rows(*parts: daft.Series) -> pa.Array:
    """`stable_id` of the parts, row by row."""
    return pa.array([stable_id(*row) for row in zip(*(part.to_pylist() for part in parts), strict=True)], TEXT)
