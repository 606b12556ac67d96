"""The tables of the house: one class a table, one field a column, each with its meaning.

A table is a folder of Parquet files, sorted by its key, in shards of a fixed number of rows.
In a running stage it is a Daft DataFrame with exactly these columns.

A column's place in the class is its place on disk. `Table.schema()` gives the Arrow schema,
`Table.KEY` the primary key, which is also the sort order: it is unique, so the order is total.
"""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa

TEXT = pa.large_string()
TIME = pa.timestamp("us", tz="UTC")
MESSAGE = pa.struct([("role", TEXT), ("content", TEXT)])
MESSAGES = pa.large_list(MESSAGE)
# A prompt's messages. The further fields as in Turns (`name` is there `tool_name`), null where a message has nothing of the kind;
# the release holds them as trainers read them, and `tools`, which stands in the first message here, in a column of its own.
PROMPT = pa.large_list(pa.struct([*MESSAGE, ("tool_calls", TEXT), ("tool_call_id", TEXT), ("name", TEXT), ("tools", TEXT)]))
TEXTS = pa.large_list(TEXT)

# Where a row came from: `file` is the first 16 hex digits of the raw file's sha256 (so a renamed file
# changes nothing), `record` the record's place in it from 0, `position` the place inside the record
# (-1: the record as a whole).
ORIGIN = pa.struct([("file", TEXT), ("record", pa.int64()), ("position", pa.int32())])

RESPONSE = pa.struct(
    [
        ("response_id", TEXT),  # stable hash of (prompt_id, content)
        ("content", TEXT),
        ("model", TEXT),  # may be null; of several, the first by name
        ("turns", TEXTS),  # "conversation_id/turn_id" of every turn that holds this answer
        ("written_by", TEXT),  # "model", or "person" for an edited answer
        ("ups", pa.int32()),  # thumbs up
        ("downs", pa.int32()),  # thumbs down
        ("ratings", pa.int32()),  # number of ratings
        ("score", pa.float64()),  # mean rating on 0..1; null without ratings
    ]
)

VOTE = pa.struct(
    [
        ("feedback_id", TEXT),
        ("kind", TEXT),  # as in Feedback.kind
        ("response_id", TEXT),  # the answer judged (thumb, rating, ranking, ...); else null
        ("value", pa.float64()),  # thumb -1/+1; rating 0..1; ranking: rank, 0 is best; choice 1, tie 0, both bad -1
        ("raw", TEXT),  # the value as the log gave it, in words or figures; null when it gave none
        ("scale_min", pa.float64()),  # the scale that the raw value came on, as Feedback.scale_min; null where the kind has none
        ("scale_max", pa.float64()),
        ("better", TEXT),  # response_id, for comparisons (choice, edit, regenerate)
        ("worse", TEXT),
        ("shown_first", TEXT),  # response_id of the answer shown first (left, or above); null when unknown
        ("annotator", TEXT),  # salted hash; null when unknown
        ("annotator_kind", TEXT),  # "person" or "model"
        ("reliability", pa.float64()),  # in (0, 1): how often this annotator's acts of this kind are right; null: not estimated
        ("group", TEXT),  # the act that a ranking belongs to; else the feedback_id
        ("conversation", TEXT),  # id of the conversation in which the act was done
        ("created_at", TIME),  # null when the log does not say
        ("origin", TEXT),  # "file:record:position"
    ]
)

# One source of a prompt: a person who chatted in a conversation (`origin` null), or an answer's raw record (`user` null).
PART = pa.struct([("conversation", TEXT), ("user", TEXT), ("origin", TEXT)])


class Table:
    """Base of all tables: a schema and a key."""

    KEY: ClassVar[tuple[str, ...]]
    COLUMNS: ClassVar[tuple[tuple[str, pa.DataType], ...]]

    @classmethod
    def schema(cls) -> pa.Schema:
        """Arrow schema, columns in the order in which they are written."""
        return pa.schema(list(cls.COLUMNS))

    @classmethod
    def names(cls) -> list[str]:
        """Column names in order."""
        return [name for name, _ in cls.COLUMNS]


