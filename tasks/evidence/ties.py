"""What ties prompts together, so that a split may not part them.

In: one row a prompt with its facts (FACTS) and the pairs of near-equal prompts. Out: labels of connected components.
Nodes are rows, edges are two arrays of row numbers; every function works on whole arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.core.tables import TEXT, TEXTS
from tasks.evidence.lists import Mask, Rows, flat, lengths, owners
from tasks.similar import components as connected

FACTS = pa.schema([("prompt_id", TEXT), ("asked", TEXT), ("opening", TEXT), ("conversations", TEXTS), ("users", TEXTS)])
# Weakest first: the order in which ties are given up when they would hold too much together. That equal prompts stay
# together is no tie that could be given up: they are one row.
KEYS = ("user", "opening", "near", "conversation")


@dataclass(frozen=True)
class Edges:
    """Ties between rows, each with the number of rows that share its key (2 where there is no key)."""

    left: Rows
    right: Rows
    shared_by: Rows

    def where(self, mask: Mask) -> Edges:
        """Those that the mask keeps."""
        return Edges(self.left[mask], self.right[mask], self.shared_by[mask])


@dataclass(frozen=True)
class Ties:
    """Edges by key, and what was left untied because it is too common."""

    edges: Mapping[str, Edges]
    popular_openings: int
    popular_prompts: int


def tie(facts: pa.Table, near: Edges, popular: int) -> Ties:
    """The ties of all rows. `facts` is sorted by prompt_id.

    A prompt met in more than `popular` conversations, and a first user turn that opens more than that, say nothing of where a
    conversation comes from ("hi"): the prompt ties by its text alone, the turn ties nothing.
    """
    conversations, users = flat(facts["conversations"]), flat(facts["users"])
    common_row = lengths(conversations) > popular
    openings = pc.dictionary_encode(flat(facts["opening"])).indices.to_numpy(zero_copy_only=False)
    meetings = np.bincount(openings, weights=lengths(conversations)) if len(openings) else np.zeros(0)
    # a conversation with several prompts counts once: only then is it worth counting exactly
    if (meetings > popular).any():
        meetings = distinct_conversations(openings, conversations)
    common_opening = meetings > popular
    rows = np.arange(len(facts))
    edges = {
        "user": chain(*members(users, common_row)),
        "opening": chain(*(part[~common_opening[openings]] for part in (openings, rows))),
        "near": near,
        "conversation": chain(*members(conversations, common_row)),
    }
    return Ties(edges, int(common_opening.sum()), int(common_row.sum()))


def distinct_conversations(openings: Rows, conversations: pa.Array) -> Rows:
    """How many conversations each first user turn opens."""
    names = pc.dictionary_encode(pc.list_flatten(conversations)).indices.to_numpy(zero_copy_only=False).astype(np.int64)
    pairs = np.unique(np.stack([openings[owners(conversations)], names]), axis=1)
    return np.bincount(pairs[0], minlength=int(openings.max()) + 1)


def members(lists: pa.Array, left_out: Mask) -> tuple[Rows, Rows]:
    """(key number, row) of every element of the lists, without the rows left out."""
    codes = pc.dictionary_encode(pc.list_flatten(lists)).indices.to_numpy(zero_copy_only=False).astype(np.int64)
    rows = owners(lists)
    return codes[~left_out[rows]], rows[~left_out[rows]]


def chain(keys: Rows, rows: Rows) -> Edges:
    """Edges that tie all rows of a key: each to the next."""
    order = np.lexsort((rows, keys))
    keys, rows = keys[order], rows[order]
    same = np.flatnonzero(keys[1:] == keys[:-1])
    return Edges(rows[same], rows[same + 1], np.bincount(keys)[keys[same]])


def components(count: int, *edges: Edges) -> Rows:
    """A label for each row: the smallest row number of its component."""
    left, right = (np.concatenate([getattr(part, side) for part in edges]) for side in ("left", "right"))
    return connected(count, left, right)


def largest(labels: Rows) -> tuple[int, int]:
    """Label and size of the largest component."""
    sizes = np.bincount(labels, minlength=1)
    return int(sizes.argmax()), int(sizes.max())


def untie(edges: dict[str, Edges], key: str, count: int, limit: float) -> tuple[dict[str, Edges], int]:
    """Give up ties of one key inside the largest component until it has at most `limit` rows; also how many were given up.

    Those of the commonest values go first; when the key ties nothing there any more, the component stays as it is.
    """
    given_up = 0
    while True:
        labels = components(count, *edges.values())
        giant, size = largest(labels)
        inside = labels[edges[key].left] == giant
        if size <= limit or not inside.any():
            return edges, given_up
        sharing = edges[key].shared_by
        gone = inside & (sharing > sharing[inside].max() // 2)
        given_up += int(gone.sum())
        edges = {**edges, key: edges[key].where(~gone)}
