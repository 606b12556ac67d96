"""Stage `clean`: repair text, drop empty and broken messages, redact personal data and secrets, identify languages.

In and out: turns and feedback. Dropped turns: `deleted` (marked so in the log), `error` (an error message instead of an answer),
`unfinished` (the answer was cut off), `needs_media` (only images or files, which are not read), `empty` (no text left, and no tool call),
`orphaned` (below a dropped turn; siblings are kept). Dropped feedback: `deleted_branch` (on a deleted turn, or below one), `turn_dropped`
(on another dropped turn), `empty` (an edit to nothing), `before_answer` and `in_the_future` (with an impossible time). Times are checked
here, because `dedupe` moves feedback to copies with other times. Names of people and places are redacted only where `clean.names` sets a
model (`tasks.common.redaction.name_model`); names of chat models are kept even then. Dropped rows are repaired and redacted like all
others. The table of raw files gets its file names redacted: later stages read nothing unredacted.

A model's reasoning, control marks and placeholders for empty texts are removed (`tasks.common.reasoning_marks`) and counted in a warning.
An answer that ends within its reasoning is `unfinished`. With `clean.reasoning: keep` an answer's reasoning is put before it as `<think>`,
whether the log has it in the text, in any notation, or separately.

Repair and the search for personal data work row by row in the engine; placeholders, languages and orphans need whole conversations and
run over sorted Arrow columns.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from typing import Any, ClassVar, Literal, TypeAlias, cast

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import DataType, col
from pydantic import Field

from tasks.clean import failures, language
from tasks.clean.tool_calls import Calls, Tools
from tasks.common import reasoning_marks, salt
from tasks.common.arrays import filled, first_reason, mask, replaced
from tasks.common.redaction import name_model, redact
from tasks.common.redaction.paths import ids, paths
from tasks.common.text_repair import repair_all
from tasks.common.vocabulary import states
from tasks.common.vocabulary.kinds import REWRITES
from tasks.common.vocabulary.reasons import clean as why
from tasks.common.vocabulary.roles import ASSISTANT, TOOL, USER
from tasks.core import engine, wordlists
from tasks.core.ids import person_id
from tasks.core.params import Moved, StageParams
from tasks.core.tables import TEXT, Feedback, Table, Turns, put

WRITES = ("turns", "feedback", "files")
KindName = Literal["key", "url", "password", "email", "iban", "card", "ssn", "id", "mac", "ip", "wallet", "phone"]
BATCH = 65_536
SEPARATOR = pa.scalar("\x1f", TEXT)
Flags: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"
IDENTIFIER = r"\A[a-z_][A-Za-z0-9_.:-]*\z"
# Columns with ids of conversations or turns, of either table; an id with personal data in it is hashed.
REFERENCES = ("turn_id", "better", "worse", "shown_first")  # columns of feedback that refer to turns
NAMES = ("conversation_id", "turn_id", "parent_id", "tool_call_id", "better", "worse", "shown_first", "group", "feedback_id")


class Params(StageParams):
    """Parameters of `clean`."""

    moved: ClassVar[Moved] = wordlists.moved(failures.FailedAnswers, "more_failures", failures.SHIPPED)

    redact: list[KindName]  # kinds of values that are replaced by placeholders
    names: name_model.Names  # names of people, places and postal addresses
    reasoning: Literal["drop", "keep"]  # whether a model's reasoning is kept in its answer
    empty_texts: list[str]  # what programs write in place of an empty text; a message with nothing else is empty
    more_failures: failures.FailedAnswers  # error messages in place of an answer, in addition to the shipped ones
    max_banner_chars: int = Field(ge=1)  # a longer answer that begins as a banner is an answer
    cursors: list[str]  # an answer that ends with one of these was cut off
    min_letters: int = Field(ge=1)  # a message with fewer gets its conversation's language
    min_confidence: float = Field(ge=0, le=1)  # the same below this confidence
    min_joined_confidence: float = Field(ge=0, le=1)  # below this confidence for the conversation, the language is "und"
    max_lead_hours: float = Field(ge=0)  # feedback may be this much older than its answer
    max_lag_days: float = Field(ge=0)  # feedback may be this much newer than the newest turn


def run(tables: engine.Tables, params: Params) -> engine.Tables:
    """Clean turns and feedback."""
    turns = repair_and_mark(with_reasoning(tables["turns"], params), Turns, ("content", "topic", "model", "tool_name"), params)
    feedback = repair_and_mark(tables["feedback"], Feedback, ("text", "label"), params)
    turns, feedback = strip_reasoning(turns, feedback, params)
    turns, feedback = number_placeholders(turns, feedback, params)
    turns = put(turns, "language", languages(turns, params))
    own = own_reasons(turns, params)
    reasons = orphans(turns, own)
    deleted = orphans(turns, pc.if_else(pc.equal(own, pa.scalar(why.DELETED)), own, pa.scalar(None, TEXT)))
    lost = {why.DELETED_BRANCH: turns.filter(pc.is_valid(deleted)), why.TURN_DROPPED: turns.filter(pc.is_valid(reasons))}
    faults = feedback_reasons(feedback, lost, times(feedback, turns, params))
    return {
        "turns": engine.in_parts(turns.append_column("dropped", reasons)),
        "feedback": engine.in_parts(feedback.append_column("dropped", faults)),
        **{name: redact_file_names(tables[name], params) for name in tables if name == "files"},
    }


def redact_file_names(frame: daft.DataFrame, params: Params) -> daft.DataFrame:
    """The table of raw files with personal data in file names redacted."""
    rows = frame.to_arrow()
    return engine.from_arrow(put(rows, "name", paths(rows["name"].combine_chunks(), params.redact, name_model.load(params.names))))


def repair_and_mark(frame: daft.DataFrame, table: type[Table], columns: tuple[str, ...], params: Params) -> pa.Table:
    """The table in key order; the first of `columns` is repaired and has marks for redacted values, the others have none."""

    @daft.func.batch(return_dtype=DataType.string(), batch_size=BATCH, use_process=False)
    def mark(texts: daft.Series) -> pa.Array[Any]:
        return redact.mark_all(repair_all(texts.to_arrow().cast(TEXT)), params.redact, name_model.load(params.names))

    recogniser = name_model.load(params.names)  # here too, so that a missing model fails before a row is read
    text, *tags = columns
    rows = engine.to_arrow(frame.with_column(text, mark(col(text))), table.schema())
    for name in tags:
        rows = put(rows, name, redact_tags(rows[name], params, None if name == "model" else recogniser))  # many models have a person's name
    for name in NAMES:
        rows = put(rows, name, ids(rows[name].combine_chunks(), params.redact, _hashed, recogniser)) if name in rows.column_names else rows
    return engine.sort(rows, table.KEY).combine_chunks()


def with_reasoning(turns: daft.DataFrame, params: Params) -> daft.DataFrame:
    """The turns, with reasoning put before the answers' texts where it is kept."""
    if params.reasoning == "drop":
        return turns

    @daft.func.batch(return_dtype=DataType.string(), batch_size=BATCH, use_process=False)
    def join(contents: daft.Series, reasoning: daft.Series) -> pa.Array[Any]:
        texts, thoughts = (column.to_arrow().cast(TEXT) for column in (contents, reasoning))
        separate = pc.and_(pc.is_valid(thoughts), pc.invert(filled(pc.match_substring(texts, "<think>"), False)))
        before, behind = (pa.scalar(part, TEXT) for part in reasoning_marks.THINK.split("{}"))
        parts = (before, thoughts, behind, texts.fill_null(""))
        joined = pc.binary_join_element_wise(*parts, pa.scalar("", TEXT))  # type: ignore[call-overload]  # scalars among columns
        chosen: pa.Array[Any] = pc.if_else(separate, joined, texts)
        return chosen

    return turns.with_column("content", join(col("content"), col("reasoning")))


