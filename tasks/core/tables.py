"""The tables of the pipeline: one class per table, one field per column, each with its meaning.

A table is a folder of Parquet files, sorted by its key, in shards of a fixed number of rows.
In a running stage it is a Daft DataFrame with exactly these columns.

The order of columns in the class is their order on disk. `Table.schema()` gives the Arrow schema,
`Table.KEY` the primary key, which is also the sort order: it is unique, so the order is total. `Table.identity()` names the columns
that tell a row apart from stage to stage: the key, unless a stage may give a row a new one.
"""

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


class Candidates(Table):
    """One row per distinct prompt, with its candidate answers and their votes."""

    KEY = ("prompt_id",)
    COLUMNS = (
        Column("prompt_id", TEXT, "stable hash of the prompt's messages"),
        Column("prompt", PROMPT, "the messages up to the answer; the last one is a user's or a tool's"),
        Column("responses", pa.large_list(RESPONSE), "sorted by response_id"),
        Column("votes", pa.large_list(VOTE), "sorted by feedback_id"),
        Column("conversations", TEXTS, "conversation ids, sorted"),
        Column(
            "users", TEXTS, "hashes of the people who chatted, or judged and are of no panel and no raters (gather.PANEL, OTHERS), sorted"
        ),
        Column("parts", pa.large_list(PART), "users, and the records with the answers, by conversation; sorted"),
        Column("language", TEXT, "the commonest of its conversations' languages: ISO 639-1 code, `und` where unknown"),
        Column("topic", TEXT, 'the commonest of its conversations\' topics; "" where there is none'),
        Column("source", TEXT, "the commonest of its conversations' log formats"),
        Column("evidence", TEXT, "the strongest kind of people's votes here, or a WEAK_EVIDENCE: a stratum of `rebalance`"),
        Column("cluster_id", TEXT, "set by split: shared by near-duplicate prompts"),
        Column("split", TEXT, "set by split: train, validation, test"),
        Column("weight", pa.float64(), "set by rebalance, 1.0 before"),
        AUGMENTED_FROM,
        Column("augmenter", TEXT, "synonym, swap, delete, back_translation, repeat; null for originals"),
        Column("origins", TEXTS, '"file:record:position" of every raw record behind it, sorted'),
    )


class Annotators(Table):
    """One row per annotator and kind of feedback: how reliable their votes are."""

    KEY = ("annotator", "annotator_kind", "kind")
    COLUMNS = (
        Column("annotator", TEXT, 'salted hash; "" for all annotators without an id in the log'),
        Column("annotator_kind", TEXT, '"person" or "model"'),
        Column("kind", TEXT, "the kind of acts, as in Feedback.kind"),
        Column("votes", pa.int64(), "votes that count"),
        Column(
            "shared", pa.int64(), "of what they said, how much is about items that others judged too; a ranking of k says k(k-1)/2 things"
        ),
        Column(
            "agreement",
            pa.float64(),
            "share of the shared votes that equal the others' majority; null where the others never have a majority",
        ),
        Column("reliability", pa.float64(), "as VOTE.reliability; null where it cannot be estimated for the kind"),
        Column("spammer", pa.bool_(), "enough votes are shared, and the reliability is that of random votes"),
    )


class Agreement(Table):
    """One row per kind of feedback and of annotators: how well they agree."""

    KEY = ("kind", "annotator_kind")
    COLUMNS = (
        Column("kind", TEXT, "the kind of acts, as in Feedback.kind"),
        Column("annotator_kind", TEXT, '"person" or "model"'),
        Column("votes", pa.int64(), "votes that count"),
        Column("annotators", pa.int64(), "annotators with an id in the log"),
        Column("items", pa.int64(), "rated items: pairs of answers, or answers"),
        Column("shared_items", pa.int64(), "of these, rated more than once"),
        Column("ballots", pa.int64(), "votes on shared items"),
        Column("raw", pa.float64(), "share of the other votes on the same item that are equal, mean over votes; null without shared items"),
        Column("alpha", pa.float64(), "Krippendorff's: nominal; ordinal for ratings. 1: all agree, 0: chance"),
        Column("kappa", pa.float64(), "Cohen's; null unless exactly two annotators share items"),
        Column("reliability", pa.float64(), "of annotators without an estimate of their own; null: not estimated"),
        Column("spammers", pa.int64(), "annotators whom Annotators.spammer marks"),
    )


