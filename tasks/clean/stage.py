"""Stage `clean`: repair text, drop empty and broken messages, redact personal data and secrets, identify languages.

In and out: turns and feedback. Dropped turns: `deleted` (the log marks it so), `error` (the provider's banner instead of an
answer), `unfinished` (the answer was cut off), `needs_media` (it holds nothing but pictures or files, which are not read), `empty` (nothing
is left of it, and it calls no tool), `orphaned` (it stands below a dropped one; siblings stay). Dropped feedback: `deleted_branch` (on a
deleted turn, or below one), `turn_dropped` (on another dropped turn), `empty` (an edit to nothing), `before_answer` and `in_the_future`
(done at a time when it cannot have been done). The times are compared here, since `dedupe` moves feedback to copies of another time.
Names of people and places go only where `clean.names` gives a model (`tasks.common.redaction.name_model`); a model's own name stays then
too. Dropped rows are repaired and redacted like all others. The table of raw files passes with its names redacted: later stages read
nothing that lies before redaction.

A model's reasoning, control marks and words of programs for nothing are no part of what was said (`tasks.common.reasoning_marks`); how
many texts
held such is told. An answer that broke off in its reasoning is `unfinished`. With `clean.reasoning: keep` an answer's reasoning stands
before it as `<think>`, whether the log has it in the text, in whatever form, or apart.

Repair and the search for values are work on one row and run in the engine; placeholders, languages and orphans are matters of
a conversation and run over sorted Arrow columns.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from typing import Literal

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import DataType, col
from pydantic import Field

from tasks.clean import language
from tasks.clean.failures import are_failures
from tasks.clean.tool_calls import Calls, Tools
from tasks.common import reasoning_marks, salt
from tasks.common.redaction import name_model, redact
from tasks.common.redaction.paths import ids, paths
from tasks.common.text_repair import repair_all
from tasks.core import engine
from tasks.core.ids import person_id
from tasks.core.params import StageParams
from tasks.core.tables import TEXT, Feedback, Table, Turns, put

WRITES = ("turns", "feedback", "files")
KindName = Literal["key", "url", "password", "email", "iban", "card", "ssn", "id", "mac", "ip", "wallet", "phone"]
BATCH = 65_536
DELETED = "deleted"
SEPARATOR = pa.scalar("\x1f", TEXT)
IDENTIFIER = r"\A[a-z_][A-Za-z0-9_.:-]*\z"
# Columns that name a conversation or a turn, of either table; one with personal data in it is hashed.
REFERENCES = ("turn_id", "better", "worse", "shown_first")  # columns of feedback that name turns
NAMES = ("conversation_id", "turn_id", "parent_id", "tool_call_id", "better", "worse", "shown_first", "group", "feedback_id")


class Params(StageParams):
    """Parameters of `clean`."""

    redact: list[KindName]  # kinds of values that give way to placeholders
    names: name_model.Names  # names of people, places and postal addresses
    reasoning: Literal["drop", "keep"]  # what becomes of a model's reasoning that stands in its answer
    empty_texts: list[str]  # what programs write where no text was; a message that is nothing else is empty
    error_banners: list[str]  # how the texts begin that stand where an answer failed; case and leading signs do not matter
    max_banner_chars: int = Field(ge=1)  # a longer answer that begins so is an answer
    error_messages: list[str]  # the same for texts that hold nothing else
    explaining: list[str]  # words by which an answer that begins so shows that it is one all the same
    cursors: list[str]  # an answer that ends with one of these was cut off while it was typed
    min_letters: int = Field(ge=1)  # a message with fewer takes its conversation's language
    min_confidence: float = Field(ge=0, le=1)  # where the model is less sure of a message, too
    min_joined_confidence: float = Field(ge=0, le=1)  # where it is less sure of the conversation, the language is "und"
    max_lead_hours: float = Field(ge=0)  # feedback may be this much older than the answer that it judges
    max_lag_days: float = Field(ge=0)  # feedback may be this much younger than the newest turn of all


def run(tables: engine.Tables, params: Params) -> engine.Tables:
    """Clean turns and feedback."""
    turns = marked(with_reasoning(tables["turns"], params), Turns, ("content", "topic", "model", "tool_name"), params)
    feedback = marked(tables["feedback"], Feedback, ("text", "label"), params)
    turns, feedback = spoken(turns, feedback, params)
    turns, feedback = numbered(turns, feedback, params)
    turns = put(turns, "language", languages(turns, params))
    own = own_reasons(turns, params)
    reasons = orphans(turns, own)
    deleted = orphans(turns, pc.if_else(pc.equal(own, DELETED), own, pa.scalar(None, TEXT)))
    lost = {"deleted_branch": turns.filter(pc.is_valid(deleted)), "turn_dropped": turns.filter(pc.is_valid(reasons))}
    faults = feedback_reasons(feedback, lost, times(feedback, turns, params))
    return {
        "turns": engine.in_parts(turns.append_column("dropped", reasons)),
        "feedback": engine.in_parts(feedback.append_column("dropped", faults)),
        **{name: named(tables[name], params) for name in tables if name == "files"},
    }


def named(frame: daft.DataFrame, params: Params) -> daft.DataFrame:
    """The table of raw files, whose names may be people's, without those."""
    rows = frame.to_arrow()
    return engine.from_arrow(put(rows, "name", paths(rows["name"].combine_chunks(), params.redact, name_model.load(params.names))))