def strip_reasoning(turns: pa.Table, feedback: pa.Table, params: Params) -> tuple[pa.Table, pa.Table]:
    """Both tables without reasoning, control marks and placeholders for empty texts; warns with counts by kind."""
    counts: Counter[str] = Counter()
    if params.reasoning == "drop":
        counts["reasoning"] += len(turns) - turns["reasoning"].null_count
    turns = put(turns, "reasoning", pa.nulls(len(turns), TEXT))
    done = []
    rewritten = pc.is_in(feedback["kind"], pa.array(REWRITES, TEXT))
    for rows, name, answers in ((turns, "content", pc.equal(turns["role"], pa.scalar(ASSISTANT))), (feedback, "text", rewritten)):
        texts = rows[name].combine_chunks()
        left, broken, kinds = reasoning_marks.take_out_all(texts, _whole(answers), reasoning=params.reasoning == "drop")
        natural = pc.not_equal(rows["role"], pa.scalar(TOOL)) if name == "content" else rewritten
        nothing = pc.and_(pc.match_substring_regex(left, rf"\A{any_of(params.empty_texts)}\z"), _whole(natural))
        left = pc.if_else(_whole(natural), left, texts)
        counts += kinds + Counter({"placeholders for empty texts": pc.sum(nothing).as_py() or 0})
        rows = put(rows, name, pc.if_else(pc.fill_null(nothing, False), pa.scalar("", TEXT), left))
        done.append(
            put(rows, "status", pc.if_else(broken, pa.scalar(states.UNFINISHED, TEXT), rows["status"])) if name == "content" else rows
        )
    if counts:
        listed = ", ".join(f"{kind} in {count}" for kind, count in sorted(counts.items()) if count)
        warnings.warn(f"removed from texts: {listed} (clean.reasoning: {params.reasoning})", stacklevel=2)
    return done[0], done[1]