class Common(Table):
    """One row per text or user that is too common to link its prompts."""

    KEY = ("kind", "digest")
    COLUMNS = (
        Column("kind", TEXT, '"first_user_turn", "answer" or "user"'),
        Column("digest", pa.uint64(), "of the text, or of the user's hash, by `tasks.common.similarity.digests`"),
        Column("met", pa.int64(), "number of conversations, or of prompts, that have it"),
        Column("prompt_id", TEXT, "one of the prompts that have it: the first by id"),
    )


class Places(Table):
    """One row per prompt: its split since it was first released, as assigned by `split`."""

    KEY = ("prompt_id",)
    COLUMNS = (
        Column("prompt_id", TEXT, "the prompt"),
        Column("place", TEXT, "train, validation, test; or neither, where its linked prompts are in two splits"),
    )


class Pairs(Table):
    """One row per preference: the preferred answer, and the rejected one."""

    KEY = ("pair_id",)
    COLUMNS = (
        Column("pair_id", TEXT, "stable id of the row"),
        PROMPT_ID,
        PROMPT_MESSAGES,
        Column("chosen", MESSAGES, "the preferred answer, as messages"),
        Column("rejected", MESSAGES, "the other answer, as messages"),
        Column("recipe", TEXT, "how the preference was derived from feedback; each recipe reads one kind of feedback"),
        Column("version", pa.int32(), "version of the recipe"),
        Column("annotators", TEXT, "who voted: `people` or `models`; never both in one row"),
        Column("margin", pa.float64(), "how much better the chosen answer is, above 0, on the recipe's scale; null where there is none"),
        Column(
            "confidence",
            pa.float64(),
            "probability that the preference is correct, above 0.5, from the votes and their estimated reliability",
        ),
        Column(
            "confidence_basis",
            TEXT,
            "source of the reliability: `assumed`, `overlap` (several people's votes) or `words` (also a bag-of-words model)",
        ),
        Column("evidence", pa.int32(), "number of votes behind the row"),
        Column("votes_for", pa.int32(), "votes for the chosen answer"),
        Column("votes_against", pa.int32(), "votes for the rejected answer"),
        Column("votes_tied", pa.int32(), "votes that rate both answers equal"),
        Column(
            "distance",
            pa.float64(),
            "edit distance between the answers divided by the longer length, where one is an edit of the other; else null",
        ),
        Column("chosen_model", TEXT, "model that wrote the chosen answer; null where unknown"),
        Column("rejected_model", TEXT, "model that wrote the rejected answer; null where unknown"),
        LANGUAGE,
        TOPIC,
        SOURCE,
        Column("cluster_id", TEXT, "shared by near-duplicate prompts; a cluster is in one split only"),
        SPLIT,
        WEIGHT,
        AUGMENTED_FROM,
        Column("augmenter", TEXT, "the augmenter or balancing strategy that made the variant or repeat"),
        Column("conversations", TEXTS, "conversations that the two answers and the votes come from"),
        Column("votes", TEXTS, "ids of the votes behind the row"),
        ORIGINS,
    )