def marked(frame: daft.DataFrame, table: type[Table], columns: tuple[str, ...], params: Params) -> pa.Table:
    """The table in key order, its first column repaired and with marks for what is redacted, the others without any."""

    @daft.func.batch(return_dtype=DataType.string(), batch_size=BATCH, use_process=False)  # type: ignore[untyped-decorator]
    def mark(texts: daft.Series) -> pa.Array:
        return redact.mark_all(repair_all(texts.to_arrow().cast(TEXT)), params.redact, name_model.load(params.names))

    recogniser = name_model.load(params.names)  # here too, so that what is missing is told before a row is read
    text, *tags = columns
    rows = engine.to_arrow(frame.with_column(text, mark(col(text))), table.schema())
    for name in tags:
        rows = put(rows, name, plain(rows[name], params, None if name == "model" else recogniser))  # many models bear a person's name
    for name in NAMES:
        rows = put(rows, name, ids(rows[name].combine_chunks(), params.redact, _hashed, recogniser)) if name in rows.column_names else rows
    return engine.sort(rows, table.KEY).combine_chunks()


def with_reasoning(turns: daft.DataFrame, params: Params) -> daft.DataFrame:
    """The turns, their reasoning before the answers in their texts where it is to be kept."""
    if params.reasoning == "drop":
        return turns

    @daft.func.batch(return_dtype=DataType.string(), batch_size=BATCH, use_process=False)  # type: ignore[untyped-decorator]
    def join(contents: daft.Series, reasoning: daft.Series) -> pa.Array:
        texts, thoughts = (column.to_arrow().cast(TEXT) for column in (contents, reasoning))
        apart = pc.and_(pc.is_valid(thoughts), pc.invert(pc.fill_null(pc.match_substring(texts, "<think>"), False)))
        before, behind = (pa.scalar(part, TEXT) for part in reasoning_marks.THINK.split("{}"))
        joined = pc.binary_join_element_wise(before, thoughts, behind, pc.fill_null(texts, ""), pa.scalar("", TEXT))
        return pc.if_else(apart, joined, texts)

    return turns.with_column("content", join(col("content"), col("reasoning")))


def spoken(turns: pa.Table, feedback: pa.Table, params: Params) -> tuple[pa.Table, pa.Table]:
    """Both tables with what was said only: no reasoning, no control marks, no words of programs for nothing; told by kinds."""
    told: Counter[str] = Counter()
    if params.reasoning == "drop":
        told["reasoning"] += len(turns) - turns["reasoning"].null_count
    turns = put(turns, "reasoning", pa.nulls(len(turns), TEXT))
    done = []
    rewritten = pc.is_in(feedback["kind"], pa.array(["edit", "correction"], TEXT))
    for rows, name, answers in ((turns, "content", pc.equal(turns["role"], "assistant")), (feedback, "text", rewritten)):
        texts = rows[name].combine_chunks()
        left, broken, kinds = reasoning_marks.take_out_all(texts, _whole(answers), reasoning=params.reasoning == "drop")
        said = pc.not_equal(rows["role"], "tool") if name == "content" else rewritten
        nothing = pc.and_(pc.match_substring_regex(left, rf"\A{any_of(params.empty_texts)}\z"), _whole(said))
        left = pc.if_else(_whole(said), left, texts)
        told += kinds + Counter({"words for nothing": pc.sum(nothing).as_py() or 0})
        rows = put(rows, name, pc.if_else(pc.fill_null(nothing, False), pa.scalar("", TEXT), left))
        done.append(put(rows, "status", pc.if_else(broken, pa.scalar("unfinished", TEXT), rows["status"])) if name == "content" else rows)
    if told:
        listed = ", ".join(f"{kind} in {count}" for kind, count in sorted(told.items()) if count)
        warnings.warn(f"taken out of texts: {listed} (clean.reasoning: {params.reasoning})", stacklevel=2)
    return done[0], done[1]


