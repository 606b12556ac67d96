"""People's acts (feedback) to votes about answers, or to the reason why an act is no vote.

Which kinds there are, and how many turns each names, stands in `tasks.common.vocabulary.kinds`. An act is dropped for the first reason that
holds, in the order of `decide`; what each means stands in the vocabulary's reasons of `aggregate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import col, lit

from tasks.aggregate import prompt_ids
from tasks.common.arrays import Column, Mask, first_reason, flat, mask, struct
from tasks.common.vocabulary.kinds import CHOICE, COMPARE, JUDGE, MODEL, RANKING, RATING, REWRITE, REWRITES, SILENT, THUMB, VALUED, VOTED
from tasks.common.vocabulary.reasons import aggregate as why
from tasks.core import engine
from tasks.core.tables import TEXT

SLOTS = ("turn_id", "better", "worse")  # columns that name turns

VERDICT = pa.struct(
    [("fault", TEXT), ("prompt_id", TEXT), ("response_id", TEXT), ("grade", pa.float64()), ("better_id", TEXT), ("worse_id", TEXT)]
)


def named_turns(feedback: daft.DataFrame) -> daft.DataFrame:
    """One row a conversation: the turns that its feedback names."""
    slots = [feedback.select("conversation_id", col(slot).alias("judged")) for slot in SLOTS]
    named = slots[0].concat(slots[1]).concat(slots[2]).where(col("judged").not_null())
    return named.groupby("conversation_id").agg(col("judged").list_agg_distinct())


def judge(feedback: daft.DataFrame, judged: daft.DataFrame) -> daft.DataFrame:
    """Feedback with the columns of VERDICT; `judged` says what each named turn is (JUDGED, and its conversation)."""
    acts = feedback
    for slot in SLOTS:
        what = judged.select("conversation_id", col("turn_id").alias(slot), *(col(name).alias(f"{slot}_{name}") for name in FACTS))
        acts = acts.join(what, on=["conversation_id", slot], how="left")
    facts = [col(f"{slot}_{name}") for slot in SLOTS for name in FACTS]
    said = [col(name) for name in ("kind", "value", "scale_min", "scale_max", "label", "text", *SLOTS)]
    return acts.select(*feedback.column_names, decide(*said, *facts).unnest())


BAR = pa.scalar("|", TEXT)
FACTS = ("fault", "prompt_id", "response_id")
TURN_FAULTS = (why.NO_SUCH_TURN, why.DELETED_BRANCH, why.NOT_AN_ANSWER, why.NO_TEXT, why.NEEDS_MEDIA, why.NO_PROMPT)  # first ones first


@dataclass(frozen=True)
class Named:
    """What the acts say of one turn: its id, and what is known of it. Null where the act does not name one."""

    turn: pa.Array[Any]
    fault: pa.Array[Any]
    prompt: pa.Array[Any]
    response: pa.Array[Any]

    @classmethod
    def of(cls, turn: pa.Array[Any], fault: pa.Array[Any], prompt: pa.Array[Any], response: pa.Array[Any]) -> Named:
        """The columns as `judge` gives them; a turn of a conversation that is not there is no such turn."""
        unknown = pc.and_(pc.is_valid(turn), pc.and_(pc.is_null(fault), pc.is_null(prompt)))
        return cls(turn, pc.if_else(unknown, pa.scalar(why.NO_SUCH_TURN, TEXT), fault), prompt, response)

    def where(self, mask: Mask, other: Named) -> Named:
        """These, and others where the mask holds."""
        columns = ((self.turn, other.turn), (self.fault, other.fault), (self.prompt, other.prompt), (self.response, other.response))
        return Named(*(pc.if_else(pa.array(mask), theirs, ours) for ours, theirs in columns))


@engine.batch(VERDICT)
def decide(*columns: daft.Series) -> pa.Array[Any]:
    """The verdict on each act, in the order of columns that `judge` gives."""
    kind, value, worst, best, label, text, *rest = [column.to_arrow() for column in columns]
    one, better, worse = (Named.of(rest[slot], *rest[3 + 3 * slot : 6 + 3 * slot]) for slot in range(3))
    way = {name: mask(pc.is_in(kind, pa.array([k for k, w in VOTED.items() if w == name], TEXT))) for name in (JUDGE, COMPARE, REWRITE)}
    rewrite, two = way[REWRITE], ~way[JUDGE]
    # an edit names the answer that it starts from in `worse` or `turn_id`, and gives the other as a turn or as text
    base = one.where(way[COMPARE] | (rewrite & mask(pc.is_valid(worse.turn))), worse)
    typed = rewrite & mask(pc.is_null(better.turn))
    better = better.where(typed, written(base, text, typed))
    grade = grades(kind, *(numbers(column) for column in (value, worst, best)))
    same_answer = mask(pc.equal(better.response, base.response))
    fault = first_reason(
        (why.NOT_USED, mask(pc.is_in(kind, pa.array(SILENT, TEXT)))),
        (why.UNKNOWN_KIND, ~(way[JUDGE] | way[COMPARE] | rewrite)),
        *unsaid(kind, numbers(value), mask(pc.is_valid(label)), numbers(best) - numbers(worst)),
        (why.OFF_SCALE, np.isnan(grade)),
        (why.NO_TARGET, mask(pc.is_null(base.turn)) | (two & mask(pc.is_null(better.turn)) & ~typed)),
        *(
            (name, mask(pc.equal(base.fault, pa.scalar(name))) | (two & mask(pc.equal(better.fault, pa.scalar(name)))))
            for name in TURN_FAULTS
        ),
        (why.DIFFERENT_PROMPTS, two & ~mask(pc.equal(better.prompt, base.prompt))),
        (why.NO_CHANGE, rewrite & same_answer),
        (why.SAME_ANSWER, two & same_answer),
    )
    clear = pc.is_null(fault).to_numpy(zero_copy_only=False)
    kept = ((clear, base.prompt), (clear & ~two, one.response), (clear & two, better.response), (clear & two, base.response))
    prompt, response, good, bad = (pc.if_else(pa.array(where), column, pa.scalar(None, TEXT)) for where, column in kept)
    return struct(VERDICT, fault, prompt, response, pa.array(grade, from_pandas=True), good, bad)


def written(base: Named, text: pa.Array[Any], typed: Mask) -> Named:
    """The answers that edits give as text, where they are typed; elsewhere null."""
    said = pc.utf8_trim_whitespace(text).fill_null("")
    blank, places = mask(pc.equal(said, pa.scalar(""))) & typed, np.flatnonzero(typed & mask(pc.is_valid(base.prompt)))
    nothing = pa.nulls(len(text), TEXT)
    prompts = cast("list[str]", base.prompt.take(places).to_pylist())
    pairs = zip(prompts, text.take(places).to_pylist(), strict=True)
    ids = [prompt_ids.response_id(prompt, words) if words else None for prompt, words in pairs]
    response = pc.replace_with_mask(nothing, pa.array(np.isin(np.arange(len(text)), places)), pa.array(ids, TEXT))
    fault = pc.if_else(pa.array(blank), pa.scalar(why.NO_TEXT, TEXT), pa.scalar(None, TEXT))
    return Named(nothing, fault, base.prompt, response)


def unsaid(kind: pa.Array[Any], value: Column, worded: Mask, reach: Column) -> tuple[tuple[str, Mask], ...]:
    """Why an act's value cannot be read at all: what is missing is not put in. `reach` is the best value less the worst."""
    needed, missing = mask(pc.is_in(kind, pa.array(VALUED, TEXT))), np.isnan(value)
    no_scale = mask(pc.equal(kind, pa.scalar(RATING))) & ~(np.isfinite(reach) & (reach != 0))
    return (why.NO_VALUE, needed & missing & ~worded), (why.NO_SCALE, no_scale), (why.UNKNOWN_LABEL, needed & missing)


