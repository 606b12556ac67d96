"""Candidates as flat tables and numbers: what recipes count on, and what became of it is told by.

In: the candidates that people wrote (variants repeat their parents' votes, so they have none of their own here). Out: `Evidence`: prompts,
answers and votes, one row each, in the order of their ids, and for each vote and answer the rows that it belongs to.

Votes count for the answer that they are about, to their own prompt, and for nothing else. Prompts that read the same (two links that
became [URL_1]) and are not the same pool nothing; their equal answers are `twins`, so that the release does not prefer one answer to
another in one row and the other way round in the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import col

from tasks.common.arrays import Floats, Rows, codes, find, flat, mask
from tasks.common.similarity import digests
from tasks.common.text_identity import same_answer, same_message
from tasks.common.vocabulary.kinds import MODEL, PERSON
from tasks.core import engine
from tasks.core.ids import stable_id
from tasks.core.tables import PART, RESPONSE, TEXT, VOTE
from tasks.pair.provenance import Sources, trace

PROMPT = ("prompt_id", "cluster_id", "split")
ANSWER = ("response_id", "content", "model")


@dataclass(frozen=True)
class Evidence:
    """People's prompts, the answers to them, and the votes about these. Row numbers are -1 where there is none."""

    prompts: pa.Table  # PROMPT, sorted by prompt_id
    answers: pa.Table  # ANSWER, by prompt, then response_id
    votes: pa.Table  # VOTE, by prompt, then feedback_id
    home: Rows  # of each answer: row of its prompt
    place: Rows  # of each vote: row of its prompt
    about: Rows  # of each vote: row of the answer judged, of the better one, of the worse one
    better: Rows
    worse: Rows
    twin: Rows  # of each answer: equal where answers, and their prompts, read the same
    person: Rows  # of each vote: number of its annotator
    chatters: tuple[Rows, Rows]  # who chatted: row of the prompt, and a number for the person, once a conversation
    sources: Sources

    def votes_of_kind(self, kind: str, *, models: bool) -> Rows:
        """Rows of the votes of one kind that people cast, or that judging models did."""
        named = mask(pc.equal(self.votes["kind"], pa.scalar(kind)))
        by_model = mask(pc.equal(self.votes["annotator_kind"].fill_null(pa.scalar(PERSON)), pa.scalar(MODEL)))
        return np.flatnonzero(named & (by_model if models else ~by_model))

    def value(self, votes: Rows) -> Floats:
        """Values of these votes, NaN for null."""
        return np.asarray(self.votes["value"].to_numpy()[votes], np.float64)


def read(candidates: daft.DataFrame) -> Evidence:
    """The evidence about people's prompts."""
    written = candidates.where(col("augmented_from").is_null())
    rows = engine.sort(written.select(*PROMPT, "responses", "votes", "parts").to_arrow(), ("prompt_id",))
    home, answers = spread_out(rows["responses"], RESPONSE, (*ANSWER, "turns"))
    place, votes = spread_out(rows["votes"], VOTE, tuple(VOTE.names))
    asked, parts = spread_out(rows["parts"], PART, ("conversation", "origin", "user"))
    sources = trace(answers["turns"], home, parts, asked, votes)
    chatting = pc.is_valid(parts["user"]).to_numpy()
    chatters = asked[chatting], codes(parts["user"].filter(pa.array(chatting)))
    prompts, answers = rows.select(list(PROMPT)), answers.select(list(ANSWER))
    del rows
    about, better, worse = (find(votes[name], answers["response_id"]) for name in ("response_id", "better", "worse"))
    annotators = flat(votes["annotator"]).dictionary_encode().indices
    person = annotators.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    twin = twins(written, prompts, answers, home)
    return Evidence(prompts, answers, votes, home, place, about, better, worse, twin, person, chatters, sources)


def spread_out(lists: pa.ChunkedArray[Any], kind: pa.StructType, names: tuple[str, ...]) -> tuple[Rows, pa.Table]:
    """Lists of structs as one table with some of the fields, and the row that each element belongs to."""
    owner = np.repeat(np.arange(len(lists)), pc.list_value_length(lists).fill_null(0).to_numpy())
    values = pc.list_flatten(lists)
    columns = [flat(pc.struct_field(values, name)).cast(kind.field(name).type) for name in names]
    return owner, pa.table(columns, names=list(names))


def twins(written: daft.DataFrame, prompts: pa.Table, answers: pa.Table, home: Rows) -> Rows:
    """For each answer the first row that reads the same, to a prompt that reads the same; readers do not see what was redacted."""
    look = looks(written, prompts)
    several = np.flatnonzero((look >= 0)[home])
    twin = np.arange(len(home))
    contents = cast("list[str]", answers["content"].take(several).to_pylist())
    text = codes(pa.array(map(same_answer, contents), TEXT))
    _, first, back = np.unique(look[home[several]] * (len(several) + 1) + text, return_index=True, return_inverse=True)
    twin[several] = several[first[back]]
    return twin


def looks(written: daft.DataFrame, prompts: pa.Table) -> Rows:
    """A number for each prompt, equal where prompts read the same (`tasks.common.text_identity`); -1 where no other reads so."""
    rough = codes(engine.sort(written.select("prompt_id", roughly(col("prompt")).alias("look")).to_arrow(), ("prompt_id",))["look"])
    likely = np.flatnonzero((np.bincount(rough, minlength=1) > 1)[rough])
    look = np.full(len(prompts), -1)
    if len(likely):
        wanted = daft.from_arrow(prompts.select(["prompt_id"]).take(likely))
        few = written.join(wanted, on="prompt_id", how="semi").select("prompt_id", "prompt").to_arrow()
        asked = cast("list[list[Mapping[str, str | None]]]", engine.sort(few, ("prompt_id",))["prompt"].to_pylist())
        shown = [tuple(_shown(message) for message in prompt) for prompt in asked]
        _, look[likely] = np.unique(np.array([stable_id(*texts) for texts in shown]), return_inverse=True)
    return look


def _shown(message: Mapping[str, str | None]) -> str:
    """A message as the release shows it: without what was redacted or attached, but with the calls of tools."""
    return same_message(message["role"] or "", message["content"], calls=message["tool_calls"])


@engine.batch(TEXT)
def roughly(prompts: daft.Series) -> pa.Array[Any]:
    """A key that is equal where prompts read the same, and seldom elsewhere."""
    lists = cast("pa.LargeListArray[Any]", prompts.to_arrow())
    hashes = pa.array(digests(pc.struct_field(pc.list_flatten(lists), "content"))).cast(TEXT)
    told = pa.LargeListArray.from_arrays(pc.subtract(lists.offsets, lists.offsets[0]), hashes)
    return cast("pa.Array[Any]", pc.binary_join(told, pa.scalar(" ", TEXT)))