def redact_tags(tags: pa.ChunkedArray[Any], params: Params, recogniser: name_model.Recogniser | None) -> pa.Array[Any]:
    """Topics and names of models, repaired and redacted once per distinct value."""
    encoded = tags.combine_chunks().dictionary_encode()
    return redact.plain_all(repair_all(encoded.dictionary), params.redact, recogniser).take(encoded.indices)


def _hashed(name: str) -> str:
    """A replacement for an id with personal data: salted, because e-mail addresses are easily guessed."""
    return person_id(name, salt.current())


def number_placeholders(turns: pa.Table, feedback: pa.Table, params: Params) -> tuple[pa.Table, pa.Table]:
    """Both tables with numbered placeholders for marks, in the order turns, tool calls, feedback within a conversation."""
    books, names = redact.Books(), turns["conversation_id"].combine_chunks()
    calls, tools = Calls(turns["tool_calls"].combine_chunks()), Tools(turns["tools"].combine_chunks())
    parts = [
        (names, turns["content"].combine_chunks()),
        *((names.take(texts.rows), mark_call_texts(texts.texts, params)) for texts in (calls, tools)),
        (feedback["conversation_id"].combine_chunks(), feedback["text"].combine_chunks()),
    ]
    for conversations, texts in parts:
        books.reserve(conversations, texts)
    call_texts, rows = (pa.concat_arrays(columns) for columns in ((parts[1][1], parts[2][1]), (calls.rows, tools.rows)))
    values = redact.digests(parts[0][1], call_texts, rows, salt.current())
    turns = put(turns, "redacted", pc.coalesce(values, turns["redacted"].combine_chunks()))
    contents, called, offered, comments = (books.number(conversations, texts) for conversations, texts in parts)
    turns = put(put(turns, "content", contents), "tool_calls", calls.put(called, ids(calls.ids, params.redact, _hashed)))
    turns = put(turns, "tools", tools.put(offered))
    return turns, put(feedback, "text", comments)