class Calibration(Table):
    """One row per recipe: the reliability of one of its votes, and how it is known."""

    KEY = ("recipe",)
    COLUMNS = (
        Column("recipe", TEXT, "the recipe, by name"),
        Column("pairs", pa.int64(), "kept pairs, without variants"),
        Column("shared", pa.float64(), "second opinions: n - 1 for an item with votes by n people"),
        Column("agreement", pa.float64(), "share of them that agree; null where nothing is shared"),
        Column("reliability", pa.float64(), "how often one vote is right, as used for confidences"),
        Column("basis", TEXT, "as Pairs.confidence_basis"),
        Column(
            "missing",
            pa.int64(),
            "second opinions needed to estimate the reliability from agreement alone, as exactly as `pair.calibration` requires",
        ),
    )


class Unpaired(Table):
    """One row per answer that people rated good or bad (KTO)."""

    KEY = ("example_id",)
    COLUMNS = (
        Column("example_id", TEXT, "stable id of the row"),
        PROMPT_ID,
        PROMPT_MESSAGES,
        Column("completion", MESSAGES, "the answer, as messages"),
        Column("label", pa.bool_(), "true: good"),
        Column("basis", TEXT, "kind of feedback: thumbs, ratings, or signals (thanks and complaints in the next turn)"),
        Column("evidence", pa.int32(), "number of votes behind the row"),
        Column("model", TEXT, "model that wrote the answer; null where unknown"),
        LANGUAGE,
        TOPIC,
        SOURCE,
        SPLIT,
        WEIGHT,
        AUGMENTED_FROM,
        ORIGINS,
    )


class Prompts(Table):
    """One row per prompt for online training (PPO)."""

    KEY = ("prompt_id",)
    COLUMNS = (
        PROMPT_ID,
        PROMPT_MESSAGES,
        LANGUAGE,
        TOPIC,
        SOURCE,
        SPLIT,
        ORIGINS,
    )


class Selection(Table):
    """One row per group of answers: which answers get feedback. Only usable feedback by people; a comparison counts for each answer."""

    KEY = ("dimension", "value")
    COLUMNS = (
        Column(
            "dimension", TEXT, 'all, model, topic, language, source, or activity (number of answers that the user got: "1", "2-5", ...)'
        ),
        Column("value", TEXT, '"" where the log does not state it'),
        Column("users", pa.int64(), "users; those without an id are not counted"),
        Column("judged_users", pa.int64(), "of them, those with a rated answer"),
        Column("answers", pa.int64(), "answers"),
        Column("judged", pa.int64(), "of them, those with feedback"),
        Column("acts", pa.int64(), "explicit feedback by people"),
        Column("ups", pa.int64(), "of these, positive: thumb up, rating above the middle, the better of two"),
        Column("downs", pa.int64(), "of these, negative"),
        Column("signals", pa.int64(), "next turns that thank, complain or repeat the question: not counted in acts"),
    )


class Votes(Table):
    """One row per vote on an original prompt, and the rows that it supports."""

    KEY = ("feedback_id", "prompt_id")
    COLUMNS = (
        FROM_VOTE["feedback_id"],
        PROMPT_ID,
        *(FROM_VOTE[name] for name in ("kind", "response_id", "value", "raw", "scale_min", "scale_max", "better", "worse", "shown_first")),
        *(FROM_VOTE[name] for name in ("annotator", "annotator_kind", "reliability", "created_at")),
        SPLIT,
        FROM_VOTE["origin"],
        Column("pairs", TEXTS, "ids of the pairs that it supports, sorted, without pairs of variants"),
        Column("example_id", TEXT, "the row of unpaired that it supports; null when there is none"),
    )


def put(rows: pa.Table, name: str, values: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Table:
    """The table with this column replaced."""
    return rows.set_column(rows.schema.get_field_index(name), name, values)


TABLES: dict[str, type[Table]] = {
    "turns": Turns,
    "feedback": Feedback,
    "quarantine": Quarantine,
    "files": Files,
    "candidates": Candidates,
    "common": Common,
    "places": Places,
    "annotators": Annotators,
    "agreement": Agreement,
    "pairs": Pairs,
    "calibration": Calibration,
    "unpaired": Unpaired,
    "prompts": Prompts,
    "selection": Selection,
    "votes": Votes,
}
