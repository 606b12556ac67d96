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
    no_prompt        the answer has no usable prompt (see `trees.answers_of`)
    different_prompts  the two answers compared do not answer the same prompt
    no_change        an edit that changes case and spacing at most
    same_answer      the two answers compared are one, or one person ranked one answer twice at once
    superseded       the same person said something later about the same answer with the same kind of act
"""

from __future__ import annotations

from dataclasses import dataclass

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import col

from tasks.core import engine
from tasks.core.tables import TEXT
from tasks.evidence import identity
from tasks.evidence.lists import Column, Mask, absent, flat, only, struct

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
TURN_FAULTS = ("no_such_turn", "deleted_branch", "not_an_answer", "no_text", "no_prompt")  # first ones first


@dataclass(frozen=True)
class Named:
    """What the acts say of one turn: its id, and what is known of it. None where the act does not name one."""

    turn: Column
    fault: Column
    prompt: Column
    response: Column

    @classmethod
    def of(cls, turn: Column, fault: Column, prompt: Column, response: Column) -> Named:
        """The columns as `judge` gives them; a turn of a conversation that is not there is no such turn."""
        fault[~absent(turn) & absent(fault) & absent(prompt)] = "no_such_turn"
        return cls(turn, fault, prompt, response)

    def where(self, mask: Mask, other: Named) -> Named:
        """These, and others where the mask holds."""
        columns = ((self.turn, other.turn), (self.fault, other.fault), (self.prompt, other.prompt), (self.response, other.response))
        return Named(*(np.where(mask, theirs, ours) for ours, theirs in columns))


@engine.batch(VERDICT)
def decide(*columns: daft.Series) -> pa.Array:
    """The verdict on each act, in the order of columns that `judge` gives."""
    kind, value, low, high, label, text, *rest = [objects(column) for column in columns]
    one, better, worse = (Named.of(rest[slot], *rest[3 + 3 * slot : 6 + 3 * slot]) for slot in range(3))
    way = np.array([KINDS.get(name, "") for name in kind], object)
    rewrite, two = way == REWRITE, way != JUDGE
    # an edit names the answer that it starts from in `worse` or `turn_id`, and gives the other as a turn or as text
    base = one.where((way == COMPARE) | (rewrite & ~absent(worse.turn)), worse)
    typed = rewrite & absent(better.turn)
    better = better.where(typed, written(base, text))
    grade = grades(kind, *(numbers(column) for column in (value, low, high)))
    fault = first_fault(
        ("not_used", np.isin(kind, SILENT)),
        ("unknown_kind", way == ""),
        *unsaid(kind, numbers(value), label, numbers(high) - numbers(low)),
        ("off_scale", np.isnan(grade)),
        ("no_target", absent(base.turn) | (two & absent(better.turn) & ~typed)),
        *((why, (base.fault == why) | (two & (better.fault == why))) for why in TURN_FAULTS),
        ("different_prompts", two & (better.prompt != base.prompt)),
        ("no_change", rewrite & (better.response == base.response)),
        ("same_answer", two & (better.response == base.response)),
    )
    clear = absent(fault)
    kept = ((clear, base.prompt), (clear & ~two, one.response), (clear & two, better.response), (clear & two, base.response))
    prompt, response, good, bad = (pa.array(only(mask, column).tolist(), TEXT) for mask, column in kept)
    return struct(VERDICT, pa.array(fault.tolist(), TEXT), prompt, response, pa.array(grade, from_pandas=True), good, bad)


def written(base: Named, text: Column) -> Named:
    """The answers that edits give as text."""
    blank = np.array([not (words and words.strip()) for words in text], bool)
    pairs = zip(base.prompt.tolist(), text.tolist(), strict=True)
    ids = [identity.response_id(prompt, words) if prompt and words else None for prompt, words in pairs]
    fault = only(blank, np.full(len(text), "no_text", object))
    return Named(only(np.zeros(len(text), bool), text), fault, base.prompt, np.array([*ids, None], object)[:-1])


def first_fault(*reasons: tuple[str, Column]) -> Column:
    """For each act the first reason that holds, or None."""
    fault = np.full(len(reasons[0][1]), None, object)
    for reason, holds in reasons:
        fault[np.asarray(holds, bool) & absent(fault)] = reason
    return fault


def unsaid(kind: Column, value: Column, label: Column, reach: Column) -> tuple[tuple[str, Mask], ...]:
    """Why an act's value cannot be read at all: what is missing is not put in. `reach` is the best value less the worst."""
    needed, missing, worded = np.isin(kind, VALUED), np.isnan(value), ~absent(label)
    no_scale = (kind == "rating") & ~(np.isfinite(reach) & (reach != 0))
    return ("no_value", needed & missing & ~worded), ("no_scale", no_scale), ("unknown_label", needed & missing)


def grades(kind: Column, value: Column, worst: Column, best: Column) -> Column:
    """Values in the units of VOTE.value; NaN where the value is off its scale. Where 1 is best, `worst` is the greater end."""
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = ~((value < np.fmin(worst, best)) | (value > np.fmax(worst, best))) & np.isfinite(value)
        rating = np.where(inside & (best != worst), (value - worst) / (best - worst), np.nan)
        rank = np.where(inside & (value >= 0) & (np.floor(value) == value), value, np.nan)
    up, down = np.where(np.isnan(best), 1.0, best), np.where(np.isnan(worst), -1.0, worst)
    thumb = np.select([up == down, value == up, value == down], [np.nan, 1.0, -1.0], np.nan)
    choice = np.where(np.isin(value, (-1.0, 0.0, 1.0)), value, np.nan)
    cases = [(kind == "thumb", thumb), (kind == "choice", choice), (kind == "rating", rating), (kind == "ranking", rank)]
    return np.asarray(np.select([case for case, _ in cases], [grade for _, grade in cases], 1.0))


def objects(column: daft.Series) -> Column:
    """The column as an array of Python objects, None for null."""
    return np.array([*column.to_arrow().to_pylist(), None], object)[:-1]  # the extra None keeps numpy from guessing


def numbers(column: Column) -> Column:
    """Objects as floats, NaN for None."""
    return np.array([np.nan if item is None else item for item in column.tolist()], float)


def latest(acts: daft.DataFrame) -> daft.DataFrame:
    """Acts with `fault` also where the same person said something later: for the answer, the pair, or the answer edited."""
    keyed = acts.with_columns({"about": about(*(col(name) for name in ABOUT)), "stamp": stamp(*(col(name) for name in STAMP))})
    last = keyed.groupby("about").agg(col("stamp").max().alias("last"))
    joined = keyed.join(last, on="about", how="left")
    gone = joined["fault"].is_null() & (joined["stamp"] != joined["last"])
    anonymous = (joined["kind"] == "ranking") & joined["annotator"].is_null()
    reason = daft.functions.when(gone & anonymous, "same_answer").when(gone, "superseded").otherwise(joined["fault"])
    return joined.with_column("fault", reason).exclude("about", "stamp", "last")


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
    times = pc.fill_null(created.cast(pa.timestamp("us", "UTC")).cast(pa.int64()), 0)
    ranks = pc.if_else(pc.equal(kind, "ranking"), pc.fill_null(grade, 0.0), 0.0)
    rest = zip(times.to_pylist(), ranks.to_pylist(), act.to_pylist(), strict=True)
    return pa.array([f"{time + 2**62:020d}|{10**6 - rank:012.1f}|{name}" for time, rank, name in rest], TEXT)