def mark_call_texts(texts: pa.Array[Any], params: Params) -> pa.Array[Any]:
    """The texts of tool calls with marks; identifiers are not taken for names of people."""
    recogniser = name_model.load(params.names)
    words = texts if recogniser is None else pc.if_else(pc.match_substring_regex(texts, IDENTIFIER), pa.scalar(None, TEXT), texts)
    return pc.coalesce(redact.mark_all(words, params.redact, recogniser), redact.mark_all(texts, params.redact))


def languages(turns: pa.Table, params: Params) -> pa.Array[Any]:
    """The language of every turn."""
    names = turns["conversation_id"].combine_chunks()
    first = np.flatnonzero(pc.not_equal(names[1:], names[:-1]).to_numpy(zero_copy_only=False)) + 1
    starts = pa.array(np.concatenate([[0], first, [len(names)]]) if len(names) else np.zeros(1, np.int64), pa.int64())
    levels = (params.min_letters, params.min_confidence, params.min_joined_confidence)
    return language.identify(cast("pa.LargeStringArray", turns["content"].combine_chunks()), starts, *levels)


def _first(reasons: dict[str, Flags]) -> pa.Array[Any]:
    return first_reason(*((reason, mask(holds)) for reason, holds in reasons.items()))


def own_reasons(turns: pa.Table, params: Params) -> pa.Array[Any]:
    """Why a turn itself is dropped; null for kept ones. Messages by a system or tool, or with a tool call, need no text."""
    content, status = turns["content"], turns["status"]
    answer, question = pc.equal(turns["role"], pa.scalar(ASSISTANT)), pc.equal(turns["role"], pa.scalar(USER))
    failed = pc.or_(pc.equal(status, pa.scalar(states.ERROR)), is_banner(content, params, answer))
    cut = pc.or_(pc.equal(status, pa.scalar(states.UNFINISHED)), ends_with(content, params.cursors))
    wordless = pc.equal(filled(content, ""), pa.scalar(""))
    if params.reasoning == "keep":
        wordless = pc.or_(wordless, filled(pc.match_substring_regex(content, reasoning_marks.ONLY_THOUGHT), False))
    silent = pc.and_(wordless, pc.is_null(turns["tool_calls"]))
    empty = pc.and_(silent, pc.or_(answer, question))
    unseen = pc.and_(empty, pc.greater(pc.list_value_length(turns["attachments"]).fill_null(0), pa.scalar(0)))
    gone, failed, cut = pc.equal(status, pa.scalar(states.DELETED)), pc.and_(answer, failed), pc.and_(answer, cut)
    reasons: dict[str, Flags] = {why.DELETED: gone, why.ERROR: failed, why.UNFINISHED: cut, why.NEEDS_MEDIA: unseen, why.EMPTY: empty}
    return _first(reasons)


def is_banner(texts: pa.ChunkedArray[Any], params: Params, answers: Flags) -> pa.BooleanArray:
    """Whether a text is an error message: short with the opening of one and no explaining words, or one of the whole messages."""
    known = failures.known(params.more_failures)
    signs = r"[\s*_$\"'>#⚠️❌.:!-]*"
    begins = pc.match_substring_regex(texts, rf"(?i)\A{signs}{any_of(known.error_banners)}")
    whole = pc.match_substring_regex(texts, rf"(?i)\A{signs}(?:error: )?{any_of(known.error_messages)}{signs}\z")
    explains = pc.match_substring_regex(texts, rf"(?i)\b{any_of(known.explaining)}\b")
    short = pc.less_equal(pc.utf8_length(texts), pa.scalar(params.max_banner_chars))
    begins = pc.or_(begins, failures.are_failures(texts, params.max_banner_chars, _whole(answers)))
    banners: pa.BooleanArray = pc.or_(pc.and_(begins, pc.and_(short, pc.invert(explains))), whole)
    return banners


