"""People's acts (feedback) to votes about answers, or to the reason why an act is no vote.

Which kinds there are, what each must say, and which turns it names, stands in KINDS. An act is dropped for
the first of these reasons that holds:

    unknown_kind     a kind that is not in KINDS nor in SILENT
    not_used         a kind that says nothing of preference (SILENT): a copied or shared answer, a report
    off_scale        a value that the kind, or the scale it came with, does not know
    no_such_turn     it names no turn, or one that its conversation does not have
    not_an_answer    the turn named is not an assistant's
    no_text          an answer, or an edit, without a text
    no_prompt        the answer has no usable prompt (see `trees.answers_of`)
    different_prompts  the two answers compared do not answer the same prompt
    no_change        an edit that changes case and spacing at most
    same_answer      the two answers compared are one, or one person ranked one answer twice at once
    superseded       the same person said something later about the same answer with the same kind of act
"""

from __future__ import annotations

from typing import Any

import daft
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from daft import DataType, col

from tasks.core.tables import TEXT
from tasks.evidence import identity
from tasks.evidence.lists import flat, struct

Array = npt.NDArray[Any]

JUDGE, COMPARE, REWRITE = "judge", "compare", "rewrite"  # names an answer; names two; names one and gives the other
KINDS = {"edit": REWRITE, "choice": COMPARE, "ranking": JUDGE, "rating": JUDGE, "thumb": JUDGE, "regenerate": COMPARE}  # strongest first
SILENT = ("comment", "copy", "report", "share")  # a report is about harm or law as often as about quality: not mixed with thumbs

VERDICT = pa.struct(
    [("fault", TEXT), ("prompt_id", TEXT), ("response_id", TEXT), ("grade", pa.float64()), ("better_id", TEXT), ("worse_id", TEXT)]
)


def named_turns(feedback: daft.DataFrame) -> daft.DataFrame:
    """One row a conversation: the turns that its feedback names."""
    slots = [feedback.select("conversation_id", col(slot).alias("judged")) for slot in ("turn_id", "better", "worse")]
    named = slots[0].concat(slots[1]).concat(slots[2]).where(col("judged").not_null())
    return named.groupby("conversation_id").agg(col("judged").list_agg_distinct())


def judge(feedback: daft.DataFrame, judged: daft.DataFrame) -> daft.DataFrame:
    """Feedback with the columns of VERDICT; `judged` says what each named turn is (JUDGED, and its conversation)."""
    acts = feedback
    for slot in ("turn_id", "better", "worse"):
        what = judged.select("conversation_id", col("turn_id").alias(slot), *(col(name).alias(f"{slot}_{name}") for name in FACTS))
        acts = acts.join(what, on=["conversation_id", slot], how="left")
    facts = [col(f"{slot}_{name}") for slot in ("turn_id", "better", "worse") for name in FACTS]
    said = [col(name) for name in ("kind", "value", "scale_min", "scale_max", "text", "turn_id", "better", "worse")]
    return acts.select(*feedback.column_names, decide(*said, *facts).unnest())


BAR = pa.scalar("|", TEXT)
FACTS = ("fault", "prompt_id", "response_id")


@daft.func.batch(return_dtype=DataType.from_arrow_type(VERDICT), use_process=False)
def decide(*columns: daft.Series) -> pa.Array:
    """The verdict on each act, in the order of columns that `judge` gives."""
    kind, value, low, high, text, *turns = [objects(column) for column in columns]
    named, facts = turns[:3], [turns[3 + 3 * slot : 6 + 3 * slot] for slot in range(3)]
    for name, fact in zip(named, facts, strict=True):
        settle(fact[0], (name != None) & (fact[1] == None), "no_such_turn")  # noqa: E711 (elementwise) a conversation that is not there
    grade = grades(kind, *(numbers(series) for series in (value, low, high)))
    way = np.array([KINDS.get(name, "") for name in kind], object)
    one, better, worse = facts
    # an edit names the answer it starts from in `turn_id` or `worse`, and gives the other as text or as a turn
    from_worse = (way == REWRITE) & (named[2] != None)  # noqa: E711
    one = [np.where(from_worse, w, t) for t, w in zip(one, worse, strict=True)]
    one_named = np.where(from_worse, named[2], named[0])
    typed = (way == REWRITE) & (named[1] == None)  # noqa: E711
    written = [identity.response_id(prompt, words) if prompt and words else None for prompt, words in zip(one[1], text, strict=True)]
    better[1], better[2] = np.where(typed, one[1], better[1]), np.where(typed, np.array(written, object), better[2])
    compared = [np.where(way == COMPARE, w, t) for t, w in zip(one, worse, strict=True)]
    fault = np.full(len(kind), None, object)
    two = way != JUDGE
    for reason, holds in (
        ("not_used", np.isin(kind, SILENT)),
        ("unknown_kind", way == ""),
        ("off_scale", np.isnan(grade)),
        ("no_such_turn", missing(way, typed, one_named, named)),
    ):
        settle(fault, holds, reason)
    for why in ("no_such_turn", "not_an_answer", "no_text", "no_prompt"):
        settle(fault, (compared[0] == why) | (two & ~typed & (better[0] == why)), why)
    settle(fault, typed & np.array([not (words and words.strip()) for words in text], bool), "no_text")
    settle(fault, two & (better[1] != compared[1]), "different_prompts")
    settle(fault, (way == REWRITE) & (better[2] == compared[2]), "no_change")
    settle(fault, two & (better[2] == compared[2]), "same_answer")
    clear = fault == None  # noqa: E711
    keep = [
        np.where(clear & which, column, None)
        for which, column in ((clear, compared[1]), (~two, one[2]), (two, better[2]), (two, compared[2]))
    ]
    prompt, response, good, bad = (pa.array(column.tolist(), TEXT) for column in keep)
    return struct(VERDICT, pa.array(fault.tolist(), TEXT), prompt, response, pa.array(grade, from_pandas=True), good, bad)


