"""What a table is, the types of its columns, and the structs that stand in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa


class Column(NamedTuple):
    """A column of a table, or a field of a struct in one: its name, its type on disk, and what it says."""

    name: str
    type: pa.DataType
    meaning: str


def struct_of(fields: Sequence[Column]) -> pa.StructType:
    """The fields as one type."""
    return pa.struct([(field.name, field.type) for field in fields])


TEXT = pa.large_string()
TIME = pa.timestamp("us", tz="UTC")
TEXTS = pa.large_list(TEXT)

MESSAGE_FIELDS = (
    Column("role", TEXT, "who speaks: system, user, assistant or tool"),
    Column("content", TEXT, "the message's text"),
)
MESSAGE = struct_of(MESSAGE_FIELDS)
MESSAGES = pa.large_list(MESSAGE)
# The release has the other fields as trainers read them, and has `tools`, which is in the first message here, as a separate column.
PROMPT_FIELDS = (
    *MESSAGE_FIELDS,
    Column("tool_calls", TEXT, "as in Turns; null where the message calls no tool"),
    Column("tool_call_id", TEXT, "as in Turns; null where it answers no call"),
    Column("name", TEXT, "the tool that answers, as Turns.tool_name"),
    Column("tools", TEXT, "as in Turns: the tools that were offered, in the first message only"),
)
PROMPT = pa.large_list(struct_of(PROMPT_FIELDS))

ORIGIN_FIELDS = (
    Column("file", TEXT, "first 16 hex digits of the raw file's sha256, so that a renamed file changes nothing"),
    Column("record", pa.int64(), "the record's place in the file, from 0"),
    Column("position", pa.int32(), "the place inside the record; -1: the record as a whole"),
)
ORIGIN = struct_of(ORIGIN_FIELDS)

RESPONSE_FIELDS = (
    Column("response_id", TEXT, "stable hash of (prompt_id, content)"),
    Column("content", TEXT, "the answer's text"),
    Column("model", TEXT, "may be null; the first by name if there are several"),
    Column("turns", TEXTS, '"conversation_id/turn_id" of every turn that holds this answer'),
    Column("written_by", TEXT, '"model", or "person" for an edited answer'),
    Column("ups", pa.int32(), "thumbs up"),
    Column("downs", pa.int32(), "thumbs down"),
    Column("ratings", pa.int32(), "number of ratings"),
    Column("score", pa.float64(), "mean rating on 0..1; null without ratings"),
)
RESPONSE = struct_of(RESPONSE_FIELDS)

VOTE_FIELDS = (
    Column("feedback_id", TEXT, "the act of feedback; in the table of feedback, or made from a user's next turn"),
    Column("kind", TEXT, "as in Feedback.kind"),
    Column("response_id", TEXT, "the rated answer (thumb, rating, ranking, ...); else null"),
    Column("value", pa.float64(), "thumb -1/+1; rating 0..1; ranking: rank, 0 is best; choice 1, tie 0, both bad -1"),
    Column("raw", TEXT, "the value as in the log, in words or digits; null when there is none"),
    Column("scale_min", pa.float64(), "the scale of the raw value, as Feedback.scale_min; null where the kind has none"),
    Column("scale_max", pa.float64(), "the best value of that scale"),
    Column("better", TEXT, "response_id, for comparisons (choice, edit, regenerate)"),
    Column("worse", TEXT, "response_id of the other one"),
    Column("shown_first", TEXT, "response_id of the answer shown first (left, or above); null when unknown"),
    Column("annotator", TEXT, "salted hash; null when unknown"),
    Column("annotator_kind", TEXT, '"person" or "model"'),
    Column("reliability", pa.float64(), "in (0, 1): how often this annotator's votes of this kind are right; null: not estimated"),
    Column("group", TEXT, "the id of the ranking that the vote belongs to; else the feedback_id"),
    Column("conversation", TEXT, "id of the conversation in which the vote was given"),
    Column("created_at", TIME, "null where the log does not state it"),
    Column("origin", TEXT, '"file:record:position"'),
)
VOTE = struct_of(VOTE_FIELDS)
FROM_VOTE = {field.name: field for field in VOTE_FIELDS}

PART_FIELDS = (
    Column("conversation", TEXT, "id of the conversation"),
    Column("user", TEXT, "a person who chatted in it; null where the part is an answer's record"),
    Column("origin", TEXT, '"file:record:position" of a record of it that holds an answer; null where the part is a person'),
)
PART = struct_of(PART_FIELDS)

# The structs that stand in columns, by name.
STRUCTS: dict[str, tuple[Column, ...]] = {
    "MESSAGE": MESSAGE_FIELDS,
    "PROMPT": PROMPT_FIELDS,
    "ORIGIN": ORIGIN_FIELDS,
    "RESPONSE": RESPONSE_FIELDS,
    "VOTE": VOTE_FIELDS,
    "PART": PART_FIELDS,
}

# Columns of several tables.
PROMPT_ID = Column("prompt_id", TEXT, "the prompt; equal for all rows with the same messages")
PROMPT_MESSAGES = Column("prompt", PROMPT, "messages up to the answer")
LANGUAGE = Column("language", TEXT, "ISO 639-1 code of the prompt, `und` where unknown")
TOPIC = Column("topic", TEXT, "the topic label of the log")
SOURCE = Column("source", TEXT, "format of the log that the prompt comes from")
SPLIT = Column("split", TEXT, "train, validation or test")
WEIGHT = Column("weight", pa.float64(), "sampling weight; set when strata are weighted")
AUGMENTED_FROM = Column("augmented_from", TEXT, "prompt that this row is a variant or repeat of; null for originals")
ORIGINS = Column("origins", TEXTS, "raw records behind the row, as file:record:position")


class Table:
    """Base of all tables: a schema and a key."""

    KEY: ClassVar[tuple[str, ...]]
    COLUMNS: ClassVar[tuple[Column, ...]]
    IDENTITY: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def identity(cls) -> tuple[str, ...]:
        """Columns by which a row of one stage is known again in the next."""
        return cls.IDENTITY or cls.KEY

    @classmethod
    def schema(cls) -> pa.Schema:
        """Arrow schema, with columns in the order on disk."""
        return pa.schema([(column.name, column.type) for column in cls.COLUMNS])

    @classmethod
    def names(cls) -> list[str]:
        """Column names in order."""
        return [column.name for column in cls.COLUMNS]


def put(rows: pa.Table, name: str, values: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Table:
    """The table with this column replaced."""
    return rows.set_column(rows.schema.get_field_index(name), name, values)