class Turns(Table):
    """One row a message. Messages of a conversation form a tree: regenerated answers share a parent."""

    KEY = ("conversation_id", "position", "turn_id")
    COLUMNS = (
        ("conversation_id", TEXT),  # "<format>:<native id>"
        ("turn_id", TEXT),  # unique in its conversation
        ("parent_id", TEXT),  # turn_id of the message before; null at a root
        ("position", pa.int32()),  # depth in the tree, 0 at a root: parents sort before children
        ("role", TEXT),  # system, user, assistant, tool
        ("content", TEXT),
        # The tools that the message calls, as JSON with sorted keys: a list of {"function": {"arguments": {}, "name": ""}, "id": "",
        # "type": "function"}. Null where it calls none; `arguments` are a text where the log's are no object; `id` may be missing.
        ("tool_calls", TEXT),
        ("tool_call_id", TEXT),  # of a tool's message: the id of the call that it answers; null where the log does not say
        ("tool_name", TEXT),  # of a tool's message: the tool; null where the log does not say
        # The tools that were offered, as JSON: a list of {"type": "function", "function": {"name": "", ...}} with the schemas, and the
        # order of their keys, as the log has them. Only in a conversation's first message, at position 0; null where none are told.
        ("tools", TEXT),
        ("reasoning", TEXT),  # what the model thought before an answer, where the log keeps it apart; null after `clean`
        ("attachments", TEXTS),  # a digest for each picture or file of the message, in the log's order; null where it has none
        ("model", TEXT),  # who wrote an assistant's message; null when unknown
        ("user_id", TEXT),  # salted hash of the person chatting; null when unknown
        ("created_at", TIME),  # null when the log does not say
        ("status", TEXT),  # "" complete, "unfinished", "error", "deleted"
        ("redacted", TEXT),  # salted digest of the values that gave way to placeholders; null where none did, and before `clean`
        ("language", TEXT),  # ISO 639-1 code, "und" when unknown; null before `clean`
        ("topic", TEXT),  # the log's own tag for the conversation; "" when it has none
        ("source", TEXT),  # name of the log format
        ("origin", ORIGIN),
    )


class Feedback(Table):
    """One row an act of a person, or of a judging model, about an answer."""

    KEY = ("feedback_id",)
    COLUMNS = (
        ("feedback_id", TEXT),  # stable hash of the source's id, or of the act itself
        ("conversation_id", TEXT),
        ("turn_id", TEXT),  # the answer judged; null for comparisons of two
        ("kind", TEXT),  # thumb, rating, choice, ranking, edit, correction, regenerate; no votes: report, copy, share, comment
        ("value", pa.float64()),  # as given: thumb -1/1; rating on its scale; rank 0 = best; choice 1 / tie 0 / both bad -1
        ("scale_min", pa.float64()),  # the worst value of the scale that `value` came on; null for choices, edits
        ("scale_max", pa.float64()),  # the best value: less than scale_min where 1 is best
        ("label", TEXT),  # the value in words, where the log gave words ("Excellent"); else null
        ("better", TEXT),  # turn_id, for choice and regenerate (the kept answer)
        ("worse", TEXT),  # turn_id; a tie names both in any order
        ("shown_first", TEXT),  # turn_id of the one of the two that was shown first (left, or above); null when unknown
        ("group", TEXT),  # acts given together, e.g. one person's ranking of k; null when alone
        ("text", TEXT),  # edit, correction: the text as rewritten; otherwise a comment; null when none
        ("annotator", TEXT),  # salted hash; null when unknown
        ("annotator_kind", TEXT),  # "person" or "model"
        ("created_at", TIME),
        ("source", TEXT),
        ("origin", ORIGIN),
    )


class Quarantine(Table):
    """One row a record that could not be read. Holds no text of the record itself."""

    KEY = ("file", "record", "reason", "detail")
    COLUMNS = (
        ("file", TEXT),  # as in ORIGIN
        ("record", pa.int64()),  # place in the file from 0; -1: the whole file
        ("line", pa.int64()),  # line number from 1 where the file has lines; else null
        ("format", TEXT),  # the reader that gave up; null when no format was recognised
        ("reason", TEXT),  # one word
        ("detail", TEXT),  # what was found and what was expected, without the record's text
    )


class Files(Table):
    """One row a raw file: what the short file ids in `origin` stand for."""

    KEY = ("file", "name")
    COLUMNS = (
        ("file", TEXT),
        ("name", TEXT),  # path below the raw folder
        ("bytes", pa.int64()),
        ("format", TEXT),  # null: not a log that any reader knows
        ("records", pa.int64()),
        ("quarantined", pa.int64()),
    )


# Candidates.evidence of prompts on which nobody voted on purpose: no votes, judging models' alone, and what next turns say in passing.
NO_EVIDENCE, JUDGE, SIGNAL = WEAK_EVIDENCE = ("none", "judge", "signal")


