"""People's acts (feedback) to votes about answers, or to the reason why an act is no vote.

Which kinds there are, what each must say, and which turns it names, stands in KINDS. An act is dropped for
the first of these reasons that holds:

    unknown_kind     a kind that is not in KINDS nor in SILENT
    not_used         a kind that says nothing of preference (SILENT): a copied or shared answer, a report
    no_value         a kind that needs a value has none
    no_scale         a rating whose scale is not known: no ends, or ends that are equal
    unknown_label    the value came in words that the kind, or its scale, does not know
    off_scale        a value that the kind, or the scale it came with, does not know
    no_target        it names no turn, or one where two are needed
    no_such_turn     its conversation does not have the turn named
    deleted_branch   the turn is there, but not all turns from the root to it are
    not_an_answer    the turn named is not an assistant's
    no_text          an answer, or an edit, without a text
    needs_media      the answer, or what was asked, is about a picture or a file, and those are not in the release (`aggregate.media`)
    no_prompt        the answer has no usable prompt (see `trees.answers_of`)
    different_prompts  the two answers compared do not answer the same prompt
    no_change        an edit that changes case and spacing at most
    same_answer      the two answers compared are one, or one person ranked one answer twice at once
    superseded       the same person said something later about the same answer with the same kind of act, or, by thumb and rating, the
                     opposite
"""

from __future__ import annotations

from dataclasses import dataclass

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import col

from tasks.aggregate import prompt_ids
from tasks.common.arrays import Column, Mask, flat, struct
from tasks.core import engine
from tasks.core.tables import TEXT

JUDGE, COMPARE, REWRITE = "judge", "compare", "rewrite"  # names an answer; names two; names one and gives the other
KINDS = {  # strongest first
    "correction": REWRITE,
    "edit": REWRITE,
    "choice": COMPARE,
    "ranking": JUDGE,
    "rating": JUDGE,
    "thumb": JUDGE,
    "regenerate": COMPARE,
}
VALUED = ("choice", "ranking", "rating", "thumb")  # kinds that need a value; what the value of another kind says is not known
REWRITES = tuple(name for name, way in KINDS.items() if way == REWRITE)
SILENT = ("comment", "copy", "report", "share")  # a report is about harm or law as often as about quality: not mixed with thumbs
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
TURN_FAULTS = ("no_such_turn", "deleted_branch", "not_an_answer", "no_text", "needs_media", "no_prompt")  # first ones first


@dataclass(frozen=True)
class Named:
    """What the acts say of one turn: its id, and what is known of it. Null where the act does not name one."""

    turn: pa.Array
    fault: pa.Array
    prompt: pa.Array
    response: pa.Array

    @classmethod
    def of(cls, turn: pa.Array, fault: pa.Array, prompt: pa.Array, response: pa.Array) -> Named:
        """The columns as `judge` gives them; a turn of a conversation that is not there is no such turn."""
        unknown = pc.and_(pc.is_valid(turn), pc.and_(pc.is_null(fault), pc.is_null(prompt)))
        return cls(turn, pc.if_else(unknown, pa.scalar("no_such_turn", TEXT), fault), prompt, response)

    def where(self, mask: Mask, other: Named) -> Named:
        """These, and others where the mask holds."""
        columns = ((self.turn, other.turn), (self.fault, other.fault), (self.prompt, other.prompt), (self.response, other.response))
        return Named(*(pc.if_else(pa.array(mask), theirs, ours) for ours, theirs in columns))