def plain(tags: pa.ChunkedArray, params: Params, recogniser: name_model.Recogniser | None) -> pa.Array:
    """Tags and names of models, repaired and redacted; few different ones stand in many rows."""
    encoded = tags.combine_chunks().dictionary_encode()
    return redact.plain_all(repair_all(encoded.dictionary), params.redact, recogniser).take(encoded.indices)


def _hashed(name: str) -> str:
    """What stands for an id that holds personal data: salted, since e-mail addresses are easily guessed."""
    return person_id(name, salt.current())


def numbered(turns: pa.Table, feedback: pa.Table, params: Params) -> tuple[pa.Table, pa.Table]:
    """Both tables with placeholders for marks; first come a conversation's turns, then the tools they call, then what was said of them."""
    books, names = redact.Books(), turns["conversation_id"].combine_chunks()
    calls, tools = Calls(turns["tool_calls"].combine_chunks()), Tools(turns["tools"].combine_chunks())
    parts = [
        (names, turns["content"].combine_chunks()),
        *((names.take(texts.rows), called_marked(texts.texts, params)) for texts in (calls, tools)),
        (feedback["conversation_id"].combine_chunks(), feedback["text"].combine_chunks()),
    ]
    for conversations, texts in parts:
        books.reserve(conversations, texts)
    beside, rows = (pa.concat_arrays(columns) for columns in ((parts[1][1], parts[2][1]), (calls.rows, tools.rows)))
    values = redact.digests(parts[0][1], beside, rows, salt.current())
    turns = put(turns, "redacted", pc.coalesce(values, turns["redacted"].combine_chunks()))
    contents, called, offered, comments = (books.number(conversations, texts) for conversations, texts in parts)
    turns = put(put(turns, "content", contents), "tool_calls", calls.put(called, ids(calls.ids, params.redact, _hashed)))
    turns = put(turns, "tools", tools.put(offered))
    return turns, put(feedback, "text", comments)


def called_marked(texts: pa.Array, params: Params) -> pa.Array:
    """The texts of calls with marks; what is written like a name of a program is nobody's."""
    recogniser = name_model.load(params.names)
    words = texts if recogniser is None else pc.if_else(pc.match_substring_regex(texts, IDENTIFIER), pa.scalar(None, TEXT), texts)
    return pc.coalesce(redact.mark_all(words, params.redact, recogniser), redact.mark_all(texts, params.redact))


def languages(turns: pa.Table, params: Params) -> pa.Array:
    """The language of every turn."""
    names = turns["conversation_id"].combine_chunks()
    first = np.flatnonzero(pc.not_equal(names[1:], names[:-1]).to_numpy(zero_copy_only=False)) + 1
    starts = pa.array(np.concatenate([[0], first, [len(names)]]) if len(names) else np.zeros(1, np.int64), pa.int64())
    levels = (params.min_letters, params.min_confidence, params.min_joined_confidence)
    return language.identify(turns["content"].combine_chunks(), starts, *levels)


def own_reasons(turns: pa.Table, params: Params) -> pa.Array:
    """Why a turn is dropped for its own sake; null for those that stay. A system's, a tool's or a calling message needs no text."""
    content, status = turns["content"], turns["status"]
    answer, question = pc.equal(turns["role"], "assistant"), pc.equal(turns["role"], "user")
    failed = pc.or_(pc.equal(status, "error"), is_banner(content, params, answer))
    cut = pc.or_(pc.equal(status, "unfinished"), ends_with(content, params.cursors))
    wordless = pc.equal(pc.fill_null(content, ""), "")
    if params.reasoning == "keep":
        wordless = pc.or_(wordless, pc.fill_null(pc.match_substring_regex(content, reasoning_marks.ONLY_THOUGHT), False))
    silent = pc.and_(wordless, pc.is_null(turns["tool_calls"]))
    empty = pc.and_(silent, pc.or_(answer, question))
    unseen = pc.and_(empty, pc.greater(pc.fill_null(pc.list_value_length(turns["attachments"]), 0), 0))
    gone, failed, cut = pc.equal(status, DELETED), pc.and_(answer, failed), pc.and_(answer, cut)
    return first_reason({DELETED: gone, "error": failed, "unfinished": cut, "needs_media": unseen, "empty": empty})


def first_reason(reasons: dict[str, pa.ChunkedArray]) -> pa.Array:
    """For each row the first reason that holds, or null."""
    cases = [_whole(pc.fill_null(case, False)) for case in reasons.values()]
    return pc.case_when(pa.StructArray.from_arrays(cases, list(reasons)), *(pa.scalar(reason, TEXT) for reason in reasons))


