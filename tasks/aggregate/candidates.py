"""Prompts, answers and votes to candidates: one row a distinct prompt. Joins and group-bys of the engine.

Lists come out of a group-by in no certain order, so the last step sorts every one of them.
"""

from __future__ import annotations

from collections.abc import Callable

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import DataType, Expression, col, lit
from daft.functions import coalesce, concat_ws, to_struct, when

from tasks.aggregate.votes import KINDS, REWRITES, VALUED
from tasks.common.arrays import Mask, distinct, flat, most_frequent, nest, owners, sorted_places, sorted_structs, starts, struct
from tasks.core import engine
from tasks.core.tables import JUDGE, NO_EVIDENCE, PART, RESPONSE, SIGNAL, TEXT, VOTE, Candidates

# What names a prompt's evidence, the strongest first: the kind of a person's act, or that there is only what is weaker than all of these.
EVIDENCE = {**{kind: kind for kind in (*KINDS, "retry")}, "thanks": SIGNAL, "complaint": SIGNAL}
BY_PERSON = col("annotator_kind") != "model"
PANEL = 3  # so many people who judge one conversation are a panel: a chat has one user, and perhaps somebody who looks after it
OTHERS = 5  # conversations of others; who judges more of them is a rater, whoever else judges these: they tie nothing, a rater's own do


def origin_text() -> Expression:
    """The struct column `origin` as "file:record:position"."""
    parts = [col("origin")[name].cast(DataType.string()) for name in ("file", "record", "position")]
    return concat_ws(":", *parts)