@engine.batch(VERDICT)
def decide(*columns: daft.Series) -> pa.Array:
    """The verdict on each act, in the order of columns that `judge` gives."""
    kind, value, worst, best, label, text, *rest = [column.to_arrow() for column in columns]
    one, better, worse = (Named.of(rest[slot], *rest[3 + 3 * slot : 6 + 3 * slot]) for slot in range(3))
    way = {name: mask(pc.is_in(kind, pa.array([k for k, w in KINDS.items() if w == name], TEXT))) for name in (JUDGE, COMPARE, REWRITE)}
    rewrite, two = way[REWRITE], ~way[JUDGE]
    # an edit names the answer that it starts from in `worse` or `turn_id`, and gives the other as a turn or as text
    base = one.where(way[COMPARE] | (rewrite & mask(pc.is_valid(worse.turn))), worse)
    typed = rewrite & mask(pc.is_null(better.turn))
    better = better.where(typed, written(base, text, typed))
    grade = grades(kind, *(numbers(column) for column in (value, worst, best)))
    same_answer = mask(pc.equal(better.response, base.response))
    fault = first_fault(
        ("not_used", mask(pc.is_in(kind, pa.array(SILENT, TEXT)))),
        ("unknown_kind", ~(way[JUDGE] | way[COMPARE] | rewrite)),
        *unsaid(kind, numbers(value), mask(pc.is_valid(label)), numbers(best) - numbers(worst)),
        ("off_scale", np.isnan(grade)),
        ("no_target", mask(pc.is_null(base.turn)) | (two & mask(pc.is_null(better.turn)) & ~typed)),
        *((why, mask(pc.equal(base.fault, why)) | (two & mask(pc.equal(better.fault, why)))) for why in TURN_FAULTS),
        ("different_prompts", two & ~mask(pc.equal(better.prompt, base.prompt))),
        ("no_change", rewrite & same_answer),
        ("same_answer", two & same_answer),
    )
    clear = pc.is_null(fault).to_numpy(zero_copy_only=False)
    kept = ((clear, base.prompt), (clear & ~two, one.response), (clear & two, better.response), (clear & two, base.response))
    prompt, response, good, bad = (pc.if_else(pa.array(where), column, pa.scalar(None, TEXT)) for where, column in kept)
    return struct(VERDICT, fault, prompt, response, pa.array(grade, from_pandas=True), good, bad)


def written(base: Named, text: pa.Array, typed: Mask) -> Named:
    """The answers that edits give as text, where they are typed; elsewhere null."""
    said = pc.fill_null(pc.utf8_trim_whitespace(text), "")
    blank, places = mask(pc.equal(said, "")) & typed, np.flatnonzero(typed & mask(pc.is_valid(base.prompt)))
    nothing = pa.nulls(len(text), TEXT)
    at = pa.array(places)
    pairs = zip(base.prompt.take(at).to_pylist(), text.take(at).to_pylist(), strict=True)
    ids = [prompt_ids.response_id(prompt, words) if words else None for prompt, words in pairs]
    response = pc.replace_with_mask(nothing, pa.array(np.isin(np.arange(len(text)), places)), pa.array(ids, TEXT))
    fault = pc.if_else(pa.array(blank), pa.scalar("no_text", TEXT), pa.scalar(None, TEXT))
    return Named(nothing, fault, base.prompt, response)


def first_fault(*reasons: tuple[str, Mask]) -> pa.Array:
    """For each act the first reason that holds, or null."""
    fault = np.full(len(reasons[0][1]), -1)
    for number, (_, holds) in enumerate(reasons):
        fault[holds & (fault < 0)] = number
    return pa.array([reason for reason, _ in reasons], TEXT).take(pa.array(fault, mask=fault < 0))


def unsaid(kind: pa.Array, value: Column, worded: Mask, reach: Column) -> tuple[tuple[str, Mask], ...]:
    """Why an act's value cannot be read at all: what is missing is not put in. `reach` is the best value less the worst."""
    needed, missing = mask(pc.is_in(kind, pa.array(VALUED, TEXT))), np.isnan(value)
    no_scale = mask(pc.equal(kind, "rating")) & ~(np.isfinite(reach) & (reach != 0))
    return ("no_value", needed & missing & ~worded), ("no_scale", no_scale), ("unknown_label", needed & missing)


def grades(kind: pa.Array, value: Column, worst: Column, best: Column) -> Column:
    """Values in the units of VOTE.value; NaN where the value is off its scale. Where 1 is best, `worst` is the greater end."""
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = ~((value < np.fmin(worst, best)) | (value > np.fmax(worst, best))) & np.isfinite(value)
        rating = np.where(inside & (best != worst), (value - worst) / (best - worst), np.nan)
        rank = np.where(inside & (value >= 0) & (np.floor(value) == value), value, np.nan)
    up, down = np.where(np.isnan(best), 1.0, best), np.where(np.isnan(worst), -1.0, worst)
    thumb = np.select([up == down, value == up, value == down], [np.nan, 1.0, -1.0], np.nan)
    choice = np.where(np.isin(value, (-1.0, 0.0, 1.0)), value, np.nan)
    found = {"thumb": thumb, "choice": choice, "rating": rating, "ranking": rank}
    return np.asarray(np.select([mask(pc.equal(kind, name)) for name in found], list(found.values()), 1.0))


def mask(holds: pa.Array) -> Mask:
    """Truth values as a mask; null is false."""
    return np.asarray(pc.fill_null(holds, False).to_numpy(zero_copy_only=False))