def grades(kind: pa.Array[Any], value: Column, worst: Column, best: Column) -> Column:
    """Values in the units of VOTE.value; NaN where the value is off its scale. Where 1 is best, `worst` is the greater end."""
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = ~((value < np.fmin(worst, best)) | (value > np.fmax(worst, best))) & np.isfinite(value)
        rating = np.where(inside & (best != worst), (value - worst) / (best - worst), np.nan)
        rank = np.where(inside & (value >= 0) & (np.floor(value) == value), value, np.nan)
    up, down = np.where(np.isnan(best), 1.0, best), np.where(np.isnan(worst), -1.0, worst)
    thumb = np.select([up == down, value == up, value == down], [np.nan, 1.0, -1.0], np.nan)
    choice = np.where(np.isin(value, (-1.0, 0.0, 1.0)), value, np.nan)
    found = {THUMB: thumb, CHOICE: choice, RATING: rating, RANKING: rank}
    return np.asarray(np.select([mask(pc.equal(kind, pa.scalar(name))) for name in found], list(found.values()), 1.0))


def numbers(column: pa.Array[Any]) -> Column:
    """Numbers as floats, NaN for null."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))


def latest(acts: daft.DataFrame) -> daft.DataFrame:
    """Acts with `fault` also where the same person said something later: for the answer, the pair, or the answer edited."""
    keyed = acts.with_columns({"about": about(*(col(name) for name in ABOUT)), "stamp": stamp(*(col(name) for name in STAMP))})
    last = keyed.groupby("about").agg(col("stamp").max().alias("last"))
    joined = keyed.join(last, on="about", how="left")
    gone = joined["fault"].is_null() & (joined["stamp"] != joined["last"])
    anonymous = (joined["kind"] == lit(RANKING)) & joined["annotator"].is_null()
    reason = daft.functions.when(gone & anonymous, why.SAME_ANSWER).when(gone, why.SUPERSEDED).otherwise(joined["fault"])
    return joined.with_column("fault", reason).exclude("about", "stamp", "last")


def turned(acts: daft.DataFrame) -> daft.DataFrame:
    """Acts with `fault` also where a person's thumb and rating of one answer say opposite things: the later of the two holds."""
    sided = acts.with_column("side", side(*(col(name) for name in SIDE)))
    said = sided.where(col("side") != lit(0)).select("annotator", "response_id", "kind", "side", "created_at")
    both = said.groupby("annotator", "response_id").agg(
        col("side").min().alias("low"), col("side").max().alias("high"), col("created_at").max().alias("last")
    )
    split = both.where(col("low") < col("high")).select("annotator", "response_id", "last")
    joined = sided.join(split, on=["annotator", "response_id"], how="left")
    gone = (joined["side"] != lit(0)) & joined["last"].not_null() & (joined["created_at"] < joined["last"])
    reason = daft.functions.when(gone.fill_null(False), why.SUPERSEDED).otherwise(joined["fault"])
    return joined.with_column("fault", reason).exclude("side", "last")