def any_of(texts: list[str]) -> str:
    """RE2 pattern that matches any of the texts; for no texts, a pattern that never matches."""
    return "(?:" + "|".join(map(re.escape, texts)) + ")" if texts else r"[^\x00-\x{10ffff}]"


def ends_with(texts: pa.ChunkedArray[Any], cursors: list[str]) -> pa.BooleanArray:
    """Whether a text ends with one of the cursors."""
    return pc.match_substring_regex(texts, any_of(cursors) + r"\z")


def orphans(turns: pa.Table, reasons: pa.Array[Any]) -> pa.Array[Any]:
    """The reasons, with `orphaned` for every turn below a dropped one. Only conversations with a drop are visited, parents first."""
    hit = pc.unique(turns["conversation_id"].filter(pc.is_valid(reasons)))
    mask = pc.is_in(turns["conversation_id"], hit)
    few = turns.select(["conversation_id", "turn_id", "parent_id"]).filter(mask)
    own = reasons.filter(_whole(mask)).to_pylist()
    gone: set[tuple[str, str]] = set()
    for at, (conversation, turn, parent) in enumerate(zip(*(column.to_pylist() for column in few.columns), strict=True)):
        if own[at] is None and (conversation, parent) in gone:
            own[at] = why.ORPHANED
        if own[at] is not None:
            gone.add((conversation, turn))
    return replaced(reasons, cast("pa.BooleanArray", _whole(mask)), pa.array(own, TEXT))


def feedback_reasons(feedback: pa.Table, lost: dict[str, pa.Table], late: dict[str, Flags]) -> pa.Array[Any]:
    """Why feedback is dropped: for a `lost` turn, as `empty`, or for its time; null for kept rows."""
    references = {name: places(feedback, name) for name in REFERENCES}
    gone: dict[str, Flags] = {}
    for reason, turns in lost.items():
        ids = places(turns, "turn_id")
        masks = [pc.is_in(column, ids) for column in references.values()]
        gone[reason] = pc.or_(pc.or_(masks[0], masks[1]), pc.or_(masks[2], masks[3]))
    rewritten = pc.is_in(feedback["kind"], pa.array(REWRITES, TEXT))
    return _first({**gone, why.EMPTY: pc.and_(rewritten, pc.equal(feedback["text"], pa.scalar(""))), **late})


def places(rows: pa.Table, name: str) -> pa.ChunkedArray[Any]:
    """The turns that a column refers to, as keys with their conversation; null where there is none."""
    columns = (rows["conversation_id"], rows[name])
    keys: pa.ChunkedArray[Any] = pc.binary_join_element_wise(*columns, SEPARATOR)  # type: ignore[call-overload]  # a scalar separator
    return keys


def times(feedback: pa.Table, turns: pa.Table, params: Params) -> dict[str, Flags]:
    """Masks of feedback before its answer, or too long after the newest turn. An unknown time is no fault."""
    done = feedback["created_at"].cast(pa.int64())
    dated = turns.filter(
        pc.and_(pc.is_valid(turns["created_at"]), pc.is_in(turns["conversation_id"], pc.unique(feedback["conversation_id"])))
    )
    created, ids = dated["created_at"].cast(pa.int64()), places(dated, "turn_id")
    answered = [created.take(pc.index_in(places(feedback, name), ids)) for name in ("turn_id", "better", "worse")]
    newest = pc.max(turns["created_at"].cast(pa.int64()))
    lead, lag = (pa.scalar(round(days * 86_400_000_000)) for days in (params.max_lead_hours / 24, params.max_lag_days))
    return {
        why.BEFORE_ANSWER: pc.less(pc.add(done, lead), pc.max_element_wise(*answered)),
        why.IN_THE_FUTURE: pc.greater(pc.subtract(done, lag), newest),
    }


def _whole(values: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """The column as one array."""
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
