"""Prompts, answers and votes to candidates: one row a distinct prompt. Joins and group-bys of the engine.

Lists come out of a group-by in no certain order, so the last step sorts every one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import daft
import pyarrow as pa
import pyarrow.compute as pc
from daft import DataType, Expression, col, lit
from daft.functions import coalesce, concat_ws, to_struct, when

from tasks.common.arrays import distinct, flat, most_frequent, nest, owners, sorted_places, sorted_structs, starts, struct
from tasks.common.candidate_sums import BY_PERSON, sources, strongest, vote_sums
from tasks.common.vocabulary.kinds import (
    CHOICE,
    MODEL,
    PERSON,
    RANKING,
    REWRITES,
    VALUED,
)
from tasks.core import engine
from tasks.core.tables import PART, RESPONSE, TEXT, VOTE, Candidates

OTHERS = 5  # conversations of others; who judges more of them is a rater, whoever else judges these: they tie nothing, a rater's own do


def origin_text() -> Expression:
    """The struct column `origin` as "file:record:position"."""
    parts = [col("origin")[name].cast(DataType.string()) for name in ("file", "record", "position")]
    return concat_ws(":", *parts)


def votes_of(acts: daft.DataFrame) -> daft.DataFrame:
    """The acts that count, as rows of VOTE with their prompt."""
    # ranks without a group belong together where one person gave them, about one prompt
    one_persons_ranking = when(col("kind") == lit(RANKING), col("annotator")).otherwise(lit(None))
    return acts.where(col("fault").is_null()).select(
        "prompt_id",
        "feedback_id",
        "kind",
        "response_id",
        when(col("better_id").is_null() | (col("kind") == lit(CHOICE)), col("grade")).otherwise(lit(None)).alias("value"),
        coalesce(col("label"), when(col("kind").is_in([*VALUED]), col("value").cast(DataType.string())).otherwise(lit(None))).alias("raw"),
        "scale_min",
        "scale_max",
        col("better_id").alias("better"),
        col("worse_id").alias("worse"),
        when(col("shown_first") == col("better"), col("better_id"))
        .when(col("shown_first") == col("worse"), col("worse_id"))
        .otherwise(lit(None))
        .alias("shown_first"),
        "annotator",
        "annotator_kind",
        "reliability",
        coalesce(col("group"), one_persons_ranking, col("feedback_id")).alias("group"),
        col("conversation_id").alias("conversation"),
        "created_at",
        origin_text().alias("origin"),
    )


def rewrites_of(acts: daft.DataFrame) -> daft.DataFrame:
    """Answers that people, or judging models, wrote: the texts of edits and corrections that count."""
    typed = col("fault").is_null() & col("kind").is_in([*REWRITES]) & col("better").is_null()
    return acts.where(typed).select(
        "prompt_id",
        col("better_id").alias("response_id"),
        col("text").alias("content"),
        lit(None).cast(DataType.string()).alias("model"),
        lit(None).cast(DataType.string()).alias("turn"),
        when(BY_PERSON, lit(PERSON)).otherwise(lit(MODEL)).alias("written_by"),
    )


def responses(answers: daft.DataFrame, rewrites: daft.DataFrame, votes: daft.DataFrame) -> daft.DataFrame:
    """One row a prompt: its distinct answers as a list of RESPONSE; equal answers are one, with the first spelling by byte order."""
    turn = concat_ws("/", col("conversation_id"), col("turn_id")).alias("turn")
    given_answers = answers.select("prompt_id", "response_id", "content", MODEL, turn, lit(MODEL).alias("written_by"))
    merged = (
        given_answers.concat(rewrites)
        .groupby("prompt_id", "response_id")
        .agg(
            col("content").min(),
            col("model").min(),
            col("turn").list_agg().alias("turns"),
            col("written_by").min(),  # "model" before "person"
        )
    )
    counted = merged.join(vote_sums(votes), on="response_id", how="left")
    number = {name: coalesce(col(name), lit(0)).cast(DataType.int32()) for name in ("ups", "downs", "ratings")}
    whole = counted.with_columns(number)
    return whole.groupby("prompt_id").agg(to_struct(*(col(name) for name in RESPONSE.names)).list_agg().alias("responses"))


def prompts(places: daft.DataFrame) -> daft.DataFrame:
    """One row a prompt: the messages as its first place spells them, and what its places say of strata and people."""
    key = concat_ws("/", col("conversation_id"), col("turn_id"))
    keyed = places.with_column("place", key)
    grouped = keyed.groupby("prompt_id").agg(
        col("place").min(),
        to_struct(col("conversation_id").alias("conversation"), col("users")).list_agg().alias("talks"),
        *(col(name).list_agg() for name in ("language", "topic", "source")),
    )
    return grouped.join(keyed.select("place", "prompt"), on="place", how="inner").exclude("place")


def candidates(places: daft.DataFrame, answers: daft.DataFrame, acts: daft.DataFrame) -> daft.DataFrame:
    """The candidates table."""
    votes = votes_of(acts)
    ballots = votes.groupby("prompt_id").agg(to_struct(*(col(name) for name in VOTE.names)).list_agg().alias("votes"))
    held = answers.select("prompt_id", col("conversation_id").alias("conversation"), origin_text().alias("origin"))
    records = held.groupby("prompt_id").agg(to_struct(col("conversation"), col("origin")).list_agg().alias("records"))
    rows = prompts(places)
    for part in (responses(answers, rewrites_of(acts), votes), ballots, records):
        rows = rows.join(part, on="prompt_id", how="left")
    given_answers = list_tidier(raters(places, votes))(*(col(name) for name in TOLD)).unnest()
    null = lit(None).cast(DataType.string())
    later = {"cluster_id": lit(""), "split": lit(""), "augmented_from": null, "augmenter": null, "weight": lit(1.0)}
    return rows.select("prompt_id", "prompt", given_answers).with_columns(later).select(*Candidates.names())


TOLD = ("responses", "votes", "talks", "records", "language", "topic", "source")
MADE = {"responses", "votes", "conversations", "users", "parts", "language", "topic", "source", "evidence", "origins"}
TIDY = pa.schema([field for field in Candidates.schema() if field.name in MADE])


def raters(places: daft.DataFrame, votes: daft.DataFrame) -> pa.Array[Any]:
    """People who judge conversations in which others are known to chat, and not they, in more than OTHERS of them."""
    chats = places.select("conversation_id", col("users").alias("person")).explode("person").where(col("person").not_null())
    here = chats.distinct().to_arrow()
    judging = votes.where(BY_PERSON & col("annotator").not_null()).select(
        col("conversation").alias("conversation_id"), col("annotator").alias("person")
    )
    acts = judging.distinct().to_arrow()
    own, given = (pc.binary_join_element_wise(rows["conversation_id"], rows["person"], BAR) for rows in (here, acts))  # type: ignore[call-overload]  # the stubs take no scalar beside arrays
    others = pc.and_(pc.is_in(acts["conversation_id"], here["conversation_id"]), pc.invert(pc.is_in(given, own)))
    counts = pc.value_counts(acts["person"].filter(others))
    return counts.field("values").filter(pc.greater(counts.field("counts"), pa.scalar(OTHERS))).cast(TEXT)


BAR = pa.scalar("\x1f", TEXT)


def list_tidier(raters: pa.Array[Any]) -> Callable[..., Expression]:
    """What makes TIDY of TOLD."""

    @engine.batch(pa.struct(list(TIDY)))
    def tidy(*columns: daft.Series) -> pa.Array[Any]:
        """Lists sorted and without repeats, strata chosen, the strongest kind of evidence named."""
        given = {name: column.to_arrow() for name, column in zip(TOLD, columns, strict=True)}
        votes = sorted_structs(given["votes"], "feedback_id", VOTE)
        parts = parts_of(given["talks"], given["records"])
        made: dict[str, pa.Array[Any]] = {
            "responses": tidy_turns(sorted_structs(given["responses"], "response_id", RESPONSE)),
            "votes": votes,
            "parts": parts,
            **sources(parts, votes, raters),
            "evidence": strongest(votes),
            "topic": most_frequent(given["topic"]).fill_null(""),
            "language": most_frequent(given["language"]).fill_null("und"),
            "source": most_frequent(given["source"]),
        }
        return struct(pa.struct(list(TIDY)), *(made[name] for name in TIDY.names))

    return tidy


def parts_of(talks: pa.Array[Any], records: pa.Array[Any]) -> pa.LargeListArray[Any]:
    """Each prompt's PARTs, sorted, once each: who chatted in which conversation, and which records of it hold answers."""
    chats, held = pc.list_flatten(talks), pc.list_flatten(records)
    chatters = pc.struct_field(chats, "users")
    talk = owners(chatters)
    chatting = pa.Table.from_pydict(
        {
            "owner": owners(talks)[talk],
            "conversation": pc.struct_field(chats, "conversation").take(talk),
            "user": pc.list_flatten(chatters),
            "origin": pa.nulls(len(talk), TEXT),
        }
    )
    fields = {name: pc.struct_field(held, name) for name in ("conversation", "origin")}
    holding = pa.Table.from_pydict({"owner": owners(records), "user": pa.nulls(len(held), TEXT), **fields}).select(chatting.column_names)
    table = pa.concat_tables([chatting.filter(pc.is_valid(chatting["user"])), holding])
    table = table.take(sorted_places(*table.columns)).combine_chunks()
    table = table.filter(pa.array(starts(*(flat(column) for column in table.columns))))
    return nest(table["owner"].to_numpy(), len(talks), struct(PART, *(table[name] for name in PART.names)))


def tidy_turns(lists: pa.LargeListArray[Any]) -> pa.LargeListArray[Any]:
    """Responses with their own list of turns sorted, nulls gone (an edit has no turn)."""
    values = lists.values
    turns = pc.struct_field(values, "turns")
    tidied = distinct(owners(turns), len(values), pc.list_flatten(turns))
    fields = [tidied if field.name == "turns" else pc.struct_field(values, field.name) for field in RESPONSE]
    return pa.LargeListArray.from_arrays(lists.offsets, struct(RESPONSE, *fields))