def is_banner(texts: pa.ChunkedArray, params: Params, answers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whether a text stands where an answer failed: begins as a banner, is short and explains nothing; or is no more than a message."""
    signs = r"[\s*_$\"'>#⚠️❌.:!-]*"
    begins = pc.match_substring_regex(texts, rf"(?i)\A{signs}{any_of(params.error_banners)}")
    whole = pc.match_substring_regex(texts, rf"(?i)\A{signs}(?:error: )?{any_of(params.error_messages)}{signs}\z")
    explains = pc.match_substring_regex(texts, rf"(?i)\b{any_of(params.explaining)}\b")
    short = pc.less_equal(pc.utf8_length(texts), params.max_banner_chars)
    begins = pc.or_(begins, are_failures(texts, params.max_banner_chars, _whole(answers)))
    return pc.or_(pc.and_(begins, pc.and_(short, pc.invert(explains))), whole)


def any_of(texts: list[str]) -> str:
    """RE2 pattern of any of the texts; of no text at all when there are none."""
    return "(?:" + "|".join(map(re.escape, texts)) + ")" if texts else r"[^\x00-\x{10ffff}]"


def ends_with(texts: pa.ChunkedArray, cursors: list[str]) -> pa.ChunkedArray:
    """Whether a text ends with one of the cursors."""
    return pc.match_substring_regex(texts, any_of(cursors) + r"\z")


def orphans(turns: pa.Table, reasons: pa.Array) -> pa.Array:
    """The reasons, with `orphaned` for every turn below a dropped one. Only conversations with a drop are walked, parents first."""
    hit = pc.unique(turns["conversation_id"].filter(pc.is_valid(reasons)))
    mask = pc.is_in(turns["conversation_id"], hit)
    few = turns.select(["conversation_id", "turn_id", "parent_id"]).filter(mask)
    own = reasons.filter(_whole(mask)).to_pylist()
    gone: set[tuple[str, str]] = set()
    for at, (conversation, turn, parent) in enumerate(zip(*(column.to_pylist() for column in few.columns), strict=True)):
        if own[at] is None and (conversation, parent) in gone:
            own[at] = "orphaned"
        if own[at] is not None:
            gone.add((conversation, turn))
    return pc.replace_with_mask(reasons, _whole(mask), pa.array(own, TEXT))


def feedback_reasons(feedback: pa.Table, lost: dict[str, pa.Table], late: dict[str, pa.ChunkedArray]) -> pa.Array:
    """Why an act is dropped: for a turn that is `lost` for some reason, as `empty`, or for its time; null for those that stay."""
    named = {name: places(feedback, name) for name in REFERENCES}
    gone: dict[str, pa.ChunkedArray] = {}
    for reason, turns in lost.items():
        ids = places(turns, "turn_id")
        masks = [pc.is_in(column, ids) for column in named.values()]
        gone[reason] = pc.or_(pc.or_(masks[0], masks[1]), pc.or_(masks[2], masks[3]))
    rewritten = pc.is_in(feedback["kind"], pa.array(["edit", "correction"], TEXT))
    return first_reason({**gone, "empty": pc.and_(rewritten, pc.equal(feedback["text"], "")), **late})


def places(rows: pa.Table, name: str) -> pa.ChunkedArray:
    """The turns that a column names, told apart from those of other conversations; null where it names none."""
    return pc.binary_join_element_wise(rows["conversation_id"], rows[name], SEPARATOR)


def times(feedback: pa.Table, turns: pa.Table, params: Params) -> dict[str, pa.ChunkedArray]:
    """Which acts stand before the answer that they judge, or too long after everything else. A time that is not known is no fault."""
    done = feedback["created_at"].cast(pa.int64())
    dated = turns.filter(
        pc.and_(pc.is_valid(turns["created_at"]), pc.is_in(turns["conversation_id"], pc.unique(feedback["conversation_id"])))
    )
    said, ids = dated["created_at"].cast(pa.int64()), places(dated, "turn_id")
    answered = [said.take(pc.index_in(places(feedback, name), ids)) for name in ("turn_id", "better", "worse")]
    newest = pc.max(turns["created_at"].cast(pa.int64()))
    lead, lag = (pa.scalar(round(days * 86_400_000_000)) for days in (params.max_lead_hours / 24, params.max_lag_days))
    return {
        "before_answer": pc.less(pc.add(done, lead), pc.max_element_wise(*answered)),
        "in_the_future": pc.greater(pc.subtract(done, lag), newest),
    }


def _whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The column in one piece."""
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