SIDE = ("fault", "kind", "annotator", "annotator_kind", "grade")


@engine.batch(pa.int8())
def side(*columns: daft.Series) -> pa.Array[Any]:
    """1 for a thumb up or a rating above the middle that counts, of a person who is known; -1 for the opposite; else 0."""
    fault, kind, person, by, grade = [column.to_arrow() for column in columns]
    value = numbers(grade) - np.where(mask(pc.equal(kind, pa.scalar(RATING))), 0.5, 0.0)
    counts = mask(pc.is_in(kind, pa.array([THUMB, RATING], TEXT))) & mask(pc.is_null(fault)) & mask(pc.is_valid(person))
    return pa.array(np.where(counts & mask(pc.not_equal(by, pa.scalar(MODEL))), np.sign(value), 0).astype(np.int8), pa.int8())


ABOUT = ("feedback_id", "fault", "kind", "annotator", "group", "response_id", "better_id", "worse_id")
STAMP = ("created_at", "kind", "grade", "feedback_id")


@engine.batch(TEXT)
def about(*columns: daft.Series) -> pa.Array[Any]:
    """What an act is about: acts with one value here are by one person, of one kind, on one thing."""
    act, fault, kind, person, group, response, better, worse = [column.to_arrow() for column in columns]
    pair = pc.binary_join_element_wise(pc.min_element_wise(better, worse), pc.max_element_wise(better, worse), BAR)
    thing = pc.if_else(pc.is_in(kind, pa.array(REWRITES, TEXT)), worse, pc.coalesce(response, pair))
    # nobody in particular: each act stands alone, but one ranking cannot place an answer twice
    who = pc.coalesce(person, pc.if_else(pc.equal(kind, pa.scalar(RANKING)), group, pa.scalar(None, TEXT)))
    key = pc.binary_join_element_wise(kind, who, thing, BAR)
    return flat(pc.if_else(pc.and_(pc.is_null(fault), pc.is_valid(key)), key, act))


@engine.batch(TEXT)
def stamp(*columns: daft.Series) -> pa.Array[Any]:
    """Text that sorts as the acts follow each other: time, then better rank, then id."""
    created, kind, grade, act = [column.to_arrow() for column in columns]
    times = pc.add(created.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).fill_null(0), 2**62)
    ranks = pc.if_else(pc.equal(kind, pa.scalar(RANKING)), grade.fill_null(0.0), 0.0)
    behind = pc.subtract(10**6, pc.min_element_wise(ranks, 10.0**6).cast(pa.int64()))
    told = pc.binary_join_element_wise(digits(times, 20), digits(behind, 8), act, BAR)  # type: ignore[call-overload]  # the stubs take no scalar beside arrays
    return cast("pa.Array[Any]", told)


def digits(whole: pa.Array[Any], width: int) -> pa.Array[Any]:
    """Whole numbers from 0 as text that sorts as they do."""
    return pc.utf8_lpad(whole.cast(TEXT), width, "0")
