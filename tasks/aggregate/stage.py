"""Stage `aggregate`: gather, for each distinct prompt, its candidate answers and the votes about them.

In: turns and feedback. Out: candidates, one row a distinct prompt; and how far annotators agree and can be trusted
(annotators, agreement: see `tasks.aggregate.dawid_skene`). A prompt is the messages from the root of a
conversation's tree to the turn before an answer; `tasks.common.text_identity` says when two prompts, or two answers, are the same.

Beside the acts that people gave on purpose, acts are made from what users' next turns say (`tasks.aggregate.implicit_feedback`), and the
table `selection` sets who gives feedback against who chats (`tasks.aggregate.selection_bias`).

Every turn is kept (it stands in some candidate) or dropped as `no_evidence` (nobody judged an answer after it), `needs_media` (only
answers about a picture or a file come after it) or `not_an_answer_path` (no answer with a usable prompt at or after it). Every act of
feedback is kept (it is a vote of some candidate) or dropped for one of the reasons in `tasks.aggregate.votes` and
`tasks.aggregate.implicit_feedback`.
"""

from __future__ import annotations

import warnings
from typing import Literal

import daft
from daft import Expression, col, lit

from tasks.aggregate import candidates, conversation_tree, dawid_skene, implicit_feedback, prompts, scale_direction, selection_bias, votes
from tasks.common.vocabulary.reasons import aggregate as why
from tasks.core.engine import Tables
from tasks.core.params import StageParams

WRITES = ("candidates", "annotators", "agreement", "selection")


class Params(StageParams):
    """Parameters of `aggregate`."""

    unjudged: Literal["none", "opening", "all"]  # which prompts without votes are kept: none, each conversation's first, all
    media: Literal["drop", "keep"]  # what becomes of answers that cannot be judged without a picture or a file
    consensus: dawid_skene.Consensus
    direction: scale_direction.Settings
    signals: implicit_feedback.Settings
    selection: selection_bias.Settings


def run(tables: Tables, params: Params) -> Tables:
    """Candidates from turns and feedback."""
    turns, feedback = tables["turns"], tables["feedback"]
    read = read_trees(turns, feedback, params)
    given = votes.judge(feedback, unfold(read, "judged")).with_column("made", lit(False))
    given_acts = votes.latest(given.concat(implicit_feedback.as_acts(unfold(read, "signals"), given))).collect()
    judged = votes.turned(given_acts).collect()
    scale_direction.warn(judged, params.direction)
    tell_of_media(unfold(read, "fates"), judged)
    weighed, found = dawid_skene.weigh(judged, params.consensus)
    made = candidates.candidates(unfold(read, "places"), unfold(read, "answers"), weighed)
    return {
        "candidates": made,
        "annotators": daft.from_arrow(found.annotators),
        "agreement": daft.from_arrow(found.agreement),
        "turns": turns.join(unfold(read, "fates"), on=["conversation_id", "turn_id"], how="left"),
        "feedback": judged.select(*feedback.column_names, "made", col("fault").alias("dropped")),
        "selection": selection_bias.table(unfold(read, "heard"), unfold(read, "judged"), judged.where(~col("made")), params.selection),
    }


def tell_of_media(fates: daft.DataFrame, judged: daft.DataFrame) -> None:
    """Say what is left out because it is about pictures and files."""
    turns = fates.where(col("dropped") == lit(why.NEEDS_MEDIA)).count_rows()
    if turns:
        acts = judged.where(col("fault") == lit(why.NEEDS_MEDIA)).count_rows()
        what = f"{turns:,} messages with {acts:,} acts of feedback are about pictures or files, which the release does not hold"
        warnings.warn(f"{what}: left out as {why.NEEDS_MEDIA} (aggregate.media: keep takes them all the same)", stacklevel=2)


def read_trees(turns: daft.DataFrame, feedback: daft.DataFrame, params: Params) -> daft.DataFrame:
    """One row a conversation with the fields of `trees.READ`; computed here, since several tables are made from it."""
    lists = [col(name).list_agg() for name in conversation_tree.COLUMNS]
    conversations = turns.groupby("conversation_id").agg(*lists).join(votes.named_turns(feedback), on="conversation_id", how="left")
    columns: list[Expression] = [col(name) for name in conversation_tree.COLUMNS]
    read = prompts.reader(params.unjudged, params.media, params.signals)
    return conversations.select("conversation_id", read(col("judged"), col("conversation_id"), *columns).unnest()).collect()


def unfold(read: daft.DataFrame, name: str) -> daft.DataFrame:
    """One of READ's lists, one row an element."""
    rows = read.select("conversation_id", name).where(col(name).length() > lit(0)).explode(name)
    return rows.select("conversation_id", col(name).unnest())
