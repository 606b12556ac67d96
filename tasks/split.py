"""Stage `split`: train, validation and test, so that nothing crosses.

In: candidates. Out: candidates with `cluster_id` and `split`. Prompts are tied when they are near-equal in what the user
says, open with the same user turn, come from one conversation, or from one user. What is tied, directly or over
others, is one component, and a component goes to one split, chosen by a hash of its smallest prompt id: it stays
where it is when other data comes. Three rules on top of the hash:

- a component larger than the whole split that its hash names goes to train;
- where there are as many components as splits, none stays empty: it takes the smallest component of the split that has most;
- a component above `largest_component` is reported with the key that ties it, and `on_giant` says what happens: `error` stops,
  `keep` goes on, `untie_weakest` gives up, inside that component alone, the ties over users (of the users met most often first),
  then over first user turns, near-equality and conversations, until it is small enough, and reports what now lies in two splits.
"""

from __future__ import annotations

import warnings
from typing import Literal

import daft
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from daft import col
from pydantic import Field, model_validator

from tasks.core import engine
from tasks.core.engine import Tables
from tasks.core.errors import UserError
from tasks.core.ids import stable_id
from tasks.core.params import StageParams
from tasks.core.tables import TEXT
from tasks.evidence import ties
from tasks.evidence.lists import Rows, flat, nest, owners
from tasks.evidence.ties import Edges
from tasks.similar import Near, near_pairs
from tasks.similar.text import fold

WRITES = ("candidates",)
SPLITS = ("train", "validation", "test")


