"""Stage `clean`: repair text, drop empty and broken messages, redact personal data and secrets, identify languages.

In and out: turns and feedback. Dropped turns: `empty` (nothing is left of it), `unfinished`, `error` (the provider's
banner instead of an answer), `orphaned` (below a dropped one). Feedback on a dropped turn: `turn_dropped`.
Dropped rows are repaired and redacted like all others.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Literal

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.core.engine import Tables, from_arrow, sort
from tasks.core.params import StageParams
from tasks.core.tables import TEXT, Feedback, Turns
from tasks.text import language, redact
from tasks.text.repair import repair_all

WRITES = ("turns", "feedback")
KindName = Literal["secret", "email", "url", "iban", "card", "ssn", "ip", "phone"]

CURSOR = r"[▌█▋▍]\s*$"  # the typing cursor of a stream that was cut off
BANNERS = re.compile(
    r"(?i)^\W*(?:network error due to high traffic|api request error|your input text exceeds the context"
    r"|an error occurred[.:] (?:please|if this)|error (?:in message stream|communicating with)"
    r"|something went wrong[.,] (?:please|if this)|the server had an error|internal server error|\[error\]"
    r"|rate limit (?:reached|exceeded)|request timed out|(?:400|429|50[0234])[ :-]+(?:bad|too|internal|service|gateway))"
)


class Params(StageParams):
    """Parameters of `clean`."""

    redact: list[KindName]  # kinds of values that placeholders replace
    min_letters: int = Field(ge=1)  # a message with fewer letters takes its conversation's language
    min_confidence: float = Field(ge=0, le=1)  # below it a language is "und"


def run(tables: Tables, params: Params) -> Tables:
    """Clean turns and feedback."""
    turns = sort(tables["turns"].to_arrow(), Turns.KEY)
    feedback = sort(tables["feedback"].to_arrow(), Feedback.KEY)
    turns, feedback = redacted(repaired(turns, "content"), repaired(feedback, "text"), params.redact)
    turns = with_languages(turns, params)
    reasons = orphans(turns, own_reasons(turns))
    lost = turns.filter(pc.is_valid(reasons)).select(["conversation_id", "turn_id"])
    return {
        "turns": daft.from_arrow(turns.append_column("dropped", reasons)),
        "feedback": from_arrow(feedback).pipe(mark_targets, from_arrow(lost)),
    }


def repaired(table: pa.Table, column: str) -> pa.Table:
    """The table with one text column repaired."""
    at = table.schema.get_field_index(column)
    return table.set_column(at, column, repair_all(table[column].cast(TEXT).combine_chunks()))


def redacted(turns: pa.Table, feedback: pa.Table, kinds: list[KindName]) -> tuple[pa.Table, pa.Table]:
    """Both tables with placeholders; a conversation's turns and feedback share one book of placeholders."""
    books: dict[str, redact.Book] = defaultdict(lambda: redact.Book(kinds))
    return _redact(turns, "content", books), _redact(feedback, "text", books)


def _redact(table: pa.Table, column: str, books: dict[str, redact.Book]) -> pa.Table:
    """One text column redacted, in key order, touching suspect rows only."""
    mask = redact.suspects(table[column])
    rows = table.filter(mask).select(["conversation_id", column])
    texts = [
        books[conversation].redact(text)
        for conversation, text in zip(rows["conversation_id"].to_pylist(), rows[column].to_pylist(), strict=True)
    ]
    new = pc.replace_with_mask(table[column].combine_chunks(), mask.combine_chunks(), pa.array(texts, table[column].type))
    return table.set_column(table.schema.get_field_index(column), column, new)


def own_reasons(turns: pa.Table) -> pa.Array:
    """Why a turn is dropped for its own sake; null for those that stay. A system message may be empty."""
    content, answer = turns["content"], pc.equal(turns["role"], "assistant")
    broken = pc.match_substring_regex(content, CURSOR)
    short = pc.less(pc.utf8_length(content), 600)
    banner = pa.array(np.zeros(len(turns), bool))
    suspects = pc.and_(answer, short)
    found = [bool(BANNERS.match(text)) for text in content.filter(suspects).to_pylist()]
    banner = pc.replace_with_mask(banner, suspects.combine_chunks(), pa.array(found, pa.bool_()))
    nothing = pa.scalar(None, TEXT)
    reasons = pc.if_else(pc.and_(answer, pc.or_(broken, pc.equal(turns["status"], "unfinished"))), "unfinished", nothing)
    reasons = pc.if_else(pc.and_(answer, pc.or_(banner, pc.equal(turns["status"], "error"))), "error", reasons)
    empty = pc.and_(pc.equal(content, ""), pc.invert(pc.is_in(turns["role"], pa.array(["tool"], TEXT))))
    return pc.if_else(empty, "empty", reasons).cast(TEXT)