class Candidates(Table):
    """One row a distinct prompt, with its candidate answers and the votes about them."""

    KEY = ("prompt_id",)
    COLUMNS = (
        ("prompt_id", TEXT),  # stable hash of the prompt's messages
        ("prompt", PROMPT),  # the messages up to the answer; the last one is a user's or a tool's
        ("responses", pa.large_list(RESPONSE)),  # sorted by response_id
        ("votes", pa.large_list(VOTE)),  # sorted by feedback_id
        ("conversations", TEXTS),  # conversation ids, sorted
        ("users", TEXTS),  # hashes of the people who chatted, or judged and are of no panel and no raters (gather.PANEL, OTHERS), sorted
        ("parts", pa.large_list(PART)),  # who chatted and which records hold the answers, by conversation; sorted
        ("language", TEXT),
        ("topic", TEXT),
        ("source", TEXT),
        ("evidence", TEXT),  # the strongest kind of people's votes here, or a WEAK_EVIDENCE: a stratum of `rebalance`
        ("cluster_id", TEXT),  # set by split: near-equal prompts share it
        ("split", TEXT),  # set by split: train, validation, test
        ("weight", pa.float64()),  # set by rebalance, 1.0 before
        ("augmented_from", TEXT),  # prompt_id of the parent; null for what people wrote
        ("augmenter", TEXT),  # synonym, swap, delete, back_translation, repeat; null for what people wrote
        ("origins", TEXTS),  # "file:record:position" of every raw record behind it, sorted
    )


class Annotators(Table):
    """One row an annotator and kind of act: how far their acts can be trusted."""

    KEY = ("annotator", "annotator_kind", "kind")
    COLUMNS = (
        ("annotator", TEXT),  # salted hash; "" stands for all whom the log does not name
        ("annotator_kind", TEXT),
        ("kind", TEXT),
        ("votes", pa.int64()),  # acts that count
        ("shared", pa.int64()),  # of what they said, how much is about items that others judged too; a ranking of k says k(k-1)/2 things
        ("agreement", pa.float64()),  # share of that which equals what most others said; null where the others never have a majority
        ("reliability", pa.float64()),  # as VOTE.reliability; null where the kind's acts cannot tell
        ("spammer", pa.bool_()),  # enough is shared, and reliability is that of answers at random
    )


class Agreement(Table):
    """One row a kind of act and of annotators: how far they agree with each other."""

    KEY = ("kind", "annotator_kind")
    COLUMNS = (
        ("kind", TEXT),
        ("annotator_kind", TEXT),
        ("votes", pa.int64()),  # acts that count
        ("annotators", pa.int64()),  # whom the log names
        ("items", pa.int64()),  # what was judged: couples of answers, or answers
        ("shared_items", pa.int64()),  # of these, judged more than once
        ("ballots", pa.int64()),  # what was said of shared items
        ("raw", pa.float64()),  # share of the others on the same item who say the same, mean over ballots; null without shared items
        ("alpha", pa.float64()),  # Krippendorff's: nominal; of ratings ordinal. 1: all agree, 0: as by chance
        ("kappa", pa.float64()),  # Cohen's; null unless exactly two annotators share items
        ("reliability", pa.float64()),  # of annotators of whom no more is known; null: not estimated
        ("spammers", pa.int64()),
    )


class Common(Table):
    """One row a text, or a user, met too often to tie the prompts where it stands."""

    KEY = ("kind", "digest")
    COLUMNS = (
        ("kind", TEXT),  # "first_user_turn", "answer" or "user"
        ("digest", pa.uint64()),  # of the text, or of the user's hash, as `tasks.common.similarity.digests` makes it
        ("met", pa.int64()),  # in so many conversations, or under so many prompts
        ("prompt_id", TEXT),  # one of the prompts where it stands: the first by id
    )


class Places(Table):
    """One row a prompt: where it lies since it was first released, as the assignment of `split` tells it."""

    KEY = ("prompt_id",)
    COLUMNS = (
        ("prompt_id", TEXT),
        ("place", TEXT),  # train, validation, test; or neither: what it is tied to lies in two splits
    )


class Pairs(Table):
    """One row a preference: the answer people preferred, and one that they liked less."""

    KEY = ("pair_id",)
    COLUMNS = (
        ("pair_id", TEXT),  # stable hash of (prompt_id, chosen, rejected, recipe)
        ("prompt_id", TEXT),
        ("prompt", PROMPT),
        ("chosen", MESSAGES),
        ("rejected", MESSAGES),
        ("recipe", TEXT),
        ("version", pa.int32()),  # of the recipe
        ("annotators", TEXT),  # who judged: "people" or "models"
        ("margin", pa.float64()),  # how much better, > 0: on the recipe's scale, or as log odds; null where there is none
        ("confidence", pa.float64()),  # in (0.5, 1]: the probability that the preference is right
        ("confidence_basis", TEXT),  # "assumed", or estimated: from "overlap" of votes, or from it and "words"
        ("evidence", pa.int32()),  # number of acts behind the preference: for, against and tied
        ("votes_for", pa.int32()),
        ("votes_against", pa.int32()),
        ("votes_tied", pa.int32()),
        ("distance", pa.float64()),  # edit distance over the longer length; null where it is no edit
        ("chosen_model", TEXT),
        ("rejected_model", TEXT),
        ("language", TEXT),
        ("topic", TEXT),
        ("source", TEXT),
        ("cluster_id", TEXT),
        ("split", TEXT),
        ("weight", pa.float64()),
        ("augmented_from", TEXT),  # prompt_id of the parent; null for what people wrote
        ("augmenter", TEXT),
        ("conversations", TEXTS),
        ("votes", TEXTS),  # feedback ids of the acts behind it, sorted
        ("origins", TEXTS),
    )