def votes_of(acts: daft.DataFrame) -> daft.DataFrame:
    """The acts that count, as rows of VOTE with their prompt."""
    # ranks without a group belong together where one person gave them, about one prompt
    one_persons_ranking = when(col("kind") == "ranking", col("annotator")).otherwise(lit(None))
    return acts.where(col("fault").is_null()).select(
        "prompt_id",
        "feedback_id",
        "kind",
        "response_id",
        when(col("better_id").is_null() | (col("kind") == "choice"), col("grade")).otherwise(lit(None)).alias("value"),
        coalesce(col("label"), when(col("kind").is_in(VALUED), col("value").cast(DataType.string())).otherwise(lit(None))).alias("raw"),
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
    typed = col("fault").is_null() & col("kind").is_in(REWRITES) & col("better").is_null()
    return acts.where(typed).select(
        "prompt_id",
        col("better_id").alias("response_id"),
        col("text").alias("content"),
        lit(None).cast(DataType.string()).alias("model"),
        lit(None).cast(DataType.string()).alias("turn"),
        when(BY_PERSON, lit("person")).otherwise(lit("model")).alias("written_by"),
    )


def responses(answers: daft.DataFrame, rewrites: daft.DataFrame, votes: daft.DataFrame) -> daft.DataFrame:
    """One row a prompt: its distinct answers as a list of RESPONSE; equal answers are one, with the first spelling by byte order."""
    turn = concat_ws("/", col("conversation_id"), col("turn_id")).alias("turn")
    told = answers.select("prompt_id", "response_id", "content", "model", turn, lit("model").alias("written_by"))
    merged = (
        told.concat(rewrites)
        .groupby("prompt_id", "response_id")
        .agg(
            col("content").min(),
            col("model").min(),
            col("turn").list_agg().alias("turns"),
            col("written_by").min(),  # "model" before "person"
        )
    )
    counted = merged.join(tallies(votes), on="response_id", how="left")
    number = {name: coalesce(col(name), lit(0)).cast(DataType.int32()) for name in ("ups", "downs", "ratings")}
    whole = counted.with_columns(number)
    return whole.groupby("prompt_id").agg(to_struct(*(col(name) for name in RESPONSE.names)).list_agg().alias("responses"))


def tallies(votes: daft.DataFrame) -> daft.DataFrame:
    """People's thumbs and ratings of each answer; those of judging models stay in the votes alone."""
    is_thumb, is_rating = col("kind") == "thumb", col("kind") == "rating"
    judged = votes.where((is_thumb | is_rating) & BY_PERSON).select(
        "response_id",
        (is_thumb & (col("value") > 0)).cast(DataType.int64()).alias("ups"),
        (is_thumb & (col("value") < 0)).cast(DataType.int64()).alias("downs"),
        is_rating.cast(DataType.int64()).alias("ratings"),
        # sums of floats depend on their order; whole millionths do not
        when(is_rating, (col("value") * 1_000_000).round(0).cast(DataType.int64())).otherwise(lit(0)).alias("millionths"),
    )
    summed = judged.groupby("response_id").agg(*(col(name).sum() for name in ("ups", "downs", "ratings", "millionths")))
    score = when(col("ratings") > 0, col("millionths") / col("ratings") / 1_000_000.0).otherwise(lit(None))
    return summed.select("response_id", "ups", "downs", "ratings", score.alias("score"))


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
    told = tidying(raters(places, votes))(*(col(name) for name in TOLD)).unnest()
    null = lit(None).cast(DataType.string())
    later = {"cluster_id": lit(""), "split": lit(""), "augmented_from": null, "augmenter": null, "weight": lit(1.0)}
    return rows.select("prompt_id", "prompt", told).with_columns(later).select(*Candidates.names())


TOLD = ("responses", "votes", "talks", "records", "language", "topic", "source")
MADE = {"responses", "votes", "conversations", "users", "parts", "language", "topic", "source", "evidence", "origins"}
TIDY = pa.schema([field for field in Candidates.schema() if field.name in MADE])


def raters(places: daft.DataFrame, votes: daft.DataFrame) -> pa.Array:
    """People who judge conversations in which others are known to chat, and not they, in more than OTHERS of them."""
    chats = places.select("conversation_id", col("users").alias("person")).explode("person").where(col("person").not_null())
    here = chats.distinct().to_arrow()
    judging = votes.where(BY_PERSON & col("annotator").not_null()).select(
        col("conversation").alias("conversation_id"), col("annotator").alias("person")
    )
    acts = judging.distinct().to_arrow()
    own, given = (pc.binary_join_element_wise(rows["conversation_id"], rows["person"], BAR) for rows in (here, acts))
    others = pc.and_(pc.is_in(acts["conversation_id"], here["conversation_id"]), pc.invert(pc.is_in(given, own)))
    counts = pc.value_counts(acts["person"].filter(others))
    return counts.field("values").filter(pc.greater(counts.field("counts"), OTHERS)).cast(TEXT)


BAR = pa.scalar("\x1f", TEXT)


def tidying(raters: pa.Array) -> Callable[..., Expression]:
    """What makes TIDY of TOLD."""

    @engine.batch(pa.struct(list(TIDY)))
    def tidy(*columns: daft.Series) -> pa.Array:
        """Lists sorted and without repeats, strata chosen, the strongest kind of evidence named."""
        given = {name: column.to_arrow() for name, column in zip(TOLD, columns, strict=True)}
        votes = sorted_structs(given["votes"], "feedback_id", VOTE)
        parts = parts_of(given["talks"], given["records"])
        made: dict[str, pa.Array] = {
            "responses": tidy_turns(sorted_structs(given["responses"], "response_id", RESPONSE)),
            "votes": votes,
            "parts": parts,
            **sources(parts, votes, raters),
            "evidence": strongest(votes),
            "topic": pc.fill_null(most_frequent(given["topic"]), ""),
            "language": pc.fill_null(most_frequent(given["language"]), "und"),
            "source": most_frequent(given["source"]),
        }
        return struct(pa.struct(list(TIDY)), *(made[name] for name in TIDY.names))

    return tidy


def parts_of(talks: pa.Array, records: pa.Array) -> pa.LargeListArray:
    """Each prompt's PARTs, sorted, once each: who chatted in which conversation, and which records of it hold answers."""
    chats, held = pc.list_flatten(talks), pc.list_flatten(records)
    chatters = pc.struct_field(chats, "users")
    talk = owners(chatters)
    chatting = pa.table(
        {
            "owner": owners(talks)[talk],
            "conversation": pc.struct_field(chats, "conversation").take(pa.array(talk)),
            "user": pc.list_flatten(chatters),
            "origin": pa.nulls(len(talk), TEXT),
        }
    )
    fields = {name: pc.struct_field(held, name) for name in ("conversation", "origin")}
    holding = pa.table({"owner": owners(records), "user": pa.nulls(len(held), TEXT), **fields}).select(chatting.column_names)
    table = pa.concat_tables([chatting.filter(pc.is_valid(chatting["user"])), holding])
    table = table.take(sorted_places(*table.columns)).combine_chunks()
    table = table.filter(pa.array(starts(*(flat(column) for column in table.columns))))
    return nest(table["owner"].to_numpy(), len(talks), struct(PART, *(table[name] for name in PART.names)))


def sources(parts: pa.LargeListArray, votes: pa.LargeListArray, raters: pa.Array) -> dict[str, pa.Array]:
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


def by_outsiders(votes: pa.LargeListArray) -> Mask:
    """Votes by judging models, or by a panel: such judges see conversations of all people, and tie nothing."""
    vote = votes.values
    person = pc.equal(pc.struct_field(vote, "annotator_kind"), "person").to_numpy(zero_copy_only=False)
    talk, judge = (
        pc.fill_null(pc.struct_field(vote, name).dictionary_encode().indices, -1).to_numpy().astype(np.int64) + 1
        for name in ("conversation", "annotator")
    )
    talk = np.unique(owners(votes) * (int(talk.max(initial=0)) + 1) + talk, return_inverse=True)[1]
    width = int(judge.max(initial=0)) + 1
    judges = np.unique((talk * width + judge)[person & (judge > 0)]) // width
    return np.asarray(~person | (np.bincount(judges, minlength=int(talk.max(initial=0)) + 1)[talk] >= PANEL))


def tidy_turns(lists: pa.LargeListArray) -> pa.LargeListArray:
    """Responses with their own list of turns sorted, nulls gone (an edit has no turn)."""
    values = lists.values
    turns = pc.struct_field(values, "turns")
    tidied = distinct(owners(turns), len(values), pc.list_flatten(turns))
    fields = [tidied if field.name == "turns" else pc.struct_field(values, field.name) for field in RESPONSE]
    return pa.LargeListArray.from_arrays(lists.offsets, struct(RESPONSE, *fields))


def strongest(votes: pa.LargeListArray) -> pa.Array:
    """The first of EVIDENCE among each list's votes; JUDGE where only models voted, NO_EVIDENCE where nobody did."""
    order = pa.array([*EVIDENCE.values(), JUDGE, NO_EVIDENCE], TEXT)
    kinds = pc.index_in(pc.struct_field(votes.values, "kind"), pa.array(list(EVIDENCE), TEXT))
    by_model = pc.equal(pc.struct_field(votes.values, "annotator_kind"), "model")
    place = pc.if_else(by_model, pa.scalar(len(EVIDENCE), pa.int32()), kinds)
    best = np.full(len(votes), len(order) - 1)
    np.minimum.at(best, owners(votes), place.to_numpy(zero_copy_only=False))
    return order.take(pa.array(best))