class Params(StageParams):
    """Parameters of `split`."""

    train: float = Field(gt=0, le=1)  # shares of the rows; their sum is 1
    validation: float = Field(ge=0, lt=1)
    test: float = Field(ge=0, lt=1)
    popular: int = Field(ge=1)  # a first user turn, or a prompt, met in more conversations than this does not tie them
    largest_component: float = Field(gt=0, le=1)  # share of the rows above which a component is a giant
    on_giant: Literal["error", "untie_weakest", "keep"]
    near: Near  # when two prompts are near-equal

    @model_validator(mode="after")
    def _whole(self) -> Params:
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError("train, validation and test must sum to 1")
        return self

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares in the order of SPLITS."""
        return (self.train, self.validation, self.test)


def run(tables: Tables, params: Params) -> Tables:
    """Candidates with their split."""
    candidates = tables["candidates"]
    facts = known_facts(candidates)
    tied = ties.tie(facts, near_equal(facts, params), params.popular)
    edges, labels = settle_giants(dict(tied.edges), len(facts), params)
    split = place(facts["prompt_id"].to_pylist(), labels, params)
    report(facts, tied, split, params)
    clusters = facts["prompt_id"].take(pa.array(ties.components(len(facts), edges["near"])))
    names = pa.array(np.array(SPLITS, object)[split], TEXT)
    placed = daft.from_arrow(pa.table({"prompt_id": facts["prompt_id"], "cluster_id": clusters, "split": names}))
    columns = candidates.column_names
    return {"candidates": candidates.exclude("cluster_id", "split").join(placed, on="prompt_id", how="left").select(*columns)}


def known_facts(candidates: daft.DataFrame) -> pa.Table:
    """What ties go by, sorted by prompt."""
    texts = said_by_users(col("prompt")).unnest()
    return engine.sort(engine.to_arrow(candidates.select("prompt_id", texts, "conversations", "users"), ties.FACTS), ("prompt_id",))


def near_equal(facts: pa.Table, params: Params) -> Edges:
    """Ties between prompts in which users say nearly the same."""
    rows = pa.array(np.arange(len(facts)))
    pairs = near_pairs(rows, flat(facts["asked"]), params.near)
    left, right = (pairs[name].to_numpy() for name in ("left", "right"))
    return Edges(left, right, np.full(len(left), 2))


@engine.batch(pa.struct([("asked", TEXT), ("opening", TEXT)]))
def said_by_users(prompts: daft.Series) -> pa.Array:
    """What the user says in a prompt, and the id of its first turn.

    System turns are left out: one long system prompt would make all the prompts of a service near-equal.
    """
    lists = prompts.to_arrow()
    messages, owner = pc.list_flatten(lists), owners(lists)
    by_user = pc.equal(pc.struct_field(messages, "role"), "user").to_numpy(zero_copy_only=False)
    contents = pc.struct_field(messages, "content").filter(pa.array(by_user))
    spoken = nest(owner[by_user], len(lists), contents)
    asked = pc.binary_join(spoken, pa.scalar("\n", TEXT))
    first = pc.list_element(pc.if_else(pc.greater(pc.list_value_length(spoken), 0), spoken, pa.scalar([""], spoken.type)), 0)
    opening = pa.array([stable_id(fold(text)) for text in first.to_pylist()], TEXT)
    return pa.StructArray.from_arrays([asked, opening], names=["asked", "opening"])


def settle_giants(edges: dict[str, Edges], rows: int, params: Params) -> tuple[dict[str, Edges], Rows]:
    """Edges and labels in which no component is a giant, as far as `on_giant` says."""
    limit = params.largest_component * rows
    for key in ties.KEYS:
        labels = ties.components(rows, *edges.values())
        giant, size = ties.largest(labels)
        inside = int((labels[edges[key].left] == giant).sum())
        if size <= limit or not inside:
            continue
        found = f"one component with {size} of {rows} rows, tied by {key} ({inside} ties)"
        expected = f"at most {params.largest_component:.0%} of the rows (split.largest_component)"
        if params.on_giant == "error":
            raise UserError("split", found, expected, "set split.on_giant to untie_weakest or keep")
        if params.on_giant == "keep":
            warnings.warn(f"{found}; kept", stacklevel=2)
            break
        edges, given_up = ties.untie(edges, key, rows, limit)
        warnings.warn(f"{found}; {given_up} of them given up, those of the commonest first", stacklevel=2)
    return edges, ties.components(rows, *edges.values())


def place(ids: list[str], labels: Rows, params: Params) -> Rows:
    """The split (index into SPLITS) of each row."""
    roots, back, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    draw = np.array([int(stable_id("split", ids[root]), 16) / 2**64 for root in roots.tolist()])
    chosen = np.searchsorted(np.cumsum(params.shares)[:-1], draw, side="right")
    due = np.array(params.shares) * len(ids)
    chosen = np.where(sizes > due[chosen], 0, chosen)
    return fill(chosen, sizes, draw, params.shares)[back]


def fill(chosen: Rows, sizes: Rows, draw: npt.NDArray[np.float64], shares: tuple[float, ...]) -> Rows:
    """No wanted split empty, where there are enough components."""
    wanted = [number for number, share in enumerate(shares) if share > 0]
    if len(chosen) < len(wanted):
        return chosen
    chosen = chosen.copy()
    for number in wanted:
        counts = np.bincount(chosen, minlength=len(shares))
        if not counts[number]:
            giver = np.flatnonzero(chosen == counts.argmax())
            chosen[giver[np.lexsort((draw[giver], sizes[giver]))[0]]] = number
    return chosen


def report(facts: pa.Table, tied: ties.Ties, split: Rows, params: Params) -> None:
    """Say what is in more than one split all the same, because its ties were given up or never made."""
    for key, column in (("user", "users"), ("conversation", "conversations")):
        lists = flat(facts[column])
        names = pc.dictionary_encode(pc.list_flatten(lists)).indices.to_numpy(zero_copy_only=False)
        rows = owners(lists)
        sides = np.unique(np.stack([names, split[rows]]), axis=1)[0]
        crossing = np.bincount(sides, minlength=1) > 1
        if crossing.any():
            touched = len(np.unique(rows[crossing[names]]))
            warnings.warn(f"{int(crossing.sum())} {key}s have prompts in more than one split ({touched} rows)", stacklevel=2)
    if tied.popular_openings or tied.popular_prompts:
        common = f"{tied.popular_openings} first user turns and {tied.popular_prompts} prompts"
        warnings.warn(f"{common} are met in more than {params.popular} conversations and do not tie them", stacklevel=2)