def numbers(column: pa.Array) -> Column:
    """Numbers as floats, NaN for null."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))


def latest(acts: daft.DataFrame) -> daft.DataFrame:
    """Acts with `fault` also where the same person said something later: for the answer, the pair, or the answer edited."""
    keyed = acts.with_columns({"about": about(*(col(name) for name in ABOUT)), "stamp": stamp(*(col(name) for name in STAMP))})
    last = keyed.groupby("about").agg(col("stamp").max().alias("last"))
    joined = keyed.join(last, on="about", how="left")
    gone = joined["fault"].is_null() & (joined["stamp"] != joined["last"])
    anonymous = (joined["kind"] == "ranking") & joined["annotator"].is_null()
    reason = daft.functions.when(gone & anonymous, "same_answer").when(gone, "superseded").otherwise(joined["fault"])
    return joined.with_column("fault", reason).exclude("about", "stamp", "last")


def turned(acts: daft.DataFrame) -> daft.DataFrame:
    """Acts with `fault` also where a person's thumb and rating of one answer say opposite things: the later of the two holds."""
    sided = acts.with_column("side", side(*(col(name) for name in SIDE)))
    said = sided.where(col("side") != 0).select("annotator", "response_id", "kind", "side", "created_at")
    both = said.groupby("annotator", "response_id").agg(
        col("side").min().alias("low"), col("side").max().alias("high"), col("created_at").max().alias("last")
    )
    split = both.where(col("low") < col("high")).select("annotator", "response_id", "last")
    joined = sided.join(split, on=["annotator", "response_id"], how="left")
    gone = (joined["side"] != 0) & joined["last"].not_null() & (joined["created_at"] < joined["last"])
    reason = daft.functions.when(gone.fill_null(False), "superseded").otherwise(joined["fault"])
    return joined.with_column("fault", reason).exclude("side", "last")


SIDE = ("fault", "kind", "annotator", "annotator_kind", "grade")


@engine.batch(pa.int8())
def side(*columns: daft.Series) -> pa.Array:
    """1 for a thumb up or a rating above the middle that counts, of a person who is known; -1 for the opposite; else 0."""
    fault, kind, person, by, grade = [column.to_arrow() for column in columns]
    value = numbers(grade) - np.where(mask(pc.equal(kind, "rating")), 0.5, 0.0)
    counts = mask(pc.is_in(kind, pa.array(["thumb", "rating"], TEXT))) & mask(pc.is_null(fault)) & mask(pc.is_valid(person))
    return pa.array(np.where(counts & mask(pc.not_equal(by, "model")), np.sign(value), 0).astype(np.int8), pa.int8())


ABOUT = ("feedback_id", "fault", "kind", "annotator", "group", "response_id", "better_id", "worse_id")
STAMP = ("created_at", "kind", "grade", "feedback_id")


@engine.batch(TEXT)
def about(*columns: daft.Series) -> pa.Array:
    """What an act is about: acts with one value here are by one person, of one kind, on one thing."""
    act, fault, kind, person, group, response, better, worse = [column.to_arrow() for column in columns]
    pair = pc.binary_join_element_wise(pc.min_element_wise(better, worse), pc.max_element_wise(better, worse), BAR)
    thing = pc.if_else(pc.is_in(kind, pa.array(REWRITES, TEXT)), worse, pc.coalesce(response, pair))
    # nobody in particular: each act stands alone, but one ranking cannot place an answer twice
    who = pc.coalesce(person, pc.if_else(pc.equal(kind, "ranking"), group, pa.scalar(None, TEXT)))
    key = pc.binary_join_element_wise(kind, who, thing, BAR)
    return flat(pc.if_else(pc.and_(pc.is_null(fault), pc.is_valid(key)), key, act))


@engine.batch(TEXT)
def stamp(*columns: daft.Series) -> pa.Array:
    """Text that sorts as the acts follow each other: time, then better rank, then id."""
    created, kind, grade, act = [column.to_arrow() for column in columns]
    times = pc.add(pc.fill_null(created.cast(pa.timestamp("us", "UTC")).cast(pa.int64()), 0), 2**62)
    ranks = pc.if_else(pc.equal(kind, "ranking"), pc.fill_null(grade, 0.0), 0.0)
    behind = pc.subtract(10**6, pc.min_element_wise(ranks, 10.0**6).cast(pa.int64()))
    return pc.binary_join_element_wise(digits(times, 20), digits(behind, 8), act, BAR)


def digits(whole: pa.Array, width: int) -> pa.Array:
    """Whole numbers from 0 as text that sorts as they do."""
    return pc.utf8_lpad(whole.cast(TEXT), width, "0")
