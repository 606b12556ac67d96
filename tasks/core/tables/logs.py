"""What is read of raw logs: turns, feedback, and what could not be read."""

from __future__ import annotations

import pyarrow as pa

from tasks.core.tables.columns import ORIGIN, TEXT, TEXTS, TIME, Column, Table


class Turns(Table):
    """One row per message. Messages of a conversation form a tree: regenerated answers share a parent."""

    KEY = ("conversation_id", "position", "turn_id")
    IDENTITY = ("origin",)  # `dedupe` moves turns to other conversations, with new ids
    COLUMNS = (
        Column("conversation_id", TEXT, '"<format>:<native id>"'),
        Column("turn_id", TEXT, "unique in its conversation"),
        Column("parent_id", TEXT, "turn_id of the previous message; null at a root"),
        Column("position", pa.int32(), "depth in the tree, 0 at a root: parents sort before children"),
        Column("role", TEXT, "system, user, assistant, tool"),
        Column("content", TEXT, "the message's text"),
        Column(
            "tool_calls",
            TEXT,
            "the tools that the message calls, as JSON with sorted keys: a list of "
            '`{"function": {"arguments": {}, "name": ""}, "id": "", "type": "function"}`; null where it calls none; '
            "`arguments` are a text where the log's are no object; `id` may be missing",
        ),
        Column("tool_call_id", TEXT, "of a tool's message: the id of the call that it answers; null where the log does not state it"),
        Column("tool_name", TEXT, "of a tool's message: the tool; null where the log does not state it"),
        Column(
            "tools",
            TEXT,
            'the tools that were offered, as JSON: a list of `{"type": "function", "function": {"name": "", ...}}` with the schemas, and '
            "the order of their keys, as the log has them; only in a conversation's first message, position 0; null where there are none",
        ),
        Column("reasoning", TEXT, "the model's reasoning before an answer, where the log stores it separately; null after `clean`"),
        Column("attachments", TEXTS, "a digest for each image or file of the message, in the log's order; null where it has none"),
        Column("model", TEXT, "the model that wrote an assistant's message; null when unknown"),
        Column("user_id", TEXT, "salted hash of the user; null when unknown"),
        Column("created_at", TIME, "null where the log does not state it"),
        Column("status", TEXT, '"" complete, "unfinished", "error", "deleted"'),
        Column(
            "redacted",
            TEXT,
            "salted digest of the values that were replaced by placeholders; null where there are none, and before `clean`",
        ),
        Column("language", TEXT, 'ISO 639-1 code, "und" when unknown; null before `clean`'),
        Column("topic", TEXT, 'the log\'s own tag for the conversation; "" when it has none'),
        Column("source", TEXT, "name of the log format"),
        Column("origin", ORIGIN, "the raw record of the message"),
    )


class Feedback(Table):
    """One row per act of feedback on an answer, by a person or a judging model."""

    KEY = ("feedback_id",)
    COLUMNS = (
        Column("feedback_id", TEXT, "stable hash of the source's id, or of the feedback itself"),
        Column("conversation_id", TEXT, "the conversation in which the act was done"),
        Column("turn_id", TEXT, "the rated answer; null for comparisons of two"),
        Column("kind", TEXT, "thumb, rating, choice, ranking, edit, correction, regenerate; no votes: report, copy, share, comment"),
        Column("value", pa.float64(), "as given: thumb -1/1; rating on its scale; rank 0 = best; choice 1 / tie 0 / both bad -1"),
        Column("scale_min", pa.float64(), "the worst value of the scale of `value`; null for choices, edits"),
        Column("scale_max", pa.float64(), "the best value: less than scale_min where 1 is best"),
        Column("label", TEXT, 'the value in words, where the log has words ("Excellent"); else null'),
        Column("better", TEXT, "turn_id, for choice and regenerate (the kept answer)"),
        Column("worse", TEXT, "turn_id; a tie names both in any order"),
        Column("shown_first", TEXT, "turn_id of the answer that was shown first (left, or above); null when unknown"),
        Column("group", TEXT, "feedback given together, e.g. one person's ranking of k answers; null for single feedback"),
        Column("text", TEXT, "edit, correction: the text as rewritten; otherwise a comment; null when none"),
        Column("annotator", TEXT, "salted hash; null when unknown"),
        Column("annotator_kind", TEXT, '"person" or "model"'),
        Column("created_at", TIME, "when the act was done; null when the log does not say"),
        Column("source", TEXT, "name of the log format"),
        Column("origin", ORIGIN, "the raw record of the feedback"),
    )


class Quarantine(Table):
    """One row per record that could not be read. Contains no text of the record itself."""

    KEY = ("file", "record", "reason", "detail")
    COLUMNS = (
        Column("file", TEXT, "as in ORIGIN"),
        Column("record", pa.int64(), "place in the file from 0; -1: the whole file"),
        Column("line", pa.int64(), "line number from 1 where the file has lines; else null"),
        Column("format", TEXT, "the format whose reader failed; null when no format was recognised"),
        Column("reason", TEXT, "one word"),
        Column("detail", TEXT, "what was found and what was expected, without the record's text"),
    )


class Files(Table):
    """One row per raw file: the files that the short ids in `origin` refer to."""

    KEY = ("file", "name")
    IDENTITY = ("file",)  # `clean` redacts names
    COLUMNS = (
        Column("file", TEXT, "first 16 hex digits of the sha256 of its content"),
        Column("name", TEXT, "path below the raw folder"),
        Column("bytes", pa.int64(), "its size on disk"),
        Column("format", TEXT, "null: not a log in a known format"),
        Column("records", pa.int64(), "records found in it"),
        Column("quarantined", pa.int64(), "records of it that gave nothing"),
    )