def orphans(turns: pa.Table, reasons: pa.Array) -> pa.Array:
    """The reasons, with `orphaned` for every turn below a dropped one; `turns` is in key order, parents first."""
    hit = pc.unique(turns["conversation_id"].filter(pc.is_valid(reasons)))
    rows = np.flatnonzero(pc.is_in(turns["conversation_id"], hit).to_numpy())
    few = turns.take(pa.array(rows)).select(["conversation_id", "turn_id", "parent_id"])
    names = zip(*(few[name].to_pylist() for name in few.column_names), strict=True)
    gone: set[tuple[str, str]] = set()
    new: list[str | None] = reasons.take(pa.array(rows)).to_pylist()
    for at, (conversation, turn, parent) in enumerate(names):
        if new[at] is None and (conversation, parent) in gone:
            new[at] = "orphaned"
        if new[at] is not None:
            gone.add((conversation, turn))
    mask = np.zeros(len(turns), bool)
    mask[rows] = True
    whole = reasons.combine_chunks() if isinstance(reasons, pa.ChunkedArray) else reasons
    return pc.replace_with_mask(whole, pa.array(mask), pa.array(new, TEXT))


def mark_targets(feedback: daft.DataFrame, lost: daft.DataFrame) -> daft.DataFrame:
    """Feedback with `dropped` = `turn_dropped` where a turn that it names was dropped."""
    names = lost.with_column("gone", daft.lit(True))
    for column in ("turn_id", "better", "worse"):
        other = names.select(daft.col("conversation_id"), daft.col("turn_id").alias(column), daft.col("gone").alias(f"{column}_gone"))
        feedback = feedback.join(other, on=["conversation_id", column], how="left")
    gone = daft.lit(False)
    for column in ("turn_id", "better", "worse"):
        gone = gone | daft.col(f"{column}_gone").fill_null(False)
    reason = daft.functions.when(gone, daft.lit("turn_dropped")).otherwise(daft.lit(None).cast(daft.DataType.string()))
    return feedback.select(*Feedback.names(), reason.alias("dropped"))


def with_languages(turns: pa.Table, params: Params) -> pa.Table:
    """Turns with their language: long messages by themselves, short ones by their conversation."""
    letters = pc.count_substring_regex(turns["content"], r"\pL")
    long = pc.greater_equal(letters, params.min_letters).combine_chunks()
    own = language.identify(turns["content"].filter(long).combine_chunks(), params.min_confidence)
    found = pc.replace_with_mask(pa.nulls(len(turns), TEXT), long, own)
    found = pc.if_else(pc.equal(found, language.UNKNOWN), pa.scalar(None, TEXT), found)
    return turns.set_column(turns.schema.get_field_index("language"), "language", of_conversations(turns, found, params))


def of_conversations(turns: pa.Table, found: pa.Array, params: Params) -> pa.Array:
    """The languages found, gaps filled by the conversation's joined text."""
    gaps = pc.is_null(found)
    names = turns["conversation_id"].combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy()
    wanted = np.unique(codes[gaps.to_numpy(zero_copy_only=False)])
    mask = np.isin(codes, wanted)
    texts: dict[int, list[str]] = defaultdict(list)
    for code, text in zip(codes[mask].tolist(), turns["content"].filter(pa.array(mask)).to_pylist(), strict=True):
        texts[code].append(text)
    joined = pa.array([" ".join(texts[code]) for code in wanted.tolist()], TEXT)
    spoken = np.full(len(names.dictionary), language.UNKNOWN, object)
    spoken[wanted] = language.identify(joined, params.min_confidence).to_pylist()
    return pc.if_else(gaps, pa.array(spoken[codes].tolist(), TEXT), found)
