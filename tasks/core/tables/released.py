"""What is made of the evidence: pairs, single answers, prompts, and what became of every vote."""

from __future__ import annotations

import pyarrow as pa

from tasks.core.tables.columns import (
    AUGMENTED_FROM,
    FROM_VOTE,
    LANGUAGE,
    MESSAGES,
    ORIGINS,
    PROMPT_ID,
    PROMPT_MESSAGES,
    SOURCE,
    SPLIT,
    TEXT,
    TEXTS,
    TOPIC,
    WEIGHT,
    Column,
    Table,
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
        Column("conversations", TEXTS, "conversations of the two answers and the votes; in a release salted digests of their ids"),
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