class Calibration(Table):
    """One row a recipe: how often one of its acts is right, and how that is known."""

    KEY = ("recipe",)
    COLUMNS = (
        ("recipe", TEXT),
        ("pairs", pa.int64()),  # that stay, without variants
        ("shared", pa.float64()),  # second opinions: of n people who judge one thing, n - 1
        ("agreement", pa.float64()),  # share of them that agrees; null where nothing is shared
        ("reliability", pa.float64()),  # how often one act is right, as it counts
        ("basis", TEXT),  # as Pairs.confidence_basis
        ("missing", pa.int64()),  # second opinions until agreement alone tells the reliability as exactly as `pair.calibration` asks
    )


class Unpaired(Table):
    """One row an answer that people called good or bad (KTO)."""

    KEY = ("example_id",)
    COLUMNS = (
        ("example_id", TEXT),  # stable hash of (prompt_id, completion)
        ("prompt_id", TEXT),
        ("prompt", PROMPT),
        ("completion", MESSAGES),
        ("label", pa.bool_()),  # true: liked
        ("basis", TEXT),  # what says so: "thumbs", "ratings", "thumbs and ratings", or "signals" (thanks, complaints)
        ("evidence", pa.int32()),  # number of acts
        ("model", TEXT),
        ("language", TEXT),
        ("topic", TEXT),
        ("source", TEXT),
        ("split", TEXT),
        ("weight", pa.float64()),
        ("augmented_from", TEXT),
        ("origins", TEXTS),
    )


class Prompts(Table):
    """One row a prompt to practise on (PPO)."""

    KEY = ("prompt_id",)
    COLUMNS = (
        ("prompt_id", TEXT),
        ("prompt", PROMPT),
        ("language", TEXT),
        ("topic", TEXT),
        ("source", TEXT),
        ("split", TEXT),
        ("origins", TEXTS),
    )


class Selection(Table):
    """One row a group of answers: who gets feedback, against who chats. Only usable acts of people; a comparison counts for each answer."""

    KEY = ("dimension", "value")
    COLUMNS = (
        ("dimension", TEXT),  # all, model, topic, language, source, or activity (answers that the chatting person got: "1", "2-5", ...)
        ("value", TEXT),  # "" where the log does not say
        ("users", pa.int64()),  # people who chat here; those without an id are not counted
        ("judged_users", pa.int64()),  # of them, those of whose answers here one was judged
        ("answers", pa.int64()),  # answers given
        ("judged", pa.int64()),  # of them, those with at least one act
        ("acts", pa.int64()),  # acts that people gave of their own accord
        ("ups", pa.int64()),  # of them, those for the answer: thumb up, rating above the middle, the better of two
        ("downs", pa.int64()),  # and those against it
        ("signals", pa.int64()),  # next turns that thank, complain or ask the same again: not among the acts
    )


class Votes(Table):
    """One row a vote on a prompt that people wrote, as it was given, and what it stands behind."""

    KEY = ("feedback_id", "prompt_id")
    COLUMNS = (
        ("feedback_id", TEXT),
        ("prompt_id", TEXT),
        # as in VOTE
        ("kind", TEXT),
        ("response_id", TEXT),
        ("value", pa.float64()),
        ("raw", TEXT),
        ("scale_min", pa.float64()),
        ("scale_max", pa.float64()),
        ("better", TEXT),
        ("worse", TEXT),
        ("shown_first", TEXT),
        ("annotator", TEXT),
        ("annotator_kind", TEXT),
        ("reliability", pa.float64()),
        ("created_at", TIME),
        ("split", TEXT),
        ("origin", TEXT),
        ("pairs", TEXTS),  # ids of the pairs that it stands behind, sorted; variants' pairs are not named
        ("example_id", TEXT),  # the row of unpaired that it stands behind; null when there is none
    )


def put(rows: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    """The table with another column in the place of this one."""
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