def settle(fault: Array, holds: Array, reason: str) -> None:
    """Give the reason to the acts that have none yet."""
    fault[np.asarray(holds, bool) & (fault == None)] = reason  # noqa: E711


def missing(way: Array, typed: Array, one: Array, named: list[Array]) -> Array:
    """Acts that do not name the turns which their kind needs."""
    no_one, no_better, no_worse = (column == None for column in (one, named[1], named[2]))  # noqa: E711
    return np.where(way == COMPARE, no_better | no_worse, no_one | ((way == REWRITE) & ~typed & no_better))


def grades(kind: Array, value: Array, low: Array, high: Array) -> Array:
    """Values in the units of VOTE.value; NaN where the value is off its scale."""
    with np.errstate(invalid="ignore", divide="ignore"):
        rating = np.where((high > low) & (value >= low) & (value <= high), (value - low) / (high - low), np.nan)
        rank = np.where((value >= 0) & (np.floor(value) == value) & np.isfinite(value), value, np.nan)
    one_of = {"thumb": (-1.0, 1.0), "choice": (-1.0, 0.0, 1.0)}
    cases = [(kind == name, np.where(np.isin(value, allowed), value, np.nan)) for name, allowed in one_of.items()]
    cases += [(kind == "rating", rating), (kind == "ranking", rank)]
    return np.select([case for case, _ in cases], [grade for _, grade in cases], 1.0)


def objects(column: daft.Series) -> Array:
    """The column as an array of Python objects, None for null."""
    return np.array([*column.to_arrow().to_pylist(), None], object)[:-1]  # the extra None keeps numpy from guessing


def numbers(column: Array) -> Array:
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


@daft.func.batch(return_dtype=DataType.string(), use_process=False)
def about(*columns: daft.Series) -> pa.Array:
    """What an act is about: acts with one value here are by one person, of one kind, on one thing."""
    act, fault, kind, person, group, response, better, worse = [column.to_arrow() for column in columns]
    pair = pc.binary_join_element_wise(pc.min_element_wise(better, worse), pc.max_element_wise(better, worse), BAR)
    thing = pc.if_else(pc.equal(kind, "edit"), worse, pc.coalesce(response, pair))
    # nobody in particular: each act stands alone, but one ranking cannot place an answer twice
    who = pc.coalesce(person, pc.if_else(pc.equal(kind, "ranking"), group, pa.scalar(None, TEXT)))
    key = pc.binary_join_element_wise(kind, who, thing, BAR)
    return flat(pc.if_else(pc.and_(pc.is_null(fault), pc.is_valid(key)), key, act))


@daft.func.batch(return_dtype=DataType.string(), use_process=False)
def stamp(*columns: daft.Series) -> pa.Array:
    """Text that sorts as the acts follow each other: time, then better rank, then id."""
    created, kind, grade, act = [column.to_arrow() for column in columns]
    times = pc.fill_null(created.cast(pa.timestamp("us", "UTC")).cast(pa.int64()), 0)
    ranks = pc.if_else(pc.equal(kind, "ranking"), pc.fill_null(grade, 0.0), 0.0)
    rest = zip(times.to_pylist(), ranks.to_pylist(), act.to_pylist(), strict=True)
    return pa.array([f"{time + 2**62:020d}|{10**6 - rank:012.1f}|{name}" for time, rank, name in rest], TEXT)
