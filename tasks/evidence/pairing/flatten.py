"""Candidates as flat tables and numbers: what recipes count on, and what became of it is told by.

In: the candidates that people wrote (variants repeat their parents' votes, so they have none of their own here). Out: `Evidence`: prompts,
answers and votes, one row each, in the order of their ids, and for each vote and answer the rows that it belongs to.

Near-equal prompts pool their votes: where two prompts of one cluster differ in the last user turn only, equal answers to them are one
`node`. Every other answer is a node of its own. Recipes count votes about nodes and propose pairs of answers to one exact prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

import daft
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from daft import col

from tasks.core import engine
from tasks.core.tables import PART, RESPONSE, TEXT, VOTE
from tasks.evidence import identity
from tasks.evidence.lists import Floats, Rows, flat
from tasks.evidence.pairing.numbers import find, numbers
from tasks.evidence.pairing.sources import Sources, trace
from tasks.similar.text import fold

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
    node: Rows  # of each answer: equal where votes are pooled
    person: Rows  # of each vote: number of its annotator
    sources: Sources

    def cast(self, kind: str, *, models: bool) -> Rows:
        """Rows of the votes of one kind that people cast, or that judging models did."""
        named = np.asarray(pc.equal(self.votes["kind"], kind).to_numpy(), bool)
        by_model = np.asarray(pc.equal(pc.fill_null(self.votes["annotator_kind"], "person"), "model").to_numpy(), bool)
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
    asked, parts = spread_out(rows["parts"], PART, ("conversation", "origin"))
    sources = trace(answers["turns"], home, parts, asked, votes)
    prompts, answers = rows.select(list(PROMPT)), answers.select(list(ANSWER))
    del rows
    about, better, worse = (find(votes[name], answers["response_id"]) for name in ("response_id", "better", "worse"))
    annotators = flat(votes["annotator"]).dictionary_encode().indices
    person = pc.fill_null(annotators, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Evidence(prompts, answers, votes, home, place, about, better, worse, nodes(written, prompts, answers, home), person, sources)


def spread_out(lists: pa.ChunkedArray, kind: pa.StructType, names: tuple[str, ...]) -> tuple[Rows, pa.Table]:
    """Lists of structs as one table with some of the fields, and the row that each element belongs to."""
    owner = np.repeat(np.arange(len(lists)), pc.fill_null(pc.list_value_length(lists), 0).to_numpy())
    values = pc.list_flatten(lists)
    columns = [flat(pc.struct_field(values, name)).cast(kind.field(name).type) for name in names]
    return owner, pa.table(columns, names=list(names))


def nodes(written: daft.DataFrame, prompts: pa.Table, answers: pa.Table, home: Rows) -> Rows:
    """For each answer the first row with the same answer to the same prompt, or to one that pools its votes with it."""
    node = np.arange(len(home))
    pool = pools(written, prompts)
    pooled = np.flatnonzero(pool[home] >= 0)
    if len(pooled):
        texts = answers["content"].take(pa.array(pooled)).to_pylist()
        text = numbers(pa.chunked_array([pa.array([fold(content) for content in texts], TEXT)]))
        _, first, back = np.unique(pool[home[pooled]] * len(pooled) + text, return_index=True, return_inverse=True)
        node[pooled] = pooled[first[back]]
    return node


def pools(written: daft.DataFrame, prompts: pa.Table) -> Rows:
    """The pool of each prompt; -1 where no other prompt of the cluster has the same messages around its last user turn."""
    cluster = numbers(prompts["cluster_id"])
    named = np.asarray(pc.not_equal(prompts["cluster_id"], "").to_numpy(), bool)
    shared = named & (np.bincount(cluster, minlength=1)[cluster] > 1)
    pool = np.full(len(prompts), -1)
    if not shared.any():
        return pool
    wanted = daft.from_arrow(prompts.select(["prompt_id"]).filter(pa.array(shared)))
    told = written.join(wanted, on="prompt_id", how="semi").select("prompt_id", surroundings(col("prompt")).alias("around")).to_arrow()
    around = numbers(engine.sort(told, ("prompt_id",))["around"])
    _, group, size = np.unique(cluster[shared] * len(around) + around, return_inverse=True, return_counts=True)
    pool[shared] = np.where(size[group] > 1, group, -1)
    return pool


@engine.batch(TEXT)
def surroundings(prompts: daft.Series) -> pa.Array:
    """A key that is equal where all messages but the last user turn are, as `identity` compares them."""
    keys = []
    for messages in prompts.to_pylist():
        last = max((place for place, message in enumerate(messages) if message["role"] == "user"), default=-1)
        rest = [message if place != last else {"role": "user", "content": ""} for place, message in enumerate(messages)]
        keys.append(identity.prompt_id(rest))
    return pa.array(keys, TEXT)
