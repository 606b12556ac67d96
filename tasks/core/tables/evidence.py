"""What is gathered about prompts, and what is found out about people and splits."""

from __future__ import annotations

import pyarrow as pa

from tasks.core.tables.columns import AUGMENTED_FROM, PART, PROMPT, RESPONSE, TEXT, TEXTS, VOTE, Column, Table


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
